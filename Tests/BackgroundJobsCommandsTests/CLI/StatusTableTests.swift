import Testing

@testable import BackgroundJobs
@testable import BackgroundJobsCommands

@Suite struct StatusTableTests {
    private func queue(_ name: String, completed: Int = 500_000, ready: Int = 0) -> QueueStatus {
        var status = QueueStatus(name: name)
        status.workers = 4
        status.fibers = 40
        status.jobsPerSecond = 812
        status.ready = ready
        status.scheduled = 3
        status.processing = 12
        status.completed = completed
        status.failed = 7
        return status
    }

    @Test func showsTheSample() {
        #expect(
            StatusTable.text([queue("high")]) == """
                high
                workers fibers  jps ready scheduled processing  completed failed suspects dead
                      4     40  812     0         3         12     500000      7        0    0

                """
        )
    }

    @Test func separatesQueuesByAnEmptyLine() {
        let one = StatusTable.text([queue("high")])
        let other = StatusTable.text([queue("low")])
        #expect(StatusTable.text([queue("high"), queue("low")]) == one + "\n" + other)
        #expect(StatusTable.text([]) == "")
    }

    @Test func aWideFigureWidensOnlyItsCell() {
        #expect(
            StatusTable.text([queue("high", completed: 123_456_789_012, ready: 1_234_567)]) == """
                high
                workers fibers  jps ready scheduled processing  completed failed suspects dead
                      4     40  812 1234567         3         12 123456789012      7        0    0

                """
        )
    }

    @Test func jsonHasTheAgeInSeconds() throws {
        var status = queue("high")
        status.oldestReadyAge = .milliseconds(1500)
        let json = try JSONOutput.text(status)
        #expect(json.hasPrefix(#"{"completed":500000,"dead":0,"failed":7,"fibers":40,"isPaused":false"#))
        #expect(json.contains(#""oldestReadySeconds":1.5"#))
        #expect(json.hasSuffix("}\n"))
    }
}

import BackgroundRedis
import Foundation
import Testing

@testable import BackgroundJobs
@testable import BackgroundJobsCommands

@Suite struct JobTextTests {
    private func fields(_ pairs: [String: String]) -> HashFields {
        HashFields(all: pairs.flatMap { [.string(Array($0.key.utf8)), .string(Array($0.value.utf8))] })
    }

    private var history: JobHistory {
        var job = JobRecord(
            id: "j1",
            fields([
                "que": "high", "cls": "Jobs::Nap", "arg": #"{"a":"\n"}"#, "qat": "1545906554934", "att": "1",
                "ers": "1",
                "las": "a1", "zzz": "own",
            ])
        )
        job.state = .scheduled(due: Date(timeIntervalSince1970: 1_545_907_090))
        let attempt = AttemptRecord(
            id: "a1",
            fields([
                "job": "j1", "que": "high", "num": "1", "sta": "1545907080109", "fin": "1545907080110", "time": "1.0",
                "err": "IndexOutOfBounds", "msg": "7\u{1B}[31m\u{202E}", "nod": "host-1-00000000", "wrk": "342",
            ])
        )
        return JobHistory(job: job, attempts: [attempt], hasEarlierAttempts: false)
    }

    @Test func showsAJobAndItsAttempts() {
        #expect(
            JobText.text(history) == """
                job j1
                  state         scheduled, due 2018-12-27T10:38:10.000Z
                  queue         high
                  class         Jobs::Nap
                  arguments     {"a":"\\n"}
                  queued        2018-12-27T10:29:14.934Z
                  attempts      1
                  errors        1
                  (zzz)         own

                attempt 1, a1
                  started       2018-12-27T10:38:00.109Z
                  ended         2018-12-27T10:38:00.110Z
                  took          1.0ms
                  result        IndexOutOfBounds
                  message       7\\u001b[31m\\u202e
                  queue         high
                  node          host-1-00000000
                  client        342

                """
        )
    }

    @Test(arguments: [
        ("ret", "0", "retries       0"), ("bck", "exponential", "backoff       exponential"),
        ("bck", "fixed:5000", "backoff       fixed, 5s"),
        ("bck", "linear:500", "backoff       linear, 500ms more each time"),
        ("bck", "list:1000,60000", "backoff       list, 1s, 1m"),
        ("bck", "never", "(bck)         never (can't be read; in force: as the class says, else exponential)"),
        ("rfr", "3600000", "retried for   1h"), ("rqu", "slow", "retry queue   slow"),
        ("tmo", "30000", "time limit    30s"),
        ("exp", "1545907090000", "expires       2018-12-27T10:38:10.000Z"),
        ("dlv", "amo", "delivery      at-most-once"),
        ("dlv", "alo", "delivery      at-least-once"),
        (
            "dlv", "at-most-once",
            "(dlv)         at-most-once (can't be read; in force: as the class or the worker's --mode says)"
        ),
        ("tmo", "300.7", "(tmo)         300.7 (can't be read; in force: as the class says, else no limit)"),
        ("ret", "1.5", "(ret)         1.5 (can't be read; in force: as the class says, else 25)"),
        ("unu", "begun", "(unu)         begun (can't be read; in force: the lock is held until it has ended)"),
        ("crm", "1.5", "crash retries 1"),
        ("crm", "all", "crash retries all"),
        ("crw", "0", "crash window  for ever"), ("crw", "259200000", "crash window  3d"),
        ("unq", "0a1b", "unique        0a1b"),
        ("ori", "j0", "copy of       j0"),
        ("ret", "many", "(ret)         many (can't be read; in force: as the class says, else 25)"),
        ("cnl", "1", "state         unknown, to be cancelled"),
    ])
    func showsOptionsInWords(field: String, value: String, line: String) {
        let job = JobRecord(id: "j", fields(["que": "q", field: value]))
        let text = JobText.text(JobHistory(job: job, attempts: [], hasEarlierAttempts: false))
        #expect(text.split(separator: "\n").contains("  \(line)"), "\(text)")
    }

    @Test func showsUntilWhenItIsUnique() {
        let job = JobRecord(id: "j", fields(["que": "q", "unq": "0a1b", "unu": "started"]))
        let text = JobText.text(JobHistory(job: job, attempts: [], hasEarlierAttempts: false))
        #expect(text.hasSuffix("  unique        0a1b, until it starts\n"))
    }

    @Test func whatHasEndedIsNotToBeCancelled() {
        var job = JobRecord(id: "j", fields(["que": "q", "cnl": "1"]))
        job.state = .ended(how: "Cancelled")
        let text = JobText.text(JobHistory(job: job, attempts: [], hasEarlierAttempts: false))
        #expect(text.contains("state         ended, Cancelled\n"))
    }

    @Test func saysHowMuchTooLate() {
        let attempt = AttemptRecord(id: "a", fields(["err": "Expired", "msg": "3723004 ms too late"]))
        #expect(JobText.message(attempt) == "1h 2m too late")
        let other = AttemptRecord(id: "a", fields(["err": "E", "msg": "3723004 ms too late"]))
        #expect(JobText.message(other) == "3723004 ms too late")
    }

    @Test func jsonIsJSONAndHarmless() throws {
        let json = try JSONOutput.text(history)
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
        )
        let attempts = try #require(object["attempts"] as? [[String: Any]])
        #expect(attempts[0]["message"] as? String == "7\u{1B}[31m\u{202E}")
        #expect(json.unicodeScalars.dropLast().allSatisfy { $0.value >= 0x20 && !$0.properties.isBidiControl })
    }

    @Test func bytesThatAreNoTextAreMarked() throws {
        let value = FieldValue([0xFF, 0x00])
        #expect(value.text == nil)
        #expect(try JSONOutput.text(value) == "{\"base64\":\"/wA=\"}\n")
        #expect(value.description == "base64:/wA=")
        #expect(try JSONOutput.text([FieldValue(Array("ü".utf8))]) == "[\"ü\"]\n")
    }

    @Test func listsAreTables() {
        let waiting = JobListing(id: "j1", job: history.job, attempt: nil, time: nil)
        let gone = JobListing(id: "j2", job: nil, attempt: nil, time: nil)
        #expect(
            JobsTable.text([waiting, gone], of: .ready) == """
                id  queue  class      queued                    attempts  arguments
                j1  high   Jobs::Nap  2018-12-27T10:29:14.934Z         1  {"a":"\\n"}
                j2  -      -          -                                -  -

                """
        )
        let failed = JobListing(id: "j1", job: history.job, attempt: history.attempts[0], time: nil)
        #expect(
            JobsTable.text([failed], of: .failed) == """
                id  queue  class      attempt  started                    took  result            message
                j1  high   Jobs::Nap        1  2018-12-27T10:38:00.109Z  1.0ms  IndexOutOfBounds  7\\u001b[31m\\u202e

                """
        )
    }

    @Test(arguments: [
        (Duration.milliseconds(12), "12.0ms"), (.microseconds(1234), "1.2ms"), (.milliseconds(5230), "5.2s"),
        (.seconds(200), "3m 20s"), (.seconds(7500), "2h 5m"), (.seconds(356_400), "4d 3h"),
    ])
    func lengthsOfTimeAreReadable(duration: Duration, text: String) {
        #expect(duration.readable == text)
    }
}

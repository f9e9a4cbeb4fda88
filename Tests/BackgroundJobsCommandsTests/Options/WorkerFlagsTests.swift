import ArgumentParser
import BackgroundJobs
import Testing

@testable import BackgroundJobsCommands

@Suite("The flags of a worker")
struct WorkerFlagsTests {
    private func options(_ arguments: String...) throws -> WorkerOptions {
        let command = try #require(try WorkerCommand.parseAsRoot(arguments) as? WorkerCommand)
        return try command.options()
    }

    @Test("say in which order it looks into its queues")
    func order() throws {
        #expect(try options("-q", "a,b").queues == .strict(["a", "b"]))
        #expect(try options("-q", "a,b", "--order", "strict").queues == .strict(["a", "b"]))
        #expect(try options("-q", "a,b", "--order", "round-robin").queues == .roundRobin(["a", "b"]))
        #expect(try options("-q", "a:2,b:1").queues == .weighted([("a", 2), ("b", 1)]))
    }

    @Test("say which fibers are reserved, and how many threads there are")
    func reserve() throws {
        #expect(try options("-q", "a,b", "-f", "10", "--reserve", "a=4,b=3").reserve == ["a": 4, "b": 3])
        #expect(try options("--threads", "7").threads == 7)
        #expect(try options().reserve == [:])
    }

    @Test(
        "that make no sense are refused, with what to do",
        arguments: [
            (["-q", "a,b", "--order", "fair"], "strict, round-robin"),
            (["-q", "a:2,b", "--order", "round-robin"], "exclude each other"),
            (["-q", "a,a", "--order", "round-robin"], "named twice"),
            (["-q", "a,b", "--reserve", "c=1"], "none of the queues"),
            (["-q", "a,b", "--reserve", "a"], "write high=10,low=5"),
            (["-q", "a,b", "--reserve", ""], "write high=10,low=5"),
            (["-q", "a,b", "--reserve", "a=x"], "write high=10,low=5"),
            (["-q", "a,b", "--reserve", "a=-1"], "must lie in"),
            (["-q", "a,b", "--reserve", "a=1,a=2"], "named twice"),
            (["-q", "a,b", "-f", "10", "--reserve", "a=10"], "at least 11"),
            (["--threads", "0"], "1 to 1000"),
        ]
    )
    func refused(_ arguments: [String], _ words: String) throws {
        let error = #expect(throws: (any Error).self) { try WorkerCommand.parseAsRoot(arguments) }
        let message = error.map { WorkerCommand.fullMessage(for: $0) } ?? ""
        #expect(message.contains(words), "\(message)")
    }
}

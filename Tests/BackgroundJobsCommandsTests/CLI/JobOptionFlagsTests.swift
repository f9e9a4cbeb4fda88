import ArgumentParser
import BackgroundJobs
import TestSupport
import Testing

@testable import BackgroundJobsCommands

extension CLI {
    @Suite("enqueue takes the options of a job") struct JobOptions {
        /// Flags, and the field that they become.
        static let accepted: [(flag: String, values: [(String, String)], field: String)] = [
            ("--retries", [("0", "0"), ("3", "3"), ("1000000", "1000000")], "ret"),
            (
                "--backoff",
                [
                    ("exponential", "exponential"), ("fixed:0", "fixed:0"), ("linear:2m", "linear:120000"),
                    ("fixed:500ms", "fixed:500"), ("list:1s,5s,30s", "list:1000,5000,30000"),
                    ("fixed:365d", "fixed:31536000000"),
                ], "bck"
            ),
            ("--retry-for", [("0", "0"), ("1h", "3600000"), ("36500d", "3153600000000")], "rfr"),
            (
                "--retry-queue",
                [("slow", "slow"), (String(repeating: "q", count: 128), String(repeating: "q", count: 128))], "rqu"
            ),
            ("--timeout", [("1ms", "1"), ("30s", "30000"), ("36500d", "3153600000000")], "tmo"),
            ("--delivery", [("at-least-once", "alo"), ("at-most-once", "amo")], "dlv"),
            ("--crash-retries", [("0", "0"), ("3", "3"), ("all", "all"), ("1000000", "1000000")], "crm"),
            ("--crash-window", [("0", "0"), ("72h", "259200000"), ("36500d", "3153600000000")], "crw"),
            ("--unique-until", [("started", "started")], "unu"),
        ]

        @Test("at their least, at their most and between", arguments: accepted.indices)
        func takes(index: Int) async throws {
            let (flag, values, field) = Self.accepted[index]
            try await CLIBench.with { bench in
                for (value, expected) in values {
                    let more = flag == "--unique-until" ? ["--unique", "60s"] : []
                    let id = try #require(try await bench.enqueue(["Mail", flag, value] + more).first)
                    #expect(try await bench.records.job(id)[field] == expected, "\(flag) \(value)")
                }
            }
        }

        @Test("a time to expire counts from when the job is due")
        func expires() async throws {
            try await CLIBench.with { bench in
                for (value, milliseconds) in [("1ms", 1), ("36500d", 3_153_600_000_000)] {
                    let job = try await bench.records.job(
                        try await bench.lines("enqueue", "Mail", "--expires", value)[0]
                    )
                    #expect(Int(job["exp"] ?? "") == Int(job["qat"] ?? "").map { $0 + milliseconds })
                }
                let later = try await bench.lines("enqueue", "Mail", "--expires", "5s", "--in", "1h")
                let job = try await bench.records.job(later[0])
                #expect(Int(job["exp"] ?? "") == Int(job["pat"] ?? "").map { $0 + 5000 })
            }
        }

        @Test("where it is to run, and for how long it waits for that")
        func places() async throws {
            try await CLIBench.with { bench in
                for (flags, expected) in [
                    (["--on", "web-1.local"], ["on": "web-1.local"]), (["--avoiding", "w"], ["avo": "w"]),
                    (["--on", "w", "--fallback", "30s"], ["on": "w", "fbk": "30000"]),
                    (["--on", "w", "--fallback", "0"], ["on": "w", "fbk": "0"]),
                    (["--avoiding", "w", "--fallback", "never"], ["avo": "w", "fbk": "never"]),
                ] {
                    let id = try #require(try await bench.enqueue(["Mail"] + flags).first)
                    let job = try await bench.records.job(id)
                    #expect(job.filter { ["on", "avo", "fbk"].contains($0.key) } == expected)
                }
                for (flags, words) in [
                    (["--on", "a b"], "no name of a worker"), (["--on", ""], "no name of a worker"),
                    (["--on", "a", "--avoiding", "b"], "exclude each other"),
                    (["--fallback", "1s"], "needs --on or --avoiding"),
                    (["--on", "a", "--fallback", "soon"], "a time such as 30s, or never"),
                    (["--on", "a", "--fallback", "-1"], "a time such as 30s, or never"),
                ] {
                    let ran = try await bench.cli(["enqueue", "Mail"] + flags)
                    #expect(ran.exit == .status(64) && ran.error.contains(words), "\(flags): \(ran.error)")
                }
            }
        }

        @Test("what waits for a node is listed and shown, and attempts by their node")
        func shown() async throws {
            try await CLIBench.with { bench in
                try await bench.running("r")
                try await bench.records.send([
                    [
                        "HSET", bench.key("jobs:p"), "que", "q", "cls", "Mail", "qat", "1", "on", "w", "pla", "on:w",
                        "fbk", "30000",
                    ],
                    ["RPUSH", bench.key("placed:q:on:w"), "p"], ["SADD", bench.key("places"), "q:on:w"],
                ])
                #expect(try await bench.lines("jobs", "placed", "-q", "q").last?.hasPrefix("p ") == true)
                let job = try await bench.lines("job", "p").joined(separator: "\n")
                #expect(job.contains("placed") && job.contains("after 30s") && job.contains("on:w"))
                for node in ["n", "n-1-00000000"] {
                    #expect(try await bench.lines("jobs", "processing", "-q", "q", "--node", node).count == 2)
                }
                #expect(try await bench.cli("jobs", "processing", "-q", "q", "--node", "m").error.contains("none"))
                let ran = try await bench.cli("jobs", "ready", "--node", "n")
                #expect(ran.exit == .status(64) && ran.error.contains("lists of attempts"))
            }
        }

        @Test("those not given leave no field")
        func none() async throws {
            try await CLIBench.with { bench in
                let id = try await bench.lines("enqueue", "Mail")[0]
                #expect(Set(try await bench.records.job(id).keys) == ["que", "cls", "arg", "qat"])
            }
        }

        // MARK: Errors

        static let refused: [(flag: String, values: [String])] = [
            ("--retries", ["-1", "1000001", "three", "1.5", "", "99999999999999999999"]),
            (
                "--backoff",
                [
                    "-5s", "fixed", "fixed:", "fixed:-5s", "fixed:soon", "fixed:366d", "linear:1s,2s", "list:",
                    "list:1s,",
                    "quadratic:1s", "", "custom", "list:" + Array(repeating: "1s", count: 101).joined(separator: ","),
                ]
            ),
            ("--retry-for", ["-1s", "36501d", "soon", "", "nan"]),
            ("--retry-queue", ["", "a b", "a:b", String(repeating: "q", count: 129)]),
            ("--timeout", ["0", "0.5ms", "-30s", "36501d", "soon", "inf"]),
            ("--expires", ["0", "-1h", "36501d", "soon"]),
            ("--delivery", ["-1", "exactly-once", "", "amo"]),
            ("--crash-retries", ["-1", "1000001", "many", "1.5"]),
            ("--crash-window", ["-1h", "36501d", "soon"]),
            ("--unique", ["0", "-60s", "36501d", "soon"]),
            ("--unique-key", ["", String(repeating: "k", count: 4097)]),
            ("--unique-until", ["now", "-1"]),
            ("--on-duplicate", ["drop", ""]),
        ]

        @Test("others are refused as errors of usage that name the flag", arguments: refused.indices)
        func refuses(index: Int) async throws {
            let (flag, values) = Self.refused[index]
            try await CLIBench.with { bench in
                let more = flag.hasPrefix("--unique-") || flag == "--on-duplicate" ? ["--unique", "60s"] : []
                for value in values {
                    let command = ["Mail", "\(flag)=\(value)"] + more
                    #expect {
                        _ = try EnqueueCommand.parse(command)
                    } throws: { error in
                        EnqueueCommand.exitCode(for: error).rawValue == 64
                            && EnqueueCommand.message(for: error).contains(flag)
                    }
                }
                let ran = try await bench.cli("enqueue", "Mail", "\(flag)=\(values[0])")
                #expect(ran.exit == .status(64))
                #expect(ran.error.contains(flag))
                #expect(ran.output == "")
                #expect(try await bench.records("EXISTS", bench.key("ready:default")).int == 0)
            }
        }

        @Test(
            "what belongs to a lock needs one",
            arguments: ["--unique-key=k", "--unique-until=started", "--on-duplicate=skip"]
        )
        func needsUnique(flag: String) throws {
            #expect { _ = try EnqueueCommand.parse(["Mail", flag]) } throws: { error in
                EnqueueCommand.exitCode(for: error).rawValue == 64
                    && EnqueueCommand.message(for: error).contains("\(flag.prefix { $0 != "=" }) needs --unique")
            }
        }

        @Test("a list of delays has up to a hundred, a key up to 4096 bytes")
        func longest() throws {
            let list = "list:" + Array(repeating: "1s", count: 100).joined(separator: ",")
            let key = String(repeating: "k", count: 4096)
            let command = try EnqueueCommand.parse([
                "Mail", "--backoff", list, "--unique", "36500d", "--unique-key", key,
            ])
            guard case .list(let delays) = command.options.options.backoff else {
                Issue.record("it is no list")
                return
            }
            #expect(delays.count == 100)
            #expect(command.options.options.unique == .unique(for: .seconds(36_500 * 86_400), by: .key(key)))
        }

        // MARK: Uniqueness

        @Test("a duplicate prints the ID of the job that holds the lock, and says so")
        func duplicates() async throws {
            try await CLIBench.with { bench in
                let first = try await bench.lines("enqueue", "Mail", #"{"n":1}"#, "--unique", "60s", "-q", "q")[0]
                let second = try await bench.cli("enqueue", "Mail", #"{"n":1}"#, "--unique", "60s", "-q", "q")
                #expect(second.exit == .status(0))
                #expect(second.output == first + "\n")
                #expect(second.error.contains("duplicate"))
                let other = try await bench.lines("enqueue", "Mail", #"{"n":2}"#, "--unique", "60s", "-q", "q")[0]
                #expect(try await bench.ready() == [first, other])
                // By a key of one's own, and with an ID of one's own.
                let keyed = ["enqueue", "Mail", "--unique", "60s", "--unique-key", "k", "-q", "q"]
                let third = try await bench.lines(keyed + ["--id", "mine"])
                #expect(third == ["mine"])
                let fourth = try await bench.cli(keyed + [#"{"n":4}"#, "--id", "other"])
                #expect(fourth.output == "mine\n" && fourth.error.contains("duplicate"))
                #expect(try await bench.records("EXISTS", bench.key("jobs:other")).int == 0)
            }
        }

        @Test("a duplicate may change the job that waits", arguments: ["replace-arguments", "replace-time", "replace"])
        func replacing(mode: String) async throws {
            try await CLIBench.with { bench in
                let command = ["enqueue", "Mail", "--unique", "60s", "--unique-key", "k", "-q", "q", "--in", "1h"]
                let first = try await bench.lines(command + ["[1]"])[0]
                let before = try await bench.records.job(first)
                let second = try await bench.cli(
                    "enqueue",
                    "Mail",
                    "[2]",
                    "--unique",
                    "60s",
                    "--unique-key",
                    "k",
                    "-q",
                    "q",
                    "--in",
                    "2h",
                    "--on-duplicate",
                    mode
                )
                #expect(second.output == first + "\n")
                let after = try await bench.records.job(first)
                #expect(after["arg"] == (mode == "replace-time" ? "[1]" : "[2]"))
                #expect((after["pat"] == before["pat"]) == (mode == "replace-arguments"))
            }
        }

        @Test("many at once, by --count and from a file")
        func many() async throws {
            try await CLIBench.with { bench in
                let copies = try await bench.cli(
                    "enqueue",
                    "Mail",
                    "-q",
                    "q",
                    "--count",
                    "3",
                    "--unique",
                    "60s",
                    "--retries",
                    "0"
                )
                #expect(copies.exit == .status(0))
                #expect(copies.lines.count == 3 && Set(copies.lines).count == 1)
                #expect(copies.error == "2 of 3 are duplicates: their lines name the jobs that hold the locks.\n")
                #expect(try await bench.records.job(copies.lines[0])["ret"] == "0")

                let file = try await bench.cli(
                    "enqueue",
                    "Mail",
                    "-q",
                    "q",
                    "--unique",
                    "60s",
                    "--timeout",
                    "5s",
                    "--file",
                    "-",
                    input: "[1]\n[2]\n[1]\n"
                )
                #expect(file.exit == .status(0))
                #expect(file.lines.count == 3 && file.lines[0] == file.lines[2] && file.lines[0] != file.lines[1])
                #expect(file.error.contains("1 of 3"))
                #expect(try await bench.ready() == [copies.lines[0], file.lines[0], file.lines[1]])
                #expect(try await bench.records.job(file.lines[1])["tmo"] == "5000")

                let plain = try await bench.lines("enqueue", "Mail", "-q", "p", "--count", "2500", "--retries", "7")
                #expect(Set(plain).count == 2500)
                #expect(try await bench.records.job(plain[2499])["ret"] == "7")
            }
        }
    }
}

extension CLIBench {
    fileprivate func enqueue(_ arguments: [String]) async throws -> [String] {
        try await lines(["enqueue"] + arguments)
    }
}

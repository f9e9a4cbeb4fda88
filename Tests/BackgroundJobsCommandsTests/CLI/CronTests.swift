import BackgroundJobs
import Foundation
import TestSupport
import Testing

@testable import BackgroundJobsCommands

extension CLI {
    @Suite("cron") struct Cron {
        @Test("add: writes all that it was told, and changes what was made by hand")
        func add() async throws {
            try await CLIBench.with { bench in
                let all = [
                    "cron", "add", "nightly", "0 3  * * *", "Cleanup", #"{"days":30}"#, "-q", "low", "--tz",
                    "Europe/Berlin",
                    "--missed", "none", "--no-overlap", "--count", "5", "--until", "2099-01-01T00:00:00Z", "--retries",
                    "2",
                    "--timeout", "30s", "--expires", "1h",
                ]
                let ran = try await bench.cli(all)
                #expect(ran.exit == .status(0))
                #expect(
                    ran.output.wholeMatch(of: /nightly added, next 20\d\d-.*T0[12]:00:00.000Z\n/) != nil,
                    "\(ran.output)"
                )
                #expect(ran.error == "No watcher is connected: nobody fires it.\n")
                let hash = try await bench.records("HGETALL", bench.key("cron:nightly")).fields
                #expect(
                    hash == [
                        "exp": "0 3 * * *", "cls": "Cleanup", "arg": #"{"days":30}"#, "que": "low",
                        "tz": "Europe/Berlin",
                        "mis": "none", "ovl": "skip", "cnt": "5", "unt": "4070908800000", "ret": "2", "tmo": "30000",
                        "ttl": "3600000",
                    ]
                )
                #expect(try await bench.cli(all).output.hasPrefix("nightly unchanged, next"))
                #expect(
                    try await bench.cli("cron", "add", "nightly", "every 5m", "Mail").output.hasPrefix(
                        "nightly changed, next"
                    )
                )
                let changed = try await bench.records("HGETALL", bench.key("cron:nightly")).fields
                #expect(changed == ["exp": "every:300000", "cls": "Mail", "arg": "{}", "que": "default"])
            }
        }

        @Test("what was damaged by hand is told of, runs nothing, and can be removed")
        func damaged() async throws {
            try await CLIBench.with { bench in
                let hash = ["exp", "every:60000", "cls", "C C", "que", "q q", "arg", "{}"]
                try await bench.records.send([
                    ["HSET", bench.key("cron:bad")] + hash, ["ZADD", bench.key("crons"), "+inf", "bad"],
                    ["ZADD", bench.key("crons"), "+inf", "a b"],
                ])
                let ran = try await bench.cli("cron", "run", "bad")
                #expect(ran.exit == .status(1) && ran.output == "" && ran.error.contains("is no name of a queue"))
                #expect(try await bench.records("EXISTS", bench.key("queues")).int == 0)
                let shown = try await bench.cli("cron", "show", "bad")
                #expect(
                    shown.error.contains("The queue name “q q”") && shown.error.contains("The class name “C C”")
                )
                try await bench.records("HSET", bench.key("cron:bad"), "exp", "nonsense", "pau", "1")
                let resumed = try await bench.cli("cron", "resume", "bad")
                #expect(resumed.exit == .status(1) && resumed.error.contains("The periodic job bad can't be resumed"))
                for name in ["bad", "a b"] {
                    #expect(try await bench.cli("cron", "remove", name).output == "\(name) removed\n")
                }
                #expect(try await bench.cli("cron", "list").error == "There are no periodic jobs.\n")
            }
        }

        @Test("show: the times that a paused one would have")
        func pausedTimes() async throws {
            try await CLIBench.with { bench in
                _ = try await bench.cli("cron", "add", "rests", "0 0 1 1 *", "Mail")
                _ = try await bench.cli("cron", "pause", "rests")
                let shown = try await bench.cli("cron", "show", "rests")
                #expect(
                    shown.output.contains("if resumed")
                        && shown.output.split(separator: "\n").count { $0.contains("-01-01T00:00:00.000Z") } == 5
                )
            }
        }

        @Test("list and show: what there is, and the next five times")
        func show() async throws {
            try await CLIBench.with { bench in
                #expect(try await bench.cli("cron", "list").error == "There are no periodic jobs.\n")
                _ = try await bench.cli("cron", "add", "a", "0 0 1 1 *", "Mail", "--until", "2099-01-01T00:00:00Z")
                _ = try await bench.cli(
                    "cron",
                    "add",
                    "b",
                    "every 90s",
                    "Mail",
                    "--timeout",
                    "90s",
                    "--backoff",
                    "fixed:5s"
                )
                try await bench.records("HSET", bench.key("cron:b"), "ret", "some", "note", "mine")
                let other = try await bench.lines("cron", "show", "b")
                for line in [
                    "  time limit    90s", "  backoff       fixed:5000", "  (ret)         some", "  (note)        mine",
                ] { #expect(other.contains(line), "\(other)") }
                _ = try await bench.cli("cron", "pause", "b")
                try await bench.records("SET", bench.key("cron:c"), "x")
                try await bench.records("ZADD", bench.key("crons"), "5", "c")
                let list = try await bench.cli("cron", "list")
                #expect(list.exit == .status(0) && list.error.contains("cron:c is no hash"))
                #expect(list.lines.map { $0.split(separator: " ").first } == ["name", "c", "a", "b"])
                #expect(list.lines[3].contains("every 90s") && list.lines[3].contains("paused"))
                let json = try JSONDecoder().decode(
                    [Record].self,
                    from: Data(try await bench.cli("cron", "list", "--json").output.utf8)
                )
                #expect(json.map(\.name) == ["c", "a", "b"] && json.map(\.state) == ["damaged", "active", "paused"])

                let shown = try await bench.lines("cron", "show", "a")
                #expect(shown[0] == "periodic job a" && shown.contains { $0.hasPrefix("  schedule      0 0 1 1 *") })
                #expect(shown.filter { $0.contains("-01-01T00:00:00.000Z") }.count == 6, "\(shown)")
                #expect(try await bench.cli("cron", "show", "nobody").exit == .status(1))
                #expect(try await bench.cli("cron", "show", "c").exit == .status(1))
            }
        }

        private struct Record: Decodable {
            var name: String
            var state: String
        }

        @Test("pause, resume, run and remove")
        func steering() async throws {
            try await CLIBench.with { bench in
                _ = try await bench.cli("cron", "add", "p", "@daily", "Mail", "-q", "q")
                #expect(try await bench.lines("cron", "pause", "p") == ["p paused"])
                #expect(try await bench.records("ZSCORE", bench.key("crons"), "p").text == "inf")
                let again = try await bench.cli("cron", "add", "p", "@daily", "Other", "-q", "q")
                #expect(again.output == "p changed, paused\n" && again.error.contains("bg-cli cron resume p"))
                #expect(try await bench.lines("cron", "resume", "p") == ["p resumed"])
                #expect(try await bench.lines("cron", "resume", "p") == ["p resumed"])
                #expect(try await bench.records("ZSCORE", bench.key("crons"), "p").text != "inf")
                let job = try #require(try await bench.lines("cron", "run", "p").first)
                #expect(try await bench.ready() == [job])
                #expect(try await bench.lines("job", job).contains("  periodic job  p"))
                try await bench.records("HSET", bench.key("cron:p"), "end", "enough", "own", "shop")
                for verb in ["pause", "resume"] {
                    let ran = try await bench.cli("cron", verb, "p")
                    #expect(ran.exit == .status(1) && ran.lines == ["p ended"])
                }
                let foreign = try await bench.cli("cron", "add", "p", "@daily", "Mail")
                #expect(foreign.exit == .status(1) && foreign.error.contains("shop"))
                let removed = try await bench.cli("cron", "remove", "p")
                #expect(removed.lines == ["p removed"] && removed.error.contains("shop"))
                for verb in ["pause", "resume", "run", "remove"] {
                    let ran = try await bench.cli("cron", verb, "p")
                    #expect(ran.exit == .status(1) && ran.error == "Error: There is no periodic job with the name p.\n")
                }
            }
        }

        @Test("next: the times of an expression, without Redis")
        func next() async throws {
            let ran = try await Program.run(
                "bg-cli",
                ["cron", "next", "0 0 1 1 *", "--tz", "Asia/Kathmandu", "-c", "2", "-r", "redis://127.0.0.1:1"]
            )
            #expect(ran.exit == .status(0) && ran.lines.count == 2)
            #expect(
                ran.lines.allSatisfy { $0.contains("-12-31T18:15:00.000Z  ") && $0.hasSuffix("-01-01 00:00:00 +05:45") }
            )
            let json = try await Program.run("bg-cli", ["cron", "next", "@yearly", "--json"])
            #expect(try JSONDecoder().decode([String].self, from: Data(json.output.utf8)).count == 5)
        }

        @Test(
            "refuses what is wrong, and says what to write",
            arguments: [
                (["add", "p", "0 3 L * *", "C"], "28-31"), (["add", "p", "0 0 30 2 *", "C"], "no date matches"),
                (["add", "p", "* * * * *", "C", "--tz", "Berlin"], "Europe/Berlin"),
                (["add", "p", "every", "C"], "every 30s"),
                (["add", "p", "every 1ms", "C"], "100 ms"), (["add", "p", "every x", "C"], "500ms"),
                (["add", "p", "every 5s", "C", "--tz", "UTC"], "leave out --tz"),
                (["add", "p", "@daily", "C", "{"], "JSON"),
                (["add", "p:q", "@daily", "C"], "name of the periodic job"),
                (["add", "p", "@daily", "a b"], "class name"),
                (["add", "p", "@daily", "C", "--count", "0"], "--count"),
                (["add", "p", "@daily", "C", "--count", "-1"], "--count"),
                (["add", "p", "@daily", "C", "--until", "soon"], "2026-12-01T08:00:00Z"),
                (["add", "p", "@daily", "C", "--until", "2020-01-01T00:00:00Z"], "never run"),
                (["add", "p", "@daily", "C", "--missed", "all"], "once, none"),
                (["add", "p", "@daily", "C", "--unique", "5s"], "--no-overlap"), (["add", "p", "@daily"], "<class>"),
                (["next", "x"], "five belong"), (["next", "@daily", "-c", "0"], "--count"),
                (["show", "a b"], "name of the periodic job"),
            ] as [([String], String)]
        )
        func usage(_ arguments: [String], _ words: String) async throws {
            try await CLIBench.with { bench in
                let ran = try await bench.cli(["cron"] + arguments)
                #expect(ran.exit == .status(64) && ran.output == "" && ran.error.contains(words), "\(ran.error)")
                #expect(try await bench.records("EXISTS", bench.key("crons")).int == 0)
            }
        }
    }
}

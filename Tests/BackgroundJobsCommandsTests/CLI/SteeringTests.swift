import ArgumentParser
import BackgroundJobs
import Foundation
import TestSupport
import Testing

@testable import BackgroundJobsCommands

extension CLI {
    @Suite("cancel") struct Cancel {
        @Test("says what became of each, and goes on behind one that is not there")
        func all() async throws {
            try await CLIBench.with { bench in
                let waiting = try await bench.manager.enqueue("Mail", queue: "q").id
                let later = try await bench.manager.enqueue("Mail", in: .seconds(600), queue: "q").id
                try await bench.running("r")
                try await bench.dead("d", at: 1)
                let ran = try await bench.cli("cancel", "d", waiting, "nobody", "r", later)
                #expect(ran.exit == .status(1))
                #expect(
                    ran.lines == ["d ended", "\(waiting) cancelled", "nobody missing", "r told", "\(later) cancelled"]
                )
                #expect(ran.error == "")
                for id in [waiting, later] { #expect(try await bench.records.job(id)["end"] == "Cancelled") }
                #expect(try await bench.records.job("r")["cnl"] == "1")
                #expect(try await bench.records.dead("q") == ["d"])
                #expect(try await bench.ready() == [])
            }
        }

        @Test("succeeds where all could be cancelled")
        func success() async throws {
            try await CLIBench.with { bench in
                let job = try await bench.manager.enqueue("Mail", queue: "q").id
                #expect(try await bench.lines("cancel", job) == ["\(job) cancelled"])
            }
        }

        @Test("refuses what can be no ID before it does anything", arguments: [[], ["a b"], ["ok", "x:y"], [""]])
        func usage(ids: [String]) async throws {
            try await CLIBench.with { bench in
                try await bench.running("ok")
                let ran = try await bench.cli(["cancel"] + ids)
                #expect(ran.exit == .status(64) && ran.output == "")
                #expect(try await bench.records.job("ok")["cnl"] == nil)
            }
        }
    }

    @Suite("retry") struct Retry {
        @Test("by ID, says what became of each")
        func ids() async throws {
            try await CLIBench.with { bench in
                try await bench.dead("d", at: 1)
                let waiting = try await bench.manager.enqueue("Mail", queue: "q").id
                let later = try await bench.manager.enqueue("Mail", in: .seconds(600), queue: "q").id
                try await bench.running("r")
                #expect(
                    try await bench.lines("retry", "d", waiting, later, "r")
                        == ["d queued", "\(waiting) waiting", "\(later) queued", "r running"]
                )
                #expect(try await bench.ready() == [waiting, "d", later])
                #expect(try await bench.records.dead("q") == [])
                let job = try await bench.records.job("d")
                #expect(job["end"] == nil && job["ers"] == nil && job["att"] == "1")

                try await bench.records.send([
                    ["HSET", bench.key("jobs:c"), "que", "q", "cls", "C", "las", "a"],
                    ["HSET", bench.key("attempts:a"), "job", "c", "que", "q", "fin", "1"],
                    ["SET", bench.key("jobs:s"), "no hash"],
                ])
                try await bench.dead("d2", at: 1)
                let ran = try await bench.cli("retry", "c", "nobody", "s", "d2")
                #expect(ran.exit == .status(1))
                #expect(ran.lines == ["c ended", "nobody missing", "s damaged", "d2 queued"])
                #expect(ran.error.contains("jobs:s"))
            }
        }

        @Test("--all: the dead jobs of the queue, the oldest first, by class and error")
        func all() async throws {
            try await CLIBench.with { bench in
                try await bench.dead("m1", "Mail", error: "SMTPDown", at: 3)
                try await bench.dead("m2", "Mail", error: "SMTPRefused", at: 1)
                try await bench.dead("m3", "Mail", error: "Timeout", at: 2)
                try await bench.dead("n1", "MailList", error: "SMTPDown", at: 4)
                try await bench.dead("other", queue: "p", at: 1)
                #expect(
                    try await bench.lines("retry", "--all", "-q", "q", "--class", "Nap") == ["0 queued again"]
                )
                #expect(
                    try await bench.lines("retry", "--all", "-q", "q", "--class", "Mail", "--error", "SMTP*")
                        == ["2 queued again"]
                )
                #expect(try await bench.ready() == ["m2", "m1"])
                #expect(
                    try await bench.lines("retry", "--all", "-q", "q", "--class", "Mail*", "--error", "SMTPDown")
                        == ["1 queued again"]
                )
                #expect(try await bench.lines("dead", "retry", "--all", "-q", "q") == ["1 queued again"])
                #expect(try await bench.ready() == ["m2", "m1", "n1", "m3"])
                #expect(try await bench.records.dead("q") == [])
                #expect(try await bench.records.dead("p") == ["other"])
            }
        }

        @Test("--all goes on behind what is damaged, and says so")
        func damaged() async throws {
            try await CLIBench.with { bench in
                try await bench.dead("d1", at: 1)
                try await bench.dead("d2", at: 2)
                try await bench.records.send([
                    ["DEL", bench.key("jobs:d1")], ["SET", bench.key("jobs:d1"), "no hash"],
                ])
                let ran = try await bench.cli("retry", "--all", "-q", "q")
                #expect(ran.exit == .status(1) && ran.output == "1 queued again\n")
                #expect(ran.error.contains(bench.key("jobs:d1")))
                #expect(try await bench.ready() == ["d2"])
            }
        }

        @Test("--edit enqueues a copy with other arguments, and notes its origin")
        func edit() async throws {
            try await CLIBench.with { bench in
                let options = ["--retries", "2", "--backoff", "list:1s,2s", "--retry-for", "1h", "--retry-queue", "s"]
                let others = [
                    "--timeout", "5s", "--delivery", "at-most-once", "--crash-retries", "all", "--crash-window", "0",
                ]
                let lock = ["--unique", "1h", "--expires", "1h", "--in", "1h"]
                let id = try await bench.lines(["enqueue", "Mail", "[1]", "-q", "q"] + options + others + lock)[0]
                try await bench.records.send([
                    ["HSET", bench.key("jobs:\(id)"), "ers", "2", "crs", "1", "crt", "1", "att", "3"]
                ])
                let copies = try await bench.lines("retry", id, "--edit", #"{"n":2}"#)
                let copy = try #require(copies.first)
                #expect(copies.count == 1 && copy != id && copy.wholeMatch(of: /[0-9a-f-]{36}/) != nil)
                var fields = try await bench.records.job(copy)
                #expect(Int(fields.removeValue(forKey: "qat") ?? "") ?? 0 > 1_700_000_000_000)
                #expect(
                    fields == [
                        "que": "q", "cls": "Mail", "arg": #"{"n":2}"#, "ret": "2", "bck": "list:1000,2000",
                        "rfr": "3600000",
                        "rqu": "s", "tmo": "5000", "dlv": "amo", "crm": "all", "crw": "0", "ori": id,
                    ]
                )
                #expect(try await bench.ready() == [copy])
                #expect(try await bench.records.job(id)["arg"] == "[1]")
                #expect(try await bench.lines("job", copy).contains("  copy of       \(id)"))

                let missing = try await bench.cli("retry", "nobody", "--edit", "{}")
                #expect(missing.exit == .status(1) && missing.output == "" && missing.error.contains("nobody"))
            }
        }

        @Test(
            "what it can't understand is an error of usage",
            arguments: [
                [], ["--all"], ["a", "--all", "-q", "q"], ["a", "-q", "q"], ["a", "--class", "C"],
                ["a", "--error", "E"],
                ["--all", "-q", "a:b"], ["--all", "-q", "q", "--class", ""], ["--all", "-q", "q", "--error", ""],
                ["a b"], ["a", "--edit", "{"], ["a", "b", "--edit", "{}"], ["--all", "-q", "q", "--edit", "{}"],
                ["--edit", "{}"],
                ["a", "--edit", String(repeating: "[", count: 65) + String(repeating: "]", count: 65)],
            ]
        )
        func usage(arguments: [String]) {
            #expect { try RetryCommand.parse(arguments) } throws: { RetryCommand.exitCode(for: $0).rawValue == 64 }
        }
    }

    @Suite("dead") struct Dead {
        @Test("list shows time, ID, class, error and message, and is what dead alone does")
        func list() async throws {
            try await CLIBench.with { bench in
                try await bench.dead("d1", at: 1_000)
                try await bench.dead("d2", "Nap", error: "E", at: 2_000)
                try await bench.dead("d3", error: "E", queue: "p", at: 3_000)
                try await bench.records.send([["SADD", bench.key("queues"), "p", "q"]])
                let table = try await bench.lines("dead", "list", "-q", "q")
                #expect(
                    table == [
                        "died                      id  queue  class  error    message",
                        "1970-01-01T00:00:02.000Z  d2  q      Nap    E        no such host",
                        "1970-01-01T00:00:01.000Z  d1  q      Mail   Timeout  no such host",
                    ]
                )
                #expect(try await bench.lines("dead", "-q", "q") == table)
                #expect(try await bench.lines("dead").count == 4)
                #expect(try await bench.lines("dead", "list", "--class", "Mail", "--error", "T*").count == 2)
                let first = try await bench.cli("dead", "list", "-q", "q", "--limit", "1")
                #expect(first.lines.count == 2 && first.lines[1].contains("d2"))
                #expect(first.error == "There are more: --offset 1\n")
                let json = try await bench.cli("dead", "list", "-q", "q", "--error", "E", "--json")
                let page = try #require(
                    try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
                )
                let entries = try #require(page["entries"] as? [[String: Any]])
                #expect(entries.map { $0["id"] as? String } == ["d2"])
                #expect((entries[0]["attempt"] as? [String: Any])?["message"] as? String == "no such host")
                let none = try await bench.cli("dead", "list", "-q", "empty")
                #expect(none.exit == .status(0) && none.output == "" && none.error == "There are none.\n")
            }
        }

        @Test("show is like job")
        func show() async throws {
            try await CLIBench.with { bench in
                try await bench.dead("d1", at: 1_000)
                #expect(try await bench.lines("dead", "show", "d1") == bench.lines("job", "d1"))
                #expect(
                    try await bench.cli("dead", "show", "d1", "--json").output
                        == bench.cli("job", "d1", "--json").output
                )
                let missing = try await bench.cli("dead", "show", "nobody")
                #expect(missing.exit == .status(1) && missing.output == "" && missing.error.contains("nobody"))
            }
        }

        @Test("retry and delete, by ID")
        func ids() async throws {
            try await CLIBench.with { bench in
                for (index, id) in ["d1", "d2", "d3"].enumerated() { try await bench.dead(id, at: index) }
                #expect(try await bench.lines("dead", "retry", "d1") == ["d1 queued"])
                #expect(try await bench.lines("dead", "delete", "d2") == ["d2 deleted"])
                let ran = try await bench.cli("dead", "delete", "d2", "nobody", "d3", "-q", "q")
                #expect(ran.exit == .status(1))
                #expect(ran.lines == ["d2 missing", "nobody missing", "d3 deleted"])
                #expect(try await bench.records.dead("q") == [])
                #expect(try await bench.records.failed("q") == ["a-d1"])
                #expect(try await bench.records.attempt("a-d2").isEmpty)
            }
        }

        @Test("delete finds a job that died on its retry queue")
        func onRetryQueue() async throws {
            try await CLIBench.with { bench in
                try await bench.dead("d", queue: "retries", at: 1)
                try await bench.records.send([["HSET", bench.key("jobs:d"), "que", "q"]])
                #expect(try await bench.lines("dead", "delete", "d") == ["d deleted"])
                #expect(try await bench.records.dead("retries") == [])
            }
        }

        @Test("delete --all asks, and without a terminal does nothing unless it is told to")
        func deleteAsks() async throws {
            try await CLIBench.with { bench in
                let ran = try await bench.cli("dead", "delete", "--all", "-q", "q", "--class", "Mail*")
                #expect(
                    ran.exit == .status(64) && ran.error.contains("This deletes the dead jobs of q of the class Mail*.")
                )
            }
        }

        @Test("delete --all, by class and error")
        func deleteAll() async throws {
            try await CLIBench.with { bench in
                try await bench.dead("d1", error: "SMTPDown", at: 1)
                try await bench.dead("d2", "Nap", error: "SMTPDown", at: 2)
                try await bench.dead("d3", at: 3)
                #expect(
                    try await bench.cli(
                        "dead",
                        "delete",
                        "--all",
                        "--yes",
                        "-q",
                        "q",
                        "--class",
                        "Mail",
                        "--error",
                        "SMTP*"
                    ).lines == ["1 deleted"]
                )
                #expect(try await bench.records.dead("q") == ["d2", "d3"])
                #expect(try await bench.cli("dead", "delete", "--all", "--yes", "-q", "q").lines == ["2 deleted"])
                #expect(try await bench.records.failed("q") == [])
            }
        }

        @Test("many, in steps")
        func many() async throws {
            try await CLIBench.with { bench in
                let ids = (0..<1300).map { "d\($0)" }
                try await bench.records.send(
                    ids.flatMap { id in
                        [
                            ["HSET", bench.key("jobs:\(id)"), "que", "q", "cls", "C", "end", "Dead"],
                            ["ZADD", bench.key("dead:q"), "\(Int(id.dropFirst())! / 400)", id],
                        ]
                    }
                )
                #expect(try await bench.lines("dead", "retry", "--all", "-q", "q") == ["1300 queued again"])
                #expect(Set(try await bench.ready()) == Set(ids))
                #expect(try await bench.records.dead("q") == [])
            }
        }
    }

    @Suite("failed") struct Failed {
        @Test("list and show are about attempts")
        func looking() async throws {
            try await CLIBench.with { bench in
                try await bench.dead("d1", at: 1_000)
                try await bench.failed("x", of: "gone", "Nap", error: "E", at: 2_000)
                try await bench.records.send([["DEL", bench.key("jobs:gone")]])
                #expect(
                    try await bench.lines("failed", "list", "-q", "q") == [
                        "ended                     id    job   queue  class  error    message",
                        "1970-01-01T00:00:02.000Z  x     gone  q      -      E        no such host",
                        "1970-01-01T00:00:01.000Z  a-d1  d1    q      Mail   Timeout  no such host",
                    ]
                )
                #expect(try await bench.lines("failed", "-q", "q", "--error", "Time*").count == 2)
                let shown = try await bench.lines("failed", "show", "a-d1")
                #expect(
                    shown[0] == "attempt 1, a-d1" && shown.contains("job d1") && shown.contains("  state         dead")
                )
                let json = try await bench.cli("failed", "show", "x", "--json")
                let object = try #require(
                    try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
                )
                #expect((object["attempt"] as? [String: Any])?["id"] as? String == "x")
                #expect(object["job"] == nil)
                let missing = try await bench.cli("failed", "show", "d1")
                #expect(missing.exit == .status(1) && missing.output == "" && missing.error.contains("no attempt"))
            }
        }

        @Test("retry runs the job of an attempt, each once")
        func retry() async throws {
            try await CLIBench.with { bench in
                try await bench.failed("a1", of: "d1", at: 1)
                try await bench.dead("d1", at: 2)
                try await bench.dead("d2", at: 3)
                let ran = try await bench.cli("failed", "retry", "a1", "a-d1", "nothing")
                #expect(ran.exit == .status(1))
                #expect(ran.lines == ["a1 queued", "a-d1 queued", "nothing missing"])
                #expect(try await bench.ready() == ["d1"])
                #expect(
                    try await bench.lines("failed", "retry", "--all", "-q", "q", "--error", "T*", "--class", "Nap")
                        == ["0 queued again"]
                )
                let all = try await bench.cli("failed", "retry", "--all", "-q", "q")
                #expect(all.exit == .status(0) && all.output == "1 queued again\n")
                #expect(all.error.contains("1 were left"))
                #expect(try await bench.ready() == ["d1", "d2"])
            }
        }

        @Test("delete keeps the last attempts of dead jobs")
        func delete() async throws {
            try await CLIBench.with { bench in
                try await bench.dead("d1", at: 1)
                for id in ["x1", "x2", "x3"] { try await bench.failed(id, of: "j-\(id)", error: id, at: 2) }
                let ran = try await bench.cli("failed", "delete", "a-d1", "x1", "nothing")
                #expect(ran.exit == .status(1))
                #expect(ran.lines == ["a-d1 kept", "x1 deleted", "nothing missing"])
                #expect(
                    try await bench.cli("failed", "delete", "--all", "--yes", "-q", "q", "--error", "x2").lines
                        == ["1 deleted"]
                )
                let all = try await bench.cli("failed", "delete", "--all", "--yes", "-q", "q")
                #expect(all.exit == .status(0) && all.output == "1 deleted\n")
                #expect(all.error.contains("1 stay"))
                #expect(try await bench.records.failed("q") == ["a-d1"])
                // A member whose hash is gone: only the queue tells where it is.
                try await bench.records.send([["ZADD", bench.key("failed:q"), "1", "stray"]])
                #expect(try await bench.cli("failed", "delete", "stray").lines == ["stray missing"])
                #expect(try await bench.lines("failed", "delete", "stray", "-q", "q") == ["stray deleted"])
            }
        }
    }

    @Suite("Redis") struct Trouble {
        @Test(
            "a key of a wrong type is named",
            arguments: ["ready", "scheduled", "processing", "failed", "dead", "suspects"]
        )
        func wrongType(state: String) async throws {
            try await CLIBench.with { bench in
                try await bench.records.send([["SET", bench.key("\(state):q"), "no list"]])
                let ran = try await bench.cli("jobs", state, "-q", "q")
                #expect(ran.exit == .status(1) && ran.output == "")
                #expect(
                    ran.error == "Error: The key \(bench.key("\(state):q")) is of another type than it should be.\n"
                )
                guard state == "dead" else { return }
                for verb in [["retry"], ["delete", "--yes"]] {
                    let ran = try await bench.cli(["dead"] + verb + ["--all", "-q", "q"])
                    #expect(ran.exit == .status(1) && ran.output == "" && ran.error.contains(bench.key("dead:q")))
                }
                let job = try await bench.cli("job", "q")
                #expect(job.exit == .status(1) && job.error.contains("no job"))
            }
        }

        @Test(
            "one that is restarted is waited for by all commands",
            arguments: [["status"], ["retry", "--all", "-q", "q"]]
        )
        func restarted(command: [String]) async throws {
            let server = try await RedisServer.start(tcp: false)
            server.kill()
            let program = try Program(
                "bg-cli",
                command + ["-r", server.url, "--connect-timeout", "60s", "--log-level", "warning"]
            )
            try await program.logged("Cannot connect to Redis")
            try await server.restart()
            #expect(try await program.exit() == .status(0))
            await server.stop()
        }

        @Test("one that is not there is an error when the time is over")
        func absent() async throws {
            let ran = try await Program.run(
                "bg-cli",
                [
                    "dead", "retry", "--all", "-q", "q", "-r", "unix:///tmp/bg-nowhere.sock", "--connect-timeout",
                    "200ms",
                ]
            )
            #expect(ran.exit == .status(69) && ran.output == "" && ran.error.hasPrefix("Error: "))
        }
    }
}

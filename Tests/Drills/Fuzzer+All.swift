import BackgroundJobs
import BackgroundJobsCommands
import BackgroundRedis
import Foundation

extension Fuzzer {
    /// All that reads bytes of others.
    static let all = ofRedis + ofRecords + ofPeople

    /// What Redis says.
    private static let ofRedis = [
        Fuzzer("RESP", count: 100_000, RESPSeeds.all) { bytes in
            let whole = RESPSeeds.read([bytes[...]])
            for cut in [1, bytes.count / 2, bytes.count - 1] where cut > 0 && cut < bytes.count {
                guard RESPSeeds.read([bytes[..<cut], bytes[cut...]]) == whole else {
                    return "read otherwise when split"
                }
            }
            return nil
        },
        Fuzzer("CLIENT LIST", count: 100_000, clients) { bytes in
            for client in ClientList.parse(bytes) { _ = ConnectedWorker(client, namespace: "bg") }
            return nil
        },
        Fuzzer(
            "INFO",
            count: 20_000,
            ["# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nrole:master\r\nloading:0\r\n"]
        ) { bytes in
            let info = ServerInfo(text(bytes))
            _ = (info.isAtLeast(6, 2), info.isMaster, info.runID, info.isLoading, info.evictionPolicy)
            return nil
        },
        Fuzzer("replies", count: 2_000, (0..<64).map { "seed \($0)" }) { bytes in
            try await WrongReplies.shared.answer(by: bytes)
        },
    ]

    private static let clients = [
        """
        id=3 addr=127.0.0.1:38080 laddr=127.0.0.1:6379 fd=8 name=bg-worker:web1-4711-9f3a01bc:10:high,low age=5 idle=0 flags=N db=0 \
        sub=0 psub=0 ssub=0 multi=-1 qbuf=26 qbuf-free=20448 argv-mem=10 obl=0 oll=0 omem=0 tot-mem=22298 events=r cmd=ping \
        user=default redir=-1 resp=2
        id=4 addr=/tmp/a b.sock:0 fd=9 name= age=0 idle=9223372036854775807 flags=U db=15 cmd=client|list

        """, "id=1\n", "id=18446744073709551615 name=bg-worker::: db=\n",
    ]

    /// Hashes, and what stands in their fields.
    private static let ofRecords = [
        Fuzzer("hash of a job", count: 30_000, RecordSeeds.jobs) { bytes in
            let fields = RecordSeeds.fields(bytes)
            let job = JobRecord(id: "x", fields: fields)
            _ = try JSONEncoder().encode(job)
            var faults: [String] = []
            let options = JobOptions(fields: fields.mapValues(text), faults: &faults)
            // What was read can be written.
            do { try options.check() } catch { return "an option was read that is not allowed: \(error)" }
            return nil
        },
        Fuzzer("hash of an attempt", count: 30_000, RecordSeeds.attempts) { bytes in
            _ = try JSONEncoder().encode(AttemptRecord(id: "x", fields: RecordSeeds.fields(bytes)))
            return nil
        },
        Fuzzer("backoff", count: 30_000, ["exponential", "fixed:5000", "linear:250", "list:1000,5000,30000"]) { bytes in
            guard let backoff = Backoff(text: text(bytes)) else { return nil }
            for failures in [0, 1, 2, 1000, Int.max] { _ = backoff.delay(after: failures, CancellationError()) }
            return backoff.text.flatMap { Backoff(text: $0)?.text } == backoff.text ? nil : "does not read back"
        },
        Fuzzer("arguments", count: 30_000, jsons) { bytes in
            try? Parsers.json(bytes)
            _ = try Wanted.decoded(from: bytes)
            return nil
        },
        Fuzzer("names", count: 50_000, ["default", "high.low@1", "Jobs::Nap", "web1-4711-9f3a01bc", "bg:{x}"]) {
            bytes in
            let name = text(bytes)
            _ = Names.quoted(name)
            _ = Node.name(of: name)
            guard Names.isNodeName(Names.reducedNodeName(name)) else { return "a reduced name is none" }
            for check in [Names.checkQueue, Names.checkID, Names.checkClass, Names.checkNamespace]
                as [@Sendable (String) throws -> Void]
            where (try? check(name)) != nil && !name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
                return "a name with other characters was accepted"
            }
            return nil
        },
    ]

    private static let jsons = [
        #"{"number":1.5,"text":"a","list":[1,2],"more":{"a":null}}"#, #"{"number":-0,"text":"\u00e9\ud83d\ude00"}"#,
        "[]", "null",
        #"{"number":1e308,"text":"","list":[9007199254740993]}"#, #"{"number":1,"number":2,"text":"x"}"#,
    ]

    /// What people type.
    private static let ofPeople = [
        Fuzzer(
            "URL",
            count: 50_000,
            [
                "redis://user:secret@example.org:6380/3", "rediss://[::1]:6379/0", "unix:///tmp/redis.sock?db=2",
                "redis://h?db=1",
            ]
        ) { bytes in
            let url = try RedisURL(text(bytes))
            let hasPassword = url.password?.contains("secret") ?? false
            return hasPassword && "\(url)".contains("secret") ? "shows a password" : nil
        },
        Fuzzer("cron", count: 4_000, RecordSeeds.crons) { bytes in
            let now = Date(timeIntervalSince1970: 1_795_000_000)
            let schedule = PeriodicSchedule(
                expression: text(bytes),
                zone: bytes.count.isMultiple(of: 2) ? nil : "Europe/Berlin"
            )
            let times = try schedule.next(3, after: now)
            guard zip([now] + times, times).allSatisfy({ $0 < $1 }) else { return "times that don't go forward" }
            return nil
        },
        Fuzzer("duration", count: 50_000, ["500ms", "5s", "1.5m", "2h", "1d", "36500d"]) { bytes in
            let shown = try Parsers.duration(text(bytes))
            return try Parsers.duration(shown) == shown ? nil : "does not read back: \(shown)"
        },
        Fuzzer("retention", count: 30_000, ["24h,100000", "all", "0", "all,10", "7d,all"]) { bytes in
            let shown = try Parsers.retention(text(bytes))
            return try Parsers.retention(shown) == shown ? nil : "does not read back: \(shown)"
        },
        Fuzzer(
            "time",
            count: 20_000,
            ["2026-12-01T08:00:00Z", "2026-02-28T23:59:59.999+01:00", "0001-01-01T00:00:00-12:00"]
        ) { bytes in
            guard let shown = Parsers.time(text(bytes)) else { return nil }
            // One that an offset moves out of the calendar is shown as a number.
            return !shown.contains("T") || Parsers.time(shown) == shown ? nil : "does not read back: \(shown)"
        },
        Fuzzer("settings file", count: 10_000, RecordSeeds.files) { bytes in
            try Parsers.settings(text(bytes))
            return nil
        },
        commandLines("bg-worker", RecordSeeds.workerLines),
        commandLines("bg-watcher", RecordSeeds.watcherLines),
        commandLines("bg-cli", RecordSeeds.cliLines),
        Fuzzer("queues", count: 30_000, ["high,low", "high:5,low:1", "a"]) { bytes in
            _ = try QueueOrder.parse(text(bytes))
            return nil
        },
    ]

    private static func commandLines(_ program: String, _ seeds: [String]) -> Fuzzer {
        Fuzzer("command line of \(program)", count: 2_000, seeds) { bytes in
            let words = text(bytes).split(separator: " ").map(String.init)
            // Whatever file is named there, it is not to be read.
            guard !words.contains(where: { $0.contains("config") }) else { return nil }
            try Parsers.commandLine(words, of: program)
            return nil
        }
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

/// Arguments of a job.
private struct Wanted: Decodable {
    var number: Double
    var text: String?
    var list: [Int]?
    var more: [String: Int?]?
}

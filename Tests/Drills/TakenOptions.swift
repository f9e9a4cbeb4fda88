import Foundation
import TestSupport

/// Options that are right: each has to leave its mark. One that is taken without a word and then forgotten is a silent drop.
enum TakenOptions {
    /// Options of `bg-cli enqueue`, and the fields of the job that they make: `+5` is 5 after `qat`, `?` is anything.
    static let ofJobs: [(words: [String], fields: [String: String])] = [
        (["-q", "mail"], ["que": "mail"]), (["--in", "1h"], ["pat": "+3600000"]),
        (["--at", "2100-01-01T00:00:00Z"], ["pat": "4102444800000"]), (["--retries", "3"], ["ret": "3"]),
        (["--backoff", "list:1s,5s"], ["bck": "list:1000,5000"]), (["--retry-for", "1h"], ["rfr": "3600000"]),
        (["--retry-queue", "slow"], ["rqu": "slow"]), (["--timeout", "1500ms"], ["tmo": "1500"]),
        (["--expires", "1m"], ["exp": "+60000"]), (["--in", "1h", "--expires", "1m"], ["exp": "+3660000"]),
        (["--delivery", "at-most-once"], ["dlv": "amo"]), (["--delivery", "at-least-once"], ["dlv": "alo"]),
        (["--crash-retries", "all"], ["crm": "all"]), (["--crash-retries", "0"], ["crm": "0"]),
        (["--crash-window", "2h"], ["crw": "7200000"]), (["--unique", "1m"], ["unq": "?"]),
        (["--unique", "1m", "--unique-key", "a", "--unique-until", "started"], ["unq": "?", "unu": "started"]),
        (["--on", "web1"], ["on": "web1"]), (["--avoiding", "web1"], ["avo": "web1"]),
        (["--on", "web1", "--fallback", "never"], ["fbk": "never"]),
        (["--avoiding", "web1", "--fallback", "5s"], ["fbk": "5000"]),
    ]

    /// Settings of a program, none of them its default.
    static let settings: [(program: String, values: [(name: String, value: String)])] = [
        (
            "bg-worker",
            common + [
                ("queues", "a,b"), ("order", "round-robin"), ("reserve", "a=1"), ("threads", "3"), ("fibers", "7"),
                ("timeout", "7s"), ("kill-after", "3s"), ("mode", "at-most-once"), ("drain", "true"),
            ]
        ),
        (
            "bg-watcher",
            common + [
                ("interval", "2s"), ("grace", "9s"), ("second-look", "700ms"), ("keep-completed", "2h,10"),
                ("keep-failed", "3h,11"), ("keep-ended", "4h,12"), ("keep-dead", "5h,13"),
            ]
        ),
    ]

    private static let common = [
        ("namespace", "other"), ("connect-timeout", "7s"), ("log-level", "error"), ("log-format", "json"),
        ("name", "other"), ("heartbeat", "2s"), ("dead-after", "50s"), ("allow-eviction", "true"),
    ]

    /// Enqueues a job with each of the options; returns what is missing in the jobs, a sentence each.
    static func missingInJobs(_ stage: Stage) async throws -> [String] {
        try await concurrently(Array(ofJobs.indices), lanes: 4) { _, index in
            let (words, expected) = ofJobs[index]
            let (shown, id) = (words.joined(separator: " "), "taken-\(index)")
            let command = ["enqueue", "Nap", "{}", "--redis", stage.url, "-n", stage.namespace, "--id", id] + words
            let outcome = try await Program.run("bg-cli", command)
            guard outcome.exit == .status(0) else { return ["enqueue \(shown): \(outcome.exit) \(outcome.error)"] }
            let fields = try await stage.records.job(id)
            let queued = Int(fields["qat"] ?? "") ?? 0
            return expected.compactMap { name, value in
                let wanted = value.hasPrefix("+") ? "\(queued + (Int(value.dropFirst()) ?? 0))" : value
                let isThere = value == "?" ? fields[name] != nil : fields[name] == wanted
                return isThere ? nil : "enqueue \(shown): \(name) is \(fields[name] ?? "missing"), not \(wanted)"
            }
        }.flatMap(\.self)
    }

    private enum Way: String, CaseIterable {
        case line, environment, file
    }

    /// Gives a program all its settings in each way; returns those that do not count there, a sentence each.
    static func missingSettings() async throws -> [String] {
        let runs = settings.indices.flatMap { index in Way.allCases.map { (index, $0) } }
        return try await concurrently(runs, lanes: 4) { _, run in
            let (program, values) = settings[run.0]
            let outcome = try await outcome(of: program, values, run.1)
            let place = "\(program), settings by \(run.1.rawValue)"
            guard outcome.exit == .status(0) else { return ["\(place): \(outcome.exit) \(outcome.error)"] }
            let rows = outcome.output.split(separator: "\n").map { $0.split(separator: " ") }
            return values.compactMap { name, value in
                let row = rows.first { $0.first == name[...] } ?? []
                return row.count > 1 && row[1] == value[...] ? nil : "\(place): \(name) \(value) became \(row)"
            }
        }.flatMap(\.self)
    }

    private static func outcome(
        of program: String,
        _ values: [(name: String, value: String)],
        _ way: Way
    ) async throws -> Program.Outcome {
        var words = ["--print-config"] + (program == "bg-worker" ? ["--demo"] : [])
        var environment: [String: String] = [:]
        let path = Files.path("settings")
        defer { Files.remove(path) }
        switch way {
        case .line: words += values.flatMap { $0.value == "true" ? ["--\($0.name)"] : ["--\($0.name)", $0.value] }
        case .environment:
            for (name, value) in values {
                environment["BG_" + name.uppercased().replacing("-", with: "_")] = value
            }
        case .file:
            let lines = values.map { "\($0.name): \($0.value.contains("=") ? "'\($0.value)'" : $0.value)\n" }
            try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: path))
            words += ["--config", path]
        }
        return try await Program.run(program, words, environment: environment)
    }
}

import BackgroundJobs
@preconcurrency import Glibc
internal import Subprocess

/// The environment of handler programs: the worker's own, without what is the worker's business.
///
/// `REDIS_URL` may hold a password, and so may any `BG_*` setting: none of them is passed on.
struct HandlerEnvironment: Sendable {
    /// The names of what is added: a handler may run `bg-cli`, which knows that they are no settings.
    static let variables = [
        "BG_NODE", "BG_JOB_ID", "BG_ATTEMPT_ID", "BG_ATTEMPT", "BG_QUEUE", "BG_CLASS", "BG_PERIODIC",
        "BG_PERIODIC_TIME",
    ]

    /// `NAME=value`, each ended by a NUL byte, as the system wants it.
    private let inherited: [[UInt8]]

    /// Takes over the environment of this process and adds what is the same for all its handlers.
    init(node: String, marker: String, inheriting entries: [[UInt8]] = ofThisProcess()) {
        var inherited = entries.filter(Self.mayPass)
        inherited.append(Self.entry("BG_NODE", node))
        inherited.append(Array(marker.utf8) + [0])
        self.inherited = inherited
    }

    /// The environment for one attempt.
    func environment(for call: HandlerCall) -> Environment {
        .custom(entries(for: call))
    }

    func entries(for call: HandlerCall) -> [[UInt8]] {
        inherited + periodic(call) + [
            Self.entry("BG_JOB_ID", call.jobID),
            Self.entry("BG_ATTEMPT_ID", call.attemptID),
            Self.entry("BG_ATTEMPT", String(call.attempt)),
            Self.entry("BG_QUEUE", call.queue),
            Self.entry("BG_CLASS", call.className),
        ]
    }

    private func periodic(_ call: HandlerCall) -> [[UInt8]] {
        guard let periodic = call.periodic else { return [] }
        let time = periodic.time.map { [Self.entry("BG_PERIODIC_TIME", Timestamp.text($0))] } ?? []
        return [Self.entry("BG_PERIODIC", periodic.name)] + time
    }

    private static func entry(_ name: String, _ value: String) -> [UInt8] {
        // The values come from Redis; a NUL byte would end the entry early.
        Array("\(name)=\(value)".utf8).filter { $0 != 0 } + [0]
    }

    private static func mayPass(_ entry: [UInt8]) -> Bool {
        // Subprocess refuses entries without a name, or whose name begins with a digit.
        guard let first = entry.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first),
            entry.contains(UInt8(ascii: "="))
        else {
            return false
        }
        return !entry.starts(with: "REDIS_URL=".utf8) && !entry.starts(with: "BG_".utf8)
    }

    private static func ofThisProcess() -> [[UInt8]] {
        var entries: [[UInt8]] = []
        var next = environ
        while let entry = next.pointee {
            entries.append(Array(UnsafeRawBufferPointer(start: entry, count: strlen(entry) + 1)))
            next += 1
        }
        return entries
    }
}

import BackgroundRedis
import Foundation
import Synchronization

/// What a worker sends every few seconds to show that it lives: its queues, and a few words about itself (`node:<node>`).
/// It lives because it is connected; what it says of itself is for people who look.
final class Heartbeats: Sendable {
    /// Makes the queues known.
    let queues: Pipeline
    private let key: String
    private let name: String
    private let stalledName: String
    private let lifetime: Int
    private let begun = ContinuousClock.now
    private let isStalled = Mutex(false)
    /// When it began, by the server's clock.
    private let beginning = Mutex<Int64?>(nil)

    /// - Parameters:
    ///   - name: the name of the command connection.
    ///   - stalledName: its name while the worker is stalled.
    ///   - interval: how often a heartbeat is sent.
    init(keys: Keys, node: Node, queues: [String], name: String, stalledName: String, interval: Duration) {
        var pipeline = Pipeline()
        pipeline.command(["SADD", keys.queues] + queues)
        self.queues = pipeline
        key = keys.node("\(node)")
        self.name = name
        self.stalledName = stalledName
        // Several of them, so that one that comes late loses nothing.
        lifetime = max(60, Int((interval * 5).components.seconds))
    }

    /// The server's clock reads so: asked once, on the first connection.
    ///
    /// - Parameter microseconds: `server_time_usec` of INFO; empty on servers that don't say.
    func learn(_ microseconds: String) {
        guard let microseconds = Int64(microseconds) else { return }
        let age = begun.duration(to: .now).milliseconds
        beginning.withLock { $0 = $0 ?? microseconds / 1000 - age }
    }

    /// What this worker tells of itself.
    var record: Pipeline {
        var fields = [
            "host", ProcessInfo.processInfo.hostName, "pid", "\(ProcessInfo.processInfo.processIdentifier)",
            "ver", LibraryVersion.current,
        ]
        if let memory = Self.residentMemory() { fields += ["mem", "\(memory)"] }
        if let beginning = beginning.withLock({ $0 }) { fields += ["beg", "\(beginning)"] }
        var pipeline = Pipeline()
        pipeline.command(["HSET", key] + fields)
        pipeline.command("EXPIRE", key, "\(lifetime)")
        return pipeline
    }

    /// A worker that is stalled says each time that it has no fibers: a connection made anew bears the usual name.
    func next(isStalled: Bool) -> Pipeline {
        let was = self.isStalled.withLock { was in
            defer { was = isStalled }
            return was
        }
        var pipeline = queues
        if isStalled || was { pipeline.command("CLIENT", "SETNAME", isStalled ? stalledName : name) }
        pipeline.append(contentsOf: record)
        return pipeline
    }

    /// The memory of this process that is in use, bytes; nil where the system does not tell in this way.
    private static func residentMemory() -> Int? {
        #if os(Linux)
        let file = open("/proc/self/statm", O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = read(file, &bytes, bytes.count)
        let fields = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? Int(fields[1]).map { $0 * sysconf(Int32(_SC_PAGESIZE)) } : nil
        #else
        return nil
        #endif
    }
}

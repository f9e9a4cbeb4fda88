package import BackgroundRedis
import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// A real `redis-server` for a test, with a folder of its own.
///
/// It listens on a Unix socket and on a free port of 127.0.0.1. It ends when this object goes, and when the test process
/// does, even by SIGKILL.
package final class RedisServer: Sendable {
    /// Why a server could not be started.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// The folder with everything the server writes.
    package let directory: String
    /// The TCP port, 0 if the server has none.
    package let port: Int
    private let options: [String]
    private let running = Mutex<ChildProcess?>(nil)

    /// The URL of the Unix socket.
    package var url: String { "unix://\(socketPath)" }
    /// The URL of the TCP port.
    package var tcpURL: String { "redis://127.0.0.1:\(port)" }
    /// The path of the Unix socket.
    package var socketPath: String { directory + "/redis.sock" }
    /// The process ID of the server, 0 when it is down.
    package var pid: Int32 { running.withLock { $0?.pid ?? 0 } }

    private init(options: [String], tcp: Bool) throws {
        directory = Files.path("redis")
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        port = tcp ? try FreePort.next() : 0
        self.options = options
    }

    deinit {
        kill()
        Files.remove(directory)
    }

    /// Starts a server and waits until it answers.
    ///
    /// - Parameters:
    ///   - options: More configuration, such as `["--appendonly yes"]`, split at spaces if it begins with `--`.
    ///   - tcp: Whether it listens on a TCP port too.
    package static func start(options: [String] = [], tcp: Bool = true) async throws -> RedisServer {
        let server = try RedisServer(options: options, tcp: tcp)
        try await server.launch()
        return server
    }

    /// Ends the server at once, as `kill -9` does.
    package func kill() {
        running.withLock { running in
            running?.kill()
            running = nil
        }
    }

    /// Ends the server and removes its folder.
    package func stop() async {
        kill()
        Files.remove(directory)
    }

    /// Ends the server, if it runs, and starts it with the same folder, socket and port.
    package func restart() async throws {
        kill()
        try await launch()
    }

    /// Stops the server from running, as a frozen machine does, until ``resume()``.
    package func pause() {
        let pid = pid
        if pid != 0 { Foundation.kill(pid, SIGSTOP) }
    }

    /// Lets it run again.
    package func resume() {
        let pid = pid
        if pid != 0 { Foundation.kill(pid, SIGCONT) }
    }

    /// Sends one command over a connection of its own.
    ///
    /// - Throws: ``RedisError`` also for an error reply.
    package func command(_ parts: String...) async throws -> RESPValue {
        try await command(parts)
    }

    /// Sends one command over a connection of its own.
    package func command(_ parts: [String]) async throws -> RESPValue {
        let client = try client()
        var pipeline = BackgroundRedis.Pipeline()
        pipeline.command(parts)
        let result: Result<[RESPValue], RedisError>
        do throws(RedisError) {
            result = .success(try await client.send(pipeline))
        } catch {
            result = .failure(error)
        }
        await client.close()
        return try result.get()[0].get()
    }

    private func client() throws -> RedisClient {
        RedisClient(
            RedisConfiguration(url: try RedisURL(url), commandTimeout: .seconds(30)),
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: Logger(label: "test-support", factory: { _ in SwiftLogNoOpLogHandler() })
        )
    }

    // MARK: launching

    private func launch() async throws {
        let program = try Self.find("redis-server")
        let arguments =
            [
                "--port", "\(port)", "--bind", "127.0.0.1", "--unixsocket", socketPath, "--dir", directory,
                "--save", "", "--appendonly", "no", "--logfile", directory + "/redis.log", "--daemonize", "no",
            ] + options.flatMap { $0.hasPrefix("--") ? $0.split(separator: " ").map(String.init) : [$0] }
        try? FileManager.default.removeItem(atPath: socketPath)
        let process = try ChildProcess(
            [program] + arguments,
            environment: ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" },
            log: "/dev/null",
            // A write beyond a limit of its file sizes is to fail, as on a full disk, and not to end it.
            preparation: ["trap '' XFSZ"]
        )
        running.withLock { $0 = process }
        try await waitUntilReady(process)
    }

    /// A server that loads its data is ready, for a test of loading wants to see it: any reply will do.
    private func waitUntilReady(_ process: ChildProcess) async throws {
        for _ in 0..<1500 {
            guard process.exit == nil else { break }
            if Self.answers(socketPath) { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        let log = (try? String(contentsOfFile: directory + "/redis.log", encoding: .utf8)) ?? "no log"
        kill()
        throw Failure(description: "redis-server did not start: \(log.suffix(2000))")
    }

    private static func answers(_ path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var patience = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        var byte: UInt8 = 0
        return isConnected && send(descriptor, "PING\r\n", 6, Int32(MSG_NOSIGNAL)) == 6
            && read(descriptor, &byte, 1) == 1
    }

    private static func find(_ program: String) throws -> String {
        guard let path = Program.find(program) else {
            throw Failure(
                description:
                    "\(program) is not in the PATH. Install Redis (apt-get install redis-server) to run these tests."
            )
        }
        return path
    }
}

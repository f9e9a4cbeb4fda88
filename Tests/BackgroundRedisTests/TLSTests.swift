import BackgroundRedis
import Foundation
import TestSupport
import Testing

/// TLS against a real Redis, with certificates made for the test.
@Suite(
    .serialized,
    .timeLimit(.minutes(20)),
    .enabled("redis-server is built without TLS, or there is no openssl") { try TestCertificates.areUsable() }
)
struct TLSTests {
    private func withServer(_ body: (TestCertificates, _ port: Int) async throws -> Void) async throws {
        let files = try TestCertificates()
        let port = try FreePort.next()
        let server = try await RedisServer.start(
            options: [
                "--tls-port \(port)", "--tls-cert-file \(files.path("server.crt"))",
                "--tls-key-file \(files.path("server.key"))", "--tls-ca-cert-file \(files.path("ca.crt"))",
            ],
            tcp: false
        )
        try await body(files, port)
        await server.stop()
        files.remove()
    }

    @Test func withItsAuthorityAndAClientCertificate() async throws {
        try await withServer { files, port in
            for host in ["localhost", "127.0.0.1"] {
                try await withClient("rediss://\(host):\(port)/2", configure: { $0.tls = files.client }) { client in
                    let text = String(repeating: "x", count: 100_000)
                    #expect(try await client.command("ECHO", text).text == text)
                    #expect(try await client.command("CLIENT", "INFO").text?.contains(" db=2 ") == true)
                    client.disconnect(reason: "a test")
                    try await eventually("another session") { client.session?.number == 2 }
                }
            }
        }
    }

    @Test func whatMustNotConnect() async throws {
        try await withServer { files, port in
            let refused: [(String, RedisTLS)] = [
                (
                    "an authority that nobody trusts",
                    RedisTLS(certificateFile: files.path("client.crt"), keyFile: files.path("client.key"))
                ),
                ("no client certificate", RedisTLS(caFile: files.path("ca.crt"))),
                ("another authority", RedisTLS(caFile: files.path("other.crt"))),
            ]
            for (what, tls) in refused {
                try await withClient("rediss://localhost:\(port)", configure: { $0.tls = tls }) { client in
                    let error = await #expect(throws: RedisError.self, "\(what)") {
                        try await client.command("PING")
                    }
                    #expect([.tlsFailed, .connectionLost].contains(error?.code), "\(what): \(error as Any)")
                }
            }
            // The certificate names localhost and 127.0.0.1 only.
            try await withClient("rediss://localhost.:\(port)", configure: { $0.tls = files.client }) { client in
                let error = await #expect(throws: RedisError.self) { try await client.command("PING") }
                #expect(error?.code == .tlsFailed || error?.code == .connectFailed)
            }
            try await withClient("rediss://127.0.0.2:\(port)", configure: { $0.tls = files.client }) { client in
                let error = await #expect(throws: RedisError.self) { try await client.command("PING") }
                #expect(error?.code == .tlsFailed || error?.code == .connectFailed)
            }
            // Without TLS on a TLS port.
            try await withClient("redis://127.0.0.1:\(port)") { client in
                let error = await #expect(throws: RedisError.self) {
                    try await client.command("PING")
                }
                #expect(error?.isTransient == true)
            }
        }
    }

    @Test func aHostNameThatTheCertificateDoesNotHave() async throws {
        let files = try TestCertificates(names: "DNS:redis.example.org")
        let port = try FreePort.next()
        let server = try await RedisServer.start(
            options: [
                "--tls-port \(port)", "--tls-cert-file \(files.path("server.crt"))",
                "--tls-key-file \(files.path("server.key"))", "--tls-ca-cert-file \(files.path("ca.crt"))",
            ],
            tcp: false
        )
        for host in ["localhost", "127.0.0.1"] {
            try await withClient("rediss://\(host):\(port)", configure: { $0.tls = files.client }) { client in
                let error = await #expect(throws: RedisError.self) {
                    try await client.command("PING")
                }
                #expect(error?.code == .tlsFailed)
                #expect(error?.isTransient == true)
            }
        }
        await server.stop()
        files.remove()
    }

    /// Files that cannot be used are reported at once, not tried again.
    @Test func unusableFiles() async throws {
        let files = try TestCertificates()
        let wrong = [
            RedisTLS(caFile: "/no/such/file"), RedisTLS(caFile: files.path("ca.key")),
            RedisTLS(certificateFile: files.path("client.crt")), RedisTLS(keyFile: files.path("client.key")),
            RedisTLS(certificateFile: files.path("client.key"), keyFile: files.path("client.crt")),
            RedisTLS(certificateFile: files.path("client.crt"), keyFile: files.path("server.key")),
        ]
        for tls in wrong {
            try await withClient("rediss://127.0.0.1:1", configure: { $0.tls = tls }) { client in
                let error = await #expect(throws: RedisError.self, "\(tls)") { try await client.waitUntilReady() }
                #expect(error?.code == .tlsFailed)
            }
        }
        files.remove()
    }

    @Test func tlsToAServerWithoutIt() async throws {
        let server = try await RedisServer.start()
        try await withClient("rediss://127.0.0.1:\(server.port)", configure: { $0.connectTimeout = .seconds(1) }) {
            client in
            let error = await #expect(throws: RedisError.self) {
                try await client.command("PING")
            }
            #expect([.tlsFailed, .connectionLost, .connectFailed].contains(error?.code), "\(error as Any)")
        }
        await server.stop()
    }
}

/// An authority, another one, and certificates for a server and a client, in a folder of their own.
struct TestCertificates {
    private let folder = "/tmp/bg-tls-\(UInt32.random(in: 0 ... .max))"

    /// - Parameter names: What the server's certificate is for.
    init(names: String = "DNS:localhost,IP:127.0.0.1") throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for authority in ["ca", "other"] {
            try openssl(
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=\(authority) -keyout \(authority).key -out \(authority).crt"
            )
        }
        for (side, extensions) in [("server", "subjectAltName=\(names)"), ("client", "subjectAltName=DNS:client")] {
            try Data(extensions.utf8).write(to: URL(fileURLWithPath: path("\(side).ext")))
            try openssl("req -newkey rsa:2048 -nodes -subj /CN=\(side) -keyout \(side).key -out \(side).csr")
            try openssl(
                "x509 -req -in \(side).csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile \(side).ext -out \(side).crt"
            )
        }
    }

    /// The settings of a client that may connect.
    var client: RedisTLS {
        RedisTLS(caFile: path("ca.crt"), certificateFile: path("client.crt"), keyFile: path("client.key"))
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }

    private func openssl(_ arguments: String) throws {
        guard try Self.run("cd \(folder) && openssl \(arguments)") else {
            throw RedisError(.tlsFailed, "openssl \(arguments)")
        }
    }

    static func areUsable() throws -> Bool {
        try run("command -v openssl && ldd \"$(command -v redis-server)\" | grep libssl")
    }

    private static func run(_ script: String) throws -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}

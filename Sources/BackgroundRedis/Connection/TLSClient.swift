import NIOCore
import NIOSSL

/// The client's side of TLS. Built for each attempt to connect, so that renewed certificates are picked up.
struct TLSClient: Sendable {
    private let context: NIOSSLContext
    private let host: String?

    init(_ configuration: RedisConfiguration) throws(RedisError) {
        let files = configuration.tls
        do {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.certificateVerification = .fullVerification
            if let caFile = files.caFile {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(caFile))
            }
            switch (files.certificateFile, files.keyFile) {
            case (let certificate?, let key?):
                tls.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
            case (nil, nil): break
            case (_?, nil): throw Self.unusable("a certificate file is given without its key file", nil)
            case (nil, _?): throw Self.unusable("a key file is given without its certificate file", nil)
            }
            context = try NIOSSLContext(configuration: tls)
        } catch let error as RedisError {
            throw error
        } catch {
            let names = [files.caFile, files.certificateFile, files.keyFile].compactMap(\.self).joined(separator: ", ")
            throw Self.unusable("cannot use \(names.isEmpty ? "the system's authorities" : names) as PEM", error)
        }
        switch configuration.url.address {
        case .host(let host, _):
            // An address may not be sent as the server's name (RFC 6066). The certificate is then checked for the
            // address that was connected to.
            self.host = (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
        case .unix:
            host = nil
        }
    }

    func makeHandler() throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(context: context, serverHostname: host)
    }

    private static func unusable(_ reason: String, _ cause: (any Error)?) -> RedisError {
        RedisError(
            .tlsFailed,
            "The TLS settings are wrong: \(reason). Give PEM files that this process may read.",
            cause: cause
        )
    }
}

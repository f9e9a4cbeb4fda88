import Testing

@testable import BackgroundRedis

@Suite struct RESPReaderTests {
    static let large = [UInt8]((0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })

    /// A conversation with every type of reply, and what it means.
    static let conversation: (bytes: [UInt8], replies: [RESPValue]) = {
        let everyByte = [UInt8](0...255)
        var bytes = Array(
            "+OK\r\n-ERR no such thing\r\n:0\r\n:-9223372036854775808\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n".utf8
        )
        bytes += Array("$256\r\n".utf8) + everyByte + Array("\r\n".utf8)
        bytes += Array("*3\r\n*2\r\n:1\r\n$2\r\n\r\n\r\n*0\r\n*3\r\n-X y\r\n+\r\n*1\r\n$-1\r\n".utf8)
        bytes += Array((String(repeating: "*1\r\n", count: 8) + ":7\r\n").utf8)
        let deep = (0..<8).reduce(RESPValue.integer(7)) { value, _ in .array([value]) }
        return (
            bytes,
            [
                .string(Array("OK".utf8)), .error("ERR no such thing"), .integer(0), .integer(.min), .string([]), .null,
                .null, .array([]), .string(everyByte),
                .array([
                    .array([.integer(1), .string([13, 10])]), .array([]),
                    .array([.error("X y"), .string([]), .array([.null])]),
                ]), deep,
            ]
        )
    }()

    private func read(_ parts: [ArraySlice<UInt8>], limit: Int = 1 << 26) throws(RedisError) -> [RESPValue] {
        let reader = RESPReader(maximumReplyBytes: limit)
        var replies: [RESPValue] = []
        for part in parts {
            // A copy, so that reading beyond its end would be noticed by a sanitizer.
            let copy = Array(part)
            var failure: RedisError?
            copy.withUnsafeBytes { bytes in
                do throws(RedisError) { try reader.feed(bytes) { replies.append($0) } } catch { failure = error }
            }
            if let failure { throw failure }
        }
        return replies
    }

    @Test func splitAtEveryPoint() throws {
        let (bytes, replies) = Self.conversation
        for index in 0...bytes.count {
            #expect(try read([bytes[..<index], bytes[index...]]) == replies, "split at \(index)")
        }
    }

    @Test(arguments: [1, 2, 3, 7, 1000])
    func inPieces(_ size: Int) throws {
        let (bytes, replies) = Self.conversation
        let pieces = stride(from: 0, to: bytes.count, by: size).map { bytes[$0..<min($0 + size, bytes.count)] }
        #expect(try read(pieces) == replies)
    }

    @Test func largeStringSplitAtManyPoints() throws {
        let bytes = Array("*2\r\n$40000\r\n".utf8) + Self.large + Array("\r\n:5\r\n+OK\r\n".utf8)
        let points =
            Array(0..<40) + Array(stride(from: 40, to: bytes.count - 40, by: 977))
            + Array(16_380..<16_390) + Array(bytes.count - 40...bytes.count)
        for index in points {
            let expected: [RESPValue] = [.array([.string(Self.large), .integer(5)]), .string(Array("OK".utf8))]
            #expect(try read([bytes[..<index], bytes[index...]]) == expected, "split at \(index)")
        }
    }

    @Test func manyRepliesInOneRead() throws {
        let bytes = (0..<20_000).flatMap { Array(":\($0)\r\n".utf8) }
        #expect(try read([bytes[...]]) == (0..<20_000).map { .integer($0) })
    }

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n", "\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}", "\r\n", "$-2\r\n", "$x\r\n", "$\r\n",
        "$9223372036854775808\r\n", "*-2\r\n", "*x\r\n", "*99999999999999999999\r\n", "*2147483648\r\n", ":\r\n",
        ":1x\r\n",
        ":9223372036854775808\r\n", "$3\r\nabcd\r\n", "$3\r\nabc\n\n", "_\r\n", "#t\r\n", ",1.5\r\n",
        "%1\r\n+a\r\n:1\r\n",
        "=5\r\ntxt:a\r\n", ">1\r\n:1\r\n", "*1\r\n_\r\n", String(repeating: "*1\r\n", count: 9) + ":1\r\n",
        String(repeating: "*1\r\n", count: 8) + "*0\r\n",
    ])
    func malformed(_ text: String) throws {
        let bytes = Array("+OK\r\n".utf8) + Array(text.utf8)
        for index in 0...bytes.count {
            let error = #expect(throws: RedisError.self, "split at \(index)") {
                try read([bytes[..<index], bytes[index...], Array("+OK\r\n+OK\r\n".utf8)[...]])
            }
            #expect(error?.code == .protocolViolation)
        }
    }

    @Test func whatComesBeforeAMalformedReplyIsRead() {
        let reader = RESPReader()
        var replies: [RESPValue] = []
        let bytes = Array("+OK\r\n:1\r\n?\r\n:2\r\n".utf8)
        for _ in 0..<2 {
            #expect(throws: RedisError.self) {
                try bytes.withUnsafeBytes { bytes in try reader.feed(bytes) { replies.append($0) } }
            }
        }
        #expect(replies == [.string(Array("OK".utf8)), .integer(1)])
    }

    /// A claimed count costs no memory: nothing is reserved for it.
    @Test func aHugeArrayThatIsOnlyClaimed() throws {
        #expect(try read([Array("*2147483647\r\n:1\r\n".utf8)[...]]).isEmpty)
    }

    @Test func aReplyBeyondTheLimit() {
        #expect(throws: RedisError.self) {
            try read([Array("$1000000\r\n".utf8)[...], Array(repeating: 0, count: 20_000)[...]], limit: 10_000)
        }
        #expect(throws: Never.self) {
            try read(Array(repeating: Array("$5\r\nabcde\r\n".utf8)[...], count: 1000), limit: 100)
        }
    }

    @Test func anEndlessLine() {
        #expect(throws: RedisError.self) {
            try read([Array("+".utf8)[...]] + Array(repeating: Array(repeating: 97, count: 16_384)[...], count: 5))
        }
    }

    /// No input may crash the reader, nor what follows it.
    @Test func garbage() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("*$:+-0123456789\r\n\r\n\r\nab_%~".utf8)
        for _ in 0..<5_000 {
            let bytes = (0..<Int.random(in: 1...200)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            let index = Int.random(in: 0...bytes.count)
            let whole = (try? read([bytes[...]])) ?? []
            let split = (try? read([bytes[..<index], bytes[index...]])) ?? []
            #expect(whole == split)
        }
    }
}

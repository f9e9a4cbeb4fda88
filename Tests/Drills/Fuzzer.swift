import Foundation
import TestSupport

/// Something that reads what others write, and what may be written there.
struct Fuzzer: Sendable {
    let name: String
    /// How many inputs in a full run.
    let count: Int
    /// What is right, or nearly; the inputs are made of these.
    let seeds: [[UInt8]]
    /// Reads an input; returns what is wrong with the way it did, nil if nothing is. To refuse it, by an error, is right.
    let read: @Sendable ([UInt8]) async throws -> String?

    init(
        _ name: String,
        count: Int,
        _ seeds: [String],
        _ read: @escaping @Sendable ([UInt8]) async throws -> String?
    ) {
        self.name = name
        self.count = count
        self.seeds = seeds.map { Array($0.utf8) }
        self.read = read
    }

    /// The input of a number: the same at each run.
    func input(_ number: Int, seed: UInt64) -> [UInt8] {
        var random = SplitMix64(seed: seed &+ UInt64(number) &* 0x2545_F491_4F6C_DD1D)
        var bytes = seeds[Int.random(in: 0..<seeds.count, using: &random)]
        for _ in 0..<Int.random(in: 0...6, using: &random) { alter(&bytes, &random) }
        return bytes
    }

    private static let tokens = [
        "", "\r\n", "\n", "\0", " ", "-", "+", ":", "=", ",", "*", "$", "/", "@", "%", "\"", "'", "\\", "[", "]", "{",
        "}", "#",
        "-1", "0", "1", "7", "99999999999999999999", "9223372036854775807", "9223372036854775808",
        "-9223372036854775809",
        "2147483648", "4294967296", "1e999", "-0", "nan", "inf", "0x1", "1.5", "é", "\u{FEFF}", "\u{202E}", "𝕏",
        "*2147483647\r\n",
        "$-2\r\n", "null", "true", "id=", "name=", "--", "-q",
    ].map { Array($0.utf8) }

    private func alter(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
        let place = Int.random(in: 0...bytes.count, using: &random)
        let end = min(bytes.count, place + Int.random(in: 1...8, using: &random))
        switch Int.random(in: 0...8, using: &random) {
        case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
        case 1 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 2: bytes.removeSubrange(place..<end)
        case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
        case 4, 5: bytes.insert(contentsOf: Self.tokens.randomElement(using: &random) ?? [], at: place)
        case 6: bytes.replaceSubrange(place..<end, with: Self.tokens.randomElement(using: &random) ?? [])
        case 7:
            let other = seeds[Int.random(in: 0..<seeds.count, using: &random)]
            bytes = bytes[..<place] + other.suffix(Int.random(in: 0...other.count, using: &random))
        case 8 where Int.random(in: 0..<20, using: &random) == 0:
            let piece = Array(bytes[place..<end])
            for _ in 0..<500 { bytes.insert(contentsOf: piece, at: place) }
        default: bytes = Array(bytes[..<place])
        }
    }
}

/// Runs fuzzers in processes of their own, so that an input that makes one trap is found and shown.
struct FuzzBatch: Sendable {
    /// The variable that makes this program do one batch and nothing else.
    private static let variable = "BG_DRILL_FUZZ"
    private static let done = "all read"
    private static let limit = Duration.seconds(180)

    let fuzzer: Fuzzer
    let seed: UInt64
    let numbers: Range<Int>

    /// Does what the parent process wants; false if this is not a child of that kind.
    static func serveIfAsked() async throws -> Bool {
        guard let words = ProcessInfo.processInfo.environment[variable]?.split(separator: "|"), words.count == 4,
            let fuzzer = Fuzzer.all.first(where: { $0.name == words[0] }), let seed = UInt64(words[1]),
            let first = Int(words[2]), let end = Int(words[3])
        else { return false }
        for number in first..<end {
            let input = fuzzer.input(number, seed: seed)
            // An input that is refused by an error is read as it should be.
            let wrong = (try? await fuzzer.read(input)) ?? nil
            if let wrong { print("wrong: \(fuzzer.name), \(wrong): \(shown(input))") }
        }
        print(done)
        return true
    }

    /// What was wrong, a sentence each, the input that ended the process among them.
    func findings() async throws -> [String] {
        let words = [fuzzer.name, "\(seed)", "\(numbers.lowerBound)", "\(numbers.upperBound)"].joined(separator: "|")
        let environment = [Self.variable: words, "SWIFT_BACKTRACE": "enable=no"]
        let program = try Program("drill", [], environment: environment)
        let exit: String
        var tookTooLong = false
        do {
            exit = "\(try await program.exit(within: Self.limit))"
        } catch {
            (exit, tookTooLong) = ("it did not end within \(Self.limit)", true)
        }
        let lines = program.log.split(separator: "\n").map(String.init)
        if lines.last == Self.done { return lines.dropLast() }
        guard numbers.count > 1 else {
            let input = fuzzer.input(numbers.lowerBound, seed: seed)
            return ["\(fuzzer.name), \(exit): \(Self.shown(input)); \(lines.last ?? "")"]
        }
        let middle = numbers.lowerBound + numbers.count / 2
        let half = FuzzBatch(fuzzer: fuzzer, seed: seed, numbers: numbers.lowerBound..<middle)
        let found = try await half.findings()
        if !found.isEmpty { return found }
        let rest = FuzzBatch(fuzzer: fuzzer, seed: seed, numbers: middle..<numbers.upperBound)
        let others = try await rest.findings()
        // Each half may end well by itself; but one that took too long may just have been too much for the machine.
        if !others.isEmpty || tookTooLong { return others }
        return ["\(fuzzer.name), \(exit), only as a whole: \(numbers)"]
    }

    private static func shown(_ input: [UInt8]) -> String {
        String(
            input.prefix(400).flatMap { byte in
                byte >= 0x20 && byte < 0x7F && byte != 0x5C
                    ? String(UnicodeScalar(byte)) : "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        )
    }
}

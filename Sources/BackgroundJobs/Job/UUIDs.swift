import Foundation
import Synchronization

/// Random bits of the system, fetched 256 bytes at a time, which is the most that getentropy(3) gives: to fetch them for
/// each ID takes longer than all the rest of making it.
private struct RandomBits: RandomNumberGenerator {
    private static let count = 32
    private var numbers = [UInt64](repeating: 0, count: count)
    private var left = 0

    mutating func next() -> UInt64 {
        if left == 0 { fetch() }
        left -= 1
        defer { numbers[left] = 0 }
        return numbers[left]
    }

    private mutating func fetch() {
        left = Self.count
        guard numbers.withUnsafeMutableBytes({ getentropy($0.baseAddress!, $0.count) }) != 0 else { return }
        var system = SystemRandomNumberGenerator()
        for index in numbers.indices { numbers[index] = system.next() }
    }
}

private let randomBits = Mutex(RandomBits())

extension String {
    /// A random (version 4) UUID in lower case, as RFC 9562 writes it.
    ///
    /// Written here and not taken from Foundation because a worker needs one for every attempt: this one makes a single
    /// allocation.
    package static func randomUUID() -> String {
        randomBits.withLock { randomUUID(using: &$0) }
    }

    package static func randomUUID(using generator: inout some RandomNumberGenerator) -> String {
        let high = generator.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x0000_0000_0000_4000
        let low = generator.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        return String(unsafeUninitializedCapacity: 36) { buffer in
            var at = 0
            for (half, dashes) in [(high, 0x0088 as UInt32), (low, 0x8800)] {
                for digit in 0..<16 {
                    if dashes & (0x8000 >> UInt32(digit)) != 0 {
                        buffer[at] = UInt8(ascii: "-")
                        at += 1
                    }
                    let nibble = UInt8(truncatingIfNeeded: half >> UInt64(60 - 4 * digit)) & 0xF
                    buffer[at] = nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") - 10 + nibble
                    at += 1
                }
            }
            return at
        }
    }
}

/// Commands in the form in which they go over the wire, ready to be written.
///
/// Building one allocates nothing but the buffer it grows into. A command is either given whole,
///
/// ```swift
/// pipeline.command("HGET", key, field)
/// ```
///
/// or begun with its number of arguments, which then follow one by one:
///
/// ```swift
/// pipeline.begin(argumentCount: 3)
/// pipeline.append("SET")
/// pipeline.append(key)
/// pipeline.append(bytes)
/// ```
package struct Pipeline: Sendable {
    private(set) var bytes: [UInt8] = []
    private var missingArguments = 0

    /// How many commands there are; each gets one reply.
    package private(set) var commandCount = 0
    /// The size on the wire.
    package var byteCount: Int { bytes.count }

    /// Whether each command that was begun has all its arguments.
    var isComplete: Bool { missingArguments == 0 }

    /// Makes an empty pipeline.
    package init() {}

    /// Adds one whole command.
    package mutating func command(_ parts: String...) {
        command(parts)
    }

    /// Adds one whole command.
    package mutating func command(_ parts: [String]) {
        begin(argumentCount: parts.count)
        for part in parts { append(part) }
    }

    /// Begins a command. Exactly `argumentCount` appends must follow; the command's name is the first of them.
    package mutating func begin(argumentCount: Int) {
        assert(missingArguments == 0, "The command before lacks \(missingArguments) arguments.")
        assert(argumentCount > 0, "A command has at least its name.")
        if bytes.isEmpty { bytes.reserveCapacity(128) }
        bytes.append(UInt8(ascii: "*"))
        appendDigits(UInt64(argumentCount))
        appendLineEnd()
        missingArguments = argumentCount
        commandCount += 1
    }

    /// Appends an argument.
    package mutating func append(_ argument: String) {
        var argument = argument
        argument.withUTF8 { appendArgument($0) }
    }

    /// Appends an argument.
    package mutating func append(_ argument: Substring) {
        var argument = argument
        argument.withUTF8 { appendArgument($0) }
    }

    /// Appends an argument of any bytes.
    package mutating func append(_ argument: [UInt8]) {
        argument.withUnsafeBufferPointer { appendArgument($0) }
    }

    /// Appends a number as its decimal digits.
    package mutating func append(_ argument: Int) {
        append(Int64(argument))
    }

    /// Appends a number as its decimal digits.
    package mutating func append(_ argument: Int64) {
        takeArgument()
        let magnitude = argument.magnitude
        bytes.append(UInt8(ascii: "$"))
        appendDigits(UInt64(Self.digitCount(magnitude) + (argument < 0 ? 1 : 0)))
        appendLineEnd()
        if argument < 0 { bytes.append(UInt8(ascii: "-")) }
        appendDigits(magnitude)
        appendLineEnd()
    }

    private mutating func appendArgument(_ argument: UnsafeBufferPointer<UInt8>) {
        takeArgument()
        bytes.append(UInt8(ascii: "$"))
        appendDigits(UInt64(argument.count))
        appendLineEnd()
        bytes.append(contentsOf: argument)
        appendLineEnd()
    }

    private mutating func takeArgument() {
        assert(missingArguments > 0, "More arguments than the command was begun with.")
        missingArguments -= 1
    }

    private mutating func appendLineEnd() {
        bytes.append(UInt8(ascii: "\r"))
        bytes.append(UInt8(ascii: "\n"))
    }

    private mutating func appendDigits(_ number: UInt64) {
        if number < 10 {
            bytes.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number))
            return
        }
        var divisor: UInt64 = 10
        while number / divisor >= 10 { divisor &*= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }

    private static func digitCount(_ number: UInt64) -> Int {
        var count = 1
        var rest = number / 10
        while rest > 0 {
            count += 1
            rest /= 10
        }
        return count
    }
}

extension Pipeline {
    /// Adds the commands of another pipeline.
    package mutating func append(contentsOf other: Pipeline) {
        assert(isComplete && other.isComplete, "A command lacks arguments.")
        bytes.append(contentsOf: other.bytes)
        commandCount += other.commandCount
    }
}

public import ArgumentParser
import BackgroundJobs
import Foundation

/// How a program ends: what it says on standard error, and its exit code.
///
/// | code | meaning |
/// |---|---|
/// | 0 | done |
/// | 1 | not found, or failed |
/// | 64 | the command line can't be understood (`EX_USAGE`) |
/// | 69 | no Redis, or none that can be worked with (`EX_UNAVAILABLE`) |
/// | 75 | a worker that can't go on and is to be started again (`EX_TEMPFAIL`) |
/// | 77 | not permitted (`EX_NOPERM`) |
public struct CommandFailure: Error, Sendable, Hashable {
    /// The exit code.
    public var code: Int32
    /// What is said; nil: nothing.
    public var message: String?

    /// What an error means for a program. The message is one line, and holds neither a stack trace nor a password.
    public init(_ error: any Error) {
        switch error {
        case let failure as CommandFailure:
            self = failure
        case let exit as ExitCode:
            self.init(code: exit.rawValue)
        case let closed as StandardStream.Closed:
            guard !closed.isReadersWish else {
                self.init(code: 0)
                return
            }
            let reason = String(cString: strerror(closed.reason))
            self.init(code: 1, message: "Standard output can't be written: \(reason).")
        case is CancellationError:
            self.init(code: 1, message: "It was cancelled.")
        case let error as BackgroundError:
            self.init(code: Self.code(of: error), message: error.message)
        case let error as BulkError:
            self.init(code: CommandFailure(error.cause).code, message: error.description)
        default:
            self.init(code: 1, message: "\(error)")
        }
    }

    init(code: Int32, message: String? = nil) {
        self.code = code
        self.message = message.map { Printable.escaped(Self.withoutPasswords($0)) }
    }

    private static func code(of error: BackgroundError) -> Int32 {
        switch error.code {
        case .invalidArgument: 64
        case .unavailable, .unknownFate, .unsuitable: 69
        case .stalled: 75
        case .notPermitted: 77
        default: 1
        }
    }

    /// The text with the credentials of every URL in it blotted out, since a parser repeats what it did not understand. The
    /// word `password` itself, as in the advice how to write a URL, stays.
    static func withoutPasswords(_ text: String) -> String {
        text.replacing(/(:?\/\/)(?!(user)?:password@)[^@\s]*@/) { "\($0.1)***@" }
    }
}

extension ParsableCommand {
    /// Parses the arguments, runs the command, and ends the process: the whole of a `main.swift`.
    ///
    /// Unlike `main()` it maps errors to exit codes as ``CommandFailure`` says, and prints no password that stood in an
    /// argument it could not understand.
    ///
    /// - Parameter arguments: the arguments without the program's name; nil: those of the process.
    public static func runAndExit(_ arguments: [String]? = nil) async -> Never {
        StandardStream.reserve()
        let given = arguments ?? Array(CommandLine.arguments.dropFirst())
        var known: Settings?
        do {
            guard let settings = try settings(given) else {
                try await execute(given)
                Foundation.exit(0)
            }
            known = settings
            // Its parent has said so.
            if !IsolatedJob.isAsked { for warning in settings.warnings { note("Warning: \(warning)") } }
            try await Settings.$current.withValue(settings) { try await execute(settings.arguments) }
        } catch {
            exitProgram(for: error, known)
        }
        Foundation.exit(0)
    }

    /// Nil where the command has none, or where somebody only wants to know what there is.
    private static func settings(_ arguments: [String]) throws -> Settings? {
        guard let command = Self.self as? any ConfiguredCommand.Type, command.takesSettings(arguments),
            !arguments.contains(where: { ["--help", "-h", "--version", "--help-hidden"].contains($0) })
        else { return nil }
        let environment = ProcessInfo.processInfo.environment
        return try Settings(arguments, for: command.settingsReader, environment: environment)
    }

    private static func execute(_ arguments: [String]) async throws {
        var command = try parseAsRoot(arguments)
        if var asynchronous = command as? any AsyncParsableCommand {
            try await asynchronous.run()
        } else {
            try command.run()
        }
    }

    /// - Parameter settings: to say where a value comes from that was not given on the command line.
    private static func exitProgram(for error: any Error, _ settings: Settings?) -> Never {
        let parserCode = exitCode(for: error)
        let isParsers = error is CleanExit || error is ValidationError || parserCode == .validationFailure
        if parserCode == .success {
            StandardStream.output.writeAll(fullMessage(for: error) + "\n")
            Foundation.exit(0)
        }
        if isParsers {
            let message = fullMessage(for: error)
            let origins = (settings?.origins(of: message) ?? []).map { $0 + "\n" }.joined()
            StandardStream.error.writeAll(origins + CommandFailure.withoutPasswords(message) + "\n")
            Foundation.exit(parserCode.rawValue)
        }
        let failure = CommandFailure(error)
        // Behind the log, and not directly: a log that nobody reads would keep the process from ending.
        if let message = failure.message {
            let origins = failure.code == 64 ? settings?.origins(of: message) ?? [] : []
            LineQueue.error.add((["Error: \(message)"] + origins).joined(separator: " ") + "\n", as: .text)
        }
        Foundation.exit(failure.code)
    }
}

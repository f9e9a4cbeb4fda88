package import BackgroundJobs
import Foundation

/// One file of the scripts made wrong: what `./cli/mutate` gives to the tests.
package struct MutatedFile: Codable, Sendable {
    /// The variable that names the file with the mutant as JSON.
    package static let variable = "BG_MUTANT"

    /// The file's text as it stands in the scripts.
    package var before: String
    package var after: String

    package init(before: String, after: String) {
        self.before = before
        self.after = after
    }
}

extension Scripts {
    /// Each of them.
    package static var all: [WritableKeyPath<Scripts, Script>] {
        [
            \.exchange, \.adopt, \.look, \.promote, \.reap, \.fallback, \.recover, \.enqueue, \.together, \.dequeue,
            \.cancel,
            \.retry, \.trim, \.delete, \.pause, \.clear, \.move, \.await, \.note, \.due, \.fire, \.declare, \.steer,
            \.rights,
        ]
    }

    /// The scripts that hold a text, with another one in its place.
    package func replacing(_ text: String, with other: String) -> Scripts {
        var scripts = self
        for path in Self.all {
            let source = scripts[keyPath: path].source
            scripts[keyPath: path].source = source.replacingOccurrences(of: text, with: other)
        }
        return scripts
    }

    /// Whether the tests run to see if they notice a mutant.
    package static let areMutated = ProcessInfo.processInfo.environment[MutatedFile.variable] != nil

    /// The scripts, or the mutant of them that this process is to notice.
    package static let underTest: Scripts = {
        guard let path = ProcessInfo.processInfo.environment[MutatedFile.variable] else { return Scripts() }
        do {
            let mutant = try JSONDecoder().decode(
                MutatedFile.self,
                from: Data(contentsOf: URL(fileURLWithPath: path))
            )
            return Scripts().replacing(mutant.before, with: mutant.after)
        } catch {
            preconditionFailure("\(MutatedFile.variable)=\(path) can't be read: \(error)")
        }
    }()
}

import Foundation
import Synchronization

/// Where tests and drills put what they and their programs write. Each thing is removed by what has made it, unless all
/// is to be kept.
package enum Files {
    private struct State {
        /// A mutant's tests are told theirs: they may be ended at any moment, and somebody else clears up.
        var folder = ProcessInfo.processInfo.environment[variable] ?? "/tmp"
        var isKept = false
    }

    /// Names the folder to a process that others have started.
    package static let variable = "BG_TEST_FOLDER"

    private static let state = Mutex(State())

    /// From now on files are made in this folder, which is made if it is not there.
    package static func collect(in folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        state.withLock { $0 = State(folder: folder) }
    }

    /// From now on nothing is removed: somebody is to look at what went wrong.
    package static func keep() { state.withLock { $0.isKept = true } }

    /// A path that nobody else has.
    package static func path(_ name: String) -> String {
        "\(state.withLock { $0.folder })/bg-\(name)-\(UInt32.random(in: 0 ... .max))"
    }

    /// Removes what a path of ``path(_:)`` leads to.
    package static func remove(_ path: String) {
        guard !state.withLock({ $0.isKept }) else { return }
        try? FileManager.default.removeItem(atPath: path)
    }
}

import BackgroundJobs

/// The version that every program says on `--version`.
package enum ProgramVersion {
    /// The version of this package.
    package static let current = LibraryVersion.current
}

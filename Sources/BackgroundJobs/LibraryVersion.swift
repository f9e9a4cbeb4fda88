/// The version of this package: what programs say on `--version`, and workers of themselves.
package enum LibraryVersion {
    package static let current = "0.1.0"
}

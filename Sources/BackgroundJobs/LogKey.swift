/// The keys of log metadata, in one place so that the names can't drift.
package enum LogKey {
    package static let job = "job"
    package static let attempt = "attempt"
    package static let number = "number"
    package static let queue = "queue"
    package static let className = "class"
    package static let node = "node"
    package static let periodic = "periodic"
    package static let error = "error"
    package static let milliseconds = "ms"
}

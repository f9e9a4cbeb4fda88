import Foundation
import Synchronization

/// What a job says of itself while it runs.
extension JobContext {
    /// Says how far the job is; visible in `bg-cli job`. It may be called as often as one likes: it is sent a few times a
    /// second at most.
    ///
    /// - Parameters:
    ///   - fraction: from 0 to 1; what lies outside is cut.
    ///   - message: a few words, at most 1 KiB; without any the last ones stay.
    public func progress(_ fraction: Double, _ message: String = "") {
        let part = fraction.isNaN ? 0 : min(max(fraction, 0), 1)
        notes.set("prg", "\((part * 10_000).rounded() / 10_000)")
        if !message.isEmpty { notes.set("prm", FailureText.printable(message, limit: 1024)) }
    }

    /// Keeps a fact with this attempt; visible in `bg-cli job`. The last value under a key counts.
    ///
    /// - Parameters:
    ///   - key: at most 100 bytes.
    ///   - value: at most 4 KiB. All facts together have at most 64 KiB; what is beyond is left out.
    public func note(_ key: String, _ value: some CustomStringConvertible & Sendable) {
        let name = FailureText.printable(key, limit: 100)
        notes.add(name, FailureText.printable(value.description, limit: 4096))
    }

    /// Adds a value for the later steps of the chain, beside this job's result. It is theirs once this attempt succeeds.
    ///
    /// - Parameters:
    ///   - key: what ``shared(_:as:)`` asks for.
    ///   - value: anything that JSON can hold.
    /// - Throws: ``BadResult`` where JSON can't hold it, or if all that is added has more than 64 KiB.
    public func share(_ key: String, _ value: some Encodable & Sendable) throws {
        let text = String(decoding: try JobResult.encoded(value), as: UTF8.self)
        guard notes.share(key, text) else {
            throw BadResult(description: "what is shared with later steps has more than \(AttemptNotes.limit) bytes")
        }
    }
}

/// What one attempt says of itself, until it is sent.
final class AttemptNotes: Sendable {
    /// Bytes of the facts, and of what is shared.
    static let limit = 65_536

    private struct State {
        var fields: [String: String] = [:]
        var facts: [String: String] = [:]
        var factBytes = 0
        var shared: [String: String] = [:]
        /// Whether something has not been sent.
        var isChanged = false
    }

    private let state = Mutex(State())
    private let onChange: @Sendable () -> Void

    /// - Parameter onChange: is called when there is something to be sent for the first time since it was last taken.
    init(onChange: @escaping @Sendable () -> Void = {}) {
        self.onChange = onChange
    }

    private func change(_ change: (inout State) -> Void) {
        let isFirst = state.withLock { state in
            change(&state)
            defer { state.isChanged = true }
            return !state.isChanged
        }
        if isFirst { onChange() }
    }

    func set(_ field: String, _ value: String) {
        change { $0.fields[field] = value }
    }

    func add(_ key: String, _ value: String) {
        change { state in
            let size = key.utf8.count + value.utf8.count
            let former = state.facts[key].map { key.utf8.count + $0.utf8.count } ?? 0
            guard state.factBytes + size - former <= Self.limit else { return }
            state.factBytes += size - former
            state.facts[key] = value
        }
    }

    /// - Parameter value: JSON.
    func share(_ key: String, _ value: String) -> Bool {
        state.withLock { state in
            var shared = state.shared
            shared[key] = value
            guard shared.reduce(0, { $0 + $1.key.utf8.count + $1.value.utf8.count }) <= Self.limit else { return false }
            state.shared = shared
            return true
        }
    }

    /// The fields that have not been sent.
    func takeChanged() -> [String: String] {
        state.withLock { state in
            guard state.isChanged else { return [:] }
            state.isChanged = false
            return Self.fields(state)
        }
    }

    /// All fields, for the end of the attempt: `prg`, `prm`, `nte`, `add`.
    var fields: [String: String] {
        state.withLock { state in
            guard state.isChanged || !state.fields.isEmpty || !state.facts.isEmpty || !state.shared.isEmpty else {
                return [:]
            }
            var fields = Self.fields(state)
            if !state.shared.isEmpty {
                let pairs = state.shared.sorted { $0.key < $1.key }.map { "\(Self.json($0.key)):\($0.value)" }
                fields["add"] = "{\(pairs.joined(separator: ","))}"
            }
            return fields
        }
    }

    private static func fields(_ state: State) -> [String: String] {
        var fields = state.fields
        if !state.facts.isEmpty {
            let pairs = state.facts.sorted { $0.key < $1.key }.map { "\(json($0.key)):\(json($0.value))" }
            fields["nte"] = "{\(pairs.joined(separator: ","))}"
        }
        return fields
    }

    private static func json(_ text: String) -> String {
        // A string is always encodable.
        (try? JobResult.encoded(text)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
    }
}

import Synchronization

/// Says the same thing at most once in ten seconds, and no more than twenty things of one subject: whatever is wrong with
/// ten thousand jobs at once does not fill the log.
final class NoticeLog: Sendable {
    private static let window = Duration.seconds(10)
    private static let limit = 20

    private struct Subject {
        var began = ContinuousClock.now
        var said: Set<String> = []
    }

    private let subjects = Mutex<[String: Subject]>([:])

    func log(_ subject: String, _ sentence: String, _ say: (String) -> Void) {
        let (isNew, isLast) = subjects.withLock { subjects in
            if subjects.count > 1000 { subjects = [:] }
            var current = subjects[subject] ?? Subject()
            if current.began.duration(to: .now) >= Self.window { current = Subject() }
            let isNew = current.said.count < Self.limit && current.said.insert(sentence).inserted
            subjects[subject] = current
            return (isNew, isNew && current.said.count == Self.limit)
        }
        if isNew { say(sentence) }
        if isLast { say("More of this kind is left out for \(Self.window.components.seconds) s.") }
    }
}

import Synchronization

/// Says the same thing at most once in ten seconds, and forgets what it said when it has said very much.
final class NoticeLog: Sendable {
    private let said = Mutex<[String: ContinuousClock.Instant]>([:])

    func log(_ subject: String, _ sentence: String, _ say: (String) -> Void) {
        let now = ContinuousClock.now
        let isNew = said.withLock { said in
            if said.count > 1000 { said = [:] }
            if let before = said[subject + sentence], before.duration(to: now) < .seconds(10) { return false }
            said[subject + sentence] = now
            return true
        }
        if isNew { say(sentence) }
    }
}

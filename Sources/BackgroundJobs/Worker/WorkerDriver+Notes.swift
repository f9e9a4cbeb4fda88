import Synchronization

/// What running jobs say of themselves: collected, and sent in one call for all, a few times a second at most.
extension WorkerDriver {
    private static let pause = Duration.milliseconds(300)

    /// An attempt's job has said something.
    func noted(_ attempt: String) {
        let isFirst = noted.withLock { noted in
            defer { noted.insert(attempt) }
            return noted.isEmpty
        }
        if isFirst { schedule(in: Self.pause) { self.sendNotes() } }
    }

    private func sendNotes() {
        let attempts = noted.withLock { noted in
            defer { noted = [] }
            return noted
        }
        let notes = attempts.compactMap { id -> AttemptNote? in
            guard let attempt = tasks[id]?.attempt else { return nil }
            let fields = attempt.context.notes.takeChanged()
            return fields.isEmpty ? nil : AttemptNote(attempt: id, queue: attempt.job.queue, fields: fields)
        }
        if !notes.isEmpty { link.note(notes) }
    }
}

/// Where jobs of a queue wait, in the order in which a queue is emptied.
package enum WaitingPlace: String, Sendable, CaseIterable {
    case handoff, ready, suspects, scheduled
    /// For some nodes only: what is emptied is then a ``Place``, in the queue's stead.
    case placed
}

/// What a step of emptying a queue has done.
package struct WaitingStep: Sendable, Equatable {
    /// How many IDs it took off the list.
    package var taken: Int
    /// How many jobs it deleted or moved. The others ran, had ended, or are damaged.
    package var done: Int
    /// What is damaged, as sentences.
    package var problems: [String]

    package init(taken: Int, done: Int, problems: [String] = []) {
        self.taken = taken
        self.done = done
        self.problems = problems
    }
}

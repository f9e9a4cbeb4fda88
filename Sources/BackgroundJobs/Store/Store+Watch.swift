/// What a step of promotion did.
package struct Promotion: Sendable, Equatable {
    /// The jobs that went to `ready`, in order.
    package var moved: [String]
    /// Ms until the next one is due (0: more are due now); nil if nothing is scheduled.
    package var wait: Int64?

    package init(moved: [String], wait: Int64?) {
        self.moved = moved
        self.wait = wait
    }
}

/// An attempt that a watcher judged, with what it looked like then.
package struct Condemned: Sendable, Equatable {
    package var queue: String
    package var attempt: String
    package var judgement: Judgement

    package enum Judgement: Sendable, Equatable {
        /// Its worker is gone; ended only while these are unchanged.
        case gone(client: String, node: String, adoptions: String)
        /// It has had no readable hash for longer than the grace.
        case unreadable
    }

    package init(queue: String, attempt: String, judgement: Judgement) {
        self.queue = queue
        self.attempt = attempt
        self.judgement = judgement
    }
}

/// What became of a condemned attempt.
package struct Reaped: Sendable, Equatable {
    package var outcome: Outcome
    package var job: String?

    package enum Outcome: Sendable, Equatable {
        /// The job went back to the head of `ready`, or to `suspects`, or is dead, or ended as cancelled.
        case ready, suspects, dead, cancelled
        /// The attempt was ended; the job had ended before, or has no hash.
        case over, gone
        /// The attempt had no readable hash.
        case unreadable
        /// It no longer was what had been judged.
        case spared
        case damaged(String)
    }

    package init(outcome: Outcome, job: String?) {
        self.outcome = outcome
        self.job = job
    }
}

/// The sets that are trimmed.
package enum TrimmedSet: String, Sendable, CaseIterable {
    case completed, failed, ended, dead
}

/// How long and how many of a set are kept.
public struct Retention: Sendable, Hashable {
    /// How long; nil for ever.
    public var age: Duration?
    /// How many a queue; nil: all.
    public var count: Int?

    /// Makes a retention: whichever half is exceeded first counts.
    ///
    /// - Parameters:
    ///   - age: how long a record is kept; nil for ever, zero not at all.
    ///   - count: how many are kept in a queue; nil for all, 0 for none.
    public init(age: Duration?, count: Int?) {
        precondition(age.map { $0 >= .zero } ?? true, "an age is not negative")
        precondition(count.map { $0 >= 0 } ?? true, "a count is not negative")
        self.age = age
        self.count = count
    }
}

/// What a step of trimming did.
package struct Trimmed: Sendable, Equatable {
    package var removed: Int
    /// Those looked at that must stay; the next step starts behind them.
    package var kept: Int
    package var hasMore: Bool
    /// Why some of those that stay are damaged.
    package var problems: [String]

    package init(removed: Int, kept: Int, hasMore: Bool, problems: [String] = []) {
        self.removed = removed
        self.kept = kept
        self.hasMore = hasMore
        self.problems = problems
    }
}

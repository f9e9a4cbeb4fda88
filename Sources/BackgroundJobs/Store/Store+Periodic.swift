/// Periodic jobs whose time has come.
package struct DuePeriodics: Sendable, Equatable {
    package var entries: [Entry]
    /// The server's time, ms.
    package var now: Int64
    /// Ms until the next one that is not due yet; nil if there is none.
    package var wait: Int64?

    /// One of them, with what it takes to find its next time.
    package struct Entry: Sendable, Equatable {
        package var name: String
        /// When it was due, ms.
        package var due: Int64
        package var fields: Fields

        package enum Fields: Sendable, Equatable {
            /// `exp`, `tz`, `que`, `cls`, `mis` and `unt`, as far as they are there.
            case read([String: String])
            case damaged(String)
        }

        package init(name: String, due: Int64, fields: Fields) {
            self.name = name
            self.due = due
            self.fields = fields
        }
    }

    /// The fields that are told.
    package static let told = ["exp", "tz", "que", "cls", "mis", "unt"]

    package init(entries: [Entry], now: Int64, wait: Int64?) {
        self.entries = entries
        self.now = now
        self.wait = wait
    }
}

/// What is to become of a periodic job that is due.
package struct Firing: Sendable, Equatable {
    package var name: String
    /// When it was due; another time, and nothing is done.
    package var due: Int64
    /// The time that it is fired for, ms; nil: it is passed over.
    package var time: Int64?
    /// When it is due next, or why it never will be.
    package var next: Next
    /// By which the next time was found; others by now, and nothing is done.
    package var expression: String
    package var zone: String
    /// Whether missed times are run (`mis`), and its end (`unt`), as they were when this was decided; others by now, and nothing
    /// is done. Empty: not given.
    package var missed: String
    package var until: String
    /// The ID of the new job.
    package var job: String

    package enum Next: Sendable, Equatable {
        case at(Int64)
        case never(String)
    }

    package init(
        name: String,
        due: Int64,
        time: Int64?,
        next: Next,
        expression: String,
        zone: String = "",
        missed: String = "",
        until: String = "",
        job: String
    ) {
        self.name = name
        self.due = due
        self.time = time
        self.next = next
        self.expression = expression
        self.zone = zone
        self.missed = missed
        self.until = until
        self.job = job
    }
}

/// What became of it.
package enum Fired: Sendable, Equatable {
    case fired
    /// The job before has not ended.
    case skipped
    /// Passed over, as was wanted.
    case passed
    /// It is paused or has ended: it will not be due again.
    case rested
    /// Somebody else fired it, or it has been declared anew or removed.
    case taken
    /// Its time has not come.
    case early
    case damaged(String)
}

/// A periodic job to be written. Names and sizes have been checked.
package struct Declaration: Sendable, Equatable {
    package var name: String
    /// When it is due first, ms.
    package var first: Int64
    /// What it is, as fields of its hash.
    package var fields: [String: [UInt8]]

    package init(name: String, first: Int64, fields: [String: [UInt8]]) {
        self.name = name
        self.first = first
        self.fields = fields
    }
}

/// What became of declarations.
package struct Declared: Sendable, Equatable {
    package var verdicts: [Verdict]
    /// Those of the same owner that it no longer declares.
    package var removed: [String]

    package enum Verdict: Sendable, Equatable {
        case added, changed, unchanged
        /// It is another's, or nobody's (empty); nothing was written.
        case foreign(String)
        case damaged(String)
    }

    package init(verdicts: [Verdict], removed: [String]) {
        self.verdicts = verdicts
        self.removed = removed
    }
}

/// What somebody does to a periodic job.
package enum PeriodicAction: Sendable, Equatable {
    case remove, pause
    /// - Parameters:
    ///   - next: when it is due next.
    ///   - expression, zone: by which that was found.
    case resume(next: Int64, expression: String, zone: String)
    case end(reason: String)
    /// Enqueues a job of it, with this ID.
    case run(job: String)
}

/// What became of that.
package enum PeriodicVerdict: String, Sendable {
    case done, missing
    /// It has ended before.
    case ended
    /// It is not paused.
    case idle
    /// It has been declared anew meanwhile.
    case changed
}

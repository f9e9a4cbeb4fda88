/// How long a job waits for a node that is not there (``JobOptions/on``, ``JobOptions/avoiding``).
public enum Fallback: Sendable, Hashable {
    /// After this time any worker may take it.
    case after(Duration)
    /// It waits until there is one.
    case never

    /// What holds where nothing is said: 10 s.
    package static let usual = Duration.seconds(10)
}

extension Fallback {
    /// The form in the field `fbk`: ms, or `never`.
    package func text() throws(BackgroundError) -> String {
        switch self {
        case .never: "never"
        case .after(let time): try JobOptions.checked(time, "fallback", from: .zero)
        }
    }

    /// Reads what ``text()`` writes.
    package init?(text: String) {
        if text == "never" {
            self = .never
        } else if let time = Int64(text), time >= 0, .milliseconds(time) <= JobOptions.longest {
            self = .after(.milliseconds(time))
        } else {
            return nil
        }
    }
}

extension JobOptions {
    /// The fields that say where it may run.
    ///
    /// - Throws: ``BackgroundError`` for a value that is not allowed.
    package func placement() throws(BackgroundError) -> [Field] {
        guard on != nil || avoiding != nil || fallback != nil else { return [] }
        var fields: [Field] = []
        for (name, value, option) in [("on", on, "on"), ("avo", avoiding, "avoiding")] {
            guard let value else { continue }
            guard Names.isNodeName(value) else {
                throw BackgroundError(
                    .invalidArgument,
                    "The option \(option) is \(Names.quoted(value)), which is no name of a worker: these have 1 to 40 of "
                        + "A-Z a-z 0-9 _ . -, as bg-cli workers shows them."
                )
            }
            fields.append((name, value))
        }
        if on != nil, avoiding != nil {
            throw BackgroundError(.invalidArgument, "The options on and avoiding exclude each other: give one of them.")
        }
        if let fallback {
            guard on != nil || avoiding != nil else {
                throw BackgroundError(.invalidArgument, "The option fallback needs on or avoiding, which say where.")
            }
            fields.append(("fbk", try fallback.text()))
        }
        return fields
    }

    /// Where these say where it may run they say so alone; else as `other` says.
    package func placement(or other: JobOptions) -> JobOptions {
        let source = on != nil || avoiding != nil ? self : other
        return JobOptions(on: source.on, avoiding: source.avoiding, fallback: fallback ?? source.fallback)
    }
}

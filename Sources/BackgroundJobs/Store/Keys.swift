/// The names of the keys (protocol, Keys).
package struct Keys: Sendable {
    package let namespace: String

    package init(namespace: String) {
        self.namespace = namespace
    }

    package func job(_ id: String) -> String { "\(namespace):jobs:\(id)" }
    package func attempt(_ id: String) -> String { "\(namespace):attempts:\(id)" }
    package func ready(_ queue: String) -> String { "\(namespace):ready:\(queue)" }
    package func handoff(_ queue: String) -> String { "\(namespace):handoff:\(queue)" }
    package func suspects(_ queue: String) -> String { "\(namespace):suspects:\(queue)" }
    package func placed(_ place: Place) -> String { "\(namespace):placed:\(place)" }
    /// Notes for any worker of a queue.
    package func wake(_ queue: String) -> String { "\(namespace):wake:\(queue)" }
    /// Notes for those whose jobs wait in this place.
    package func wake(_ place: Place) -> String { "\(namespace):wake:\(place)" }
    package func scheduled(_ queue: String) -> String { "\(namespace):scheduled:\(queue)" }
    package func processing(_ queue: String) -> String { "\(namespace):processing:\(queue)" }
    package func completed(_ queue: String) -> String { "\(namespace):completed:\(queue)" }
    package func failed(_ queue: String) -> String { "\(namespace):failed:\(queue)" }
    package func ended(_ queue: String) -> String { "\(namespace):ended:\(queue)" }
    package func dead(_ queue: String) -> String { "\(namespace):dead:\(queue)" }
    package func statistics(_ queue: String) -> String { "\(namespace):stats:\(queue)" }
    package func lock(_ digest: String) -> String { "\(namespace):unique:\(digest)" }
    package func cancel(_ node: String) -> String { "\(namespace):cancel:\(node)" }
    package func batch(_ id: String) -> String { "\(namespace):batch:\(id)" }
    package func awaited(_ job: String) -> String { "\(namespace):awaited:\(job)" }
    package func notes(_ listener: String) -> String { "\(namespace):notes:\(listener)" }
    package var awaited: String { "\(namespace):awaited" }
    package func node(_ node: String) -> String { "\(namespace):node:\(node)" }
    package func periodic(_ name: String) -> String { "\(namespace):cron:\(name)" }
    package var periodics: String { "\(namespace):crons" }
    package var queues: String { "\(namespace):queues" }
    package var places: String { "\(namespace):places" }
    package var paused: String { "\(namespace):paused" }
    package var protocolVersion: String { "\(namespace):protocol" }
}

import BackgroundRedis
import Logging

/// fallback: jobs that wait for a node that is not there are given to any, when they have waited as long as they ask for.
struct Placer: Sendable {
    static let step = 500
    /// How many places are looked at in one go; where there are more, they are drawn.
    static let most = 1000

    let watch: Watch

    func run() async {
        var absences = Absences()
        await watch.atEachLook("place") { look throws(BackgroundError) in
            guard look.places > 0 else {
                absences = Absences()
                return
            }
            do throws(BackgroundError) {
                try await place(&absences)
            } catch {
                // Who was missing meanwhile is not known.
                absences = Absences()
                throw error
            }
        }
    }

    private func place(_ absences: inout Absences) async throws(BackgroundError) {
        let keys = watch.store.keys
        let members = try await watch.store.send("SRANDMEMBER", keys.places, "\(Self.most)").array ?? []
        guard !members.isEmpty else {
            absences = Absences()
            return
        }
        let session = watch.store.client.session?.number
        let workers = try await connectedWorkers()
        // A connection made anew may be that to a server whose workers are still on their way to it.
        if session != watch.store.client.session?.number { absences = Absences() }
        absences.keep(Set(members.compactMap(\.text)))
        for member in members.compactMap(\.text).sorted() where !Task.isCancelled {
            guard let place = Place(member), watch.options.queues?.contains(place.queue) ?? true else { continue }
            let isServed = workers.contains {
                $0.queues.contains(place.queue) && place.suits(Node.name(of: $0.node))
            }
            guard let absence = absences.note(member, isServed: isServed, session: session, now: .now) else { continue }
            try await watch.forEach([place.queue], "place") { _ throws(BackgroundError) in
                try await fallBack(place, absence)
            }
        }
    }

    private func connectedWorkers() async throws(BackgroundError) -> [ConnectedWorker] {
        guard case .string(let bytes) = try await watch.store.send("CLIENT", "LIST") else { return [] }
        return ClientList.parse(bytes).filter { $0.database == watch.database }
            .compactMap { ConnectedWorker($0, namespace: watch.namespace) }
    }

    private func fallBack(_ place: Place, _ absence: Duration) async throws(BackgroundError) {
        var rank = 0
        while !Task.isCancelled {
            let step = try await watch.store.fallBack(
                place,
                absence: absence.milliseconds,
                limit: Self.step,
                from: rank
            )
            for job in step.moved {
                let who = place.kind == .on ? "no worker \(place.name) is" : "only workers \(place.name) are"
                watch.logger.info(
                    "Gave a job to any node: \(who) connected",
                    metadata: [LogKey.job: "\(job)", LogKey.queue: "\(place.queue)"]
                )
            }
            guard step.hasMore else { return }
            rank += step.kept
        }
    }
}

/// Since when there has been nobody for the jobs of a place, as far as this watcher saw.
struct Absences {
    private var since: [String: ContinuousClock.Instant] = [:]
    private var session: UInt64?

    mutating func keep(_ places: Set<String>) {
        since = since.filter { places.contains($0.key) }
    }

    /// How long it has been; nil where there is somebody. On another connection it is counted anew.
    mutating func note(
        _ place: String,
        isServed: Bool,
        session: UInt64?,
        now: ContinuousClock.Instant
    ) -> Duration? {
        if session != self.session {
            since = [:]
            self.session = session
        }
        guard !isServed else {
            since[place] = nil
            return nil
        }
        let first = since[place] ?? now
        since[place] = first
        return first.duration(to: now)
    }
}

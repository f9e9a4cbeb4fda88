import BackgroundRedis

/// Goes through a sorted set from the lowest score up, a page at a time, as far as it reached at the start.
///
/// A member that stays in the set is seen once, whoever takes others out meanwhile: the walk goes on behind the last member
/// it saw, by score and name, since ranks shift.
struct SortedSetWalk {
    private let key: String
    private let pageSize: Int
    /// The highest score at the start; nil: there is nothing (more) to see.
    private var end: String?
    private var last: Place?
    /// How many members of the score of `last` the next page leaves out.
    private var skipped = 0

    /// A place in the order of the set.
    private struct Place: Comparable {
        var score: Double
        var text: String
        var member: [UInt8]

        static func < (a: Place, b: Place) -> Bool {
            a.score == b.score ? a.member.lexicographicallyPrecedes(b.member) : a.score < b.score
        }
    }

    /// - Parameter pageSize: how many members a page has at most; at least 2.
    init(_ key: String, pageSize: Int, in inspector: Inspector) async throws(BackgroundError) {
        precondition(pageSize > 1, "the last member of a page stands in the next one too")
        self.key = key
        self.pageSize = pageSize
        let highest = try await inspector.read("ZREVRANGE", key, "0", "0", "WITHSCORES").array ?? []
        end = highest.last?.text
    }

    /// The next members; none: that was all.
    mutating func next(in inspector: Inspector) async throws(BackgroundError) -> [String] {
        while let end {
            let page = try await places(from: last?.text ?? "-inf", to: end, inspector)
            if skipped > 0, let last, page.first.map({ last < $0 }) ?? true {
                // Members in front of `last` have gone: what stands behind it may now stand in front of this page.
                skipped /= 2
                continue
            }
            if page.count < pageSize { self.end = nil }
            guard let newest = page.last else { break }
            let fresh = page.filter { place in last.map { $0 < place } ?? true }
            // The page after this one begins with `newest`, which tells that nothing was passed over.
            skipped = (newest.score == last?.score ? skipped : 0) + page.count { $0.score == newest.score } - 1
            last = last.map { max($0, newest) } ?? newest
            if !fresh.isEmpty { return fresh.map { String(decoding: $0.member, as: UTF8.self) } }
        }
        return []
    }

    private func places(
        from start: String,
        to end: String,
        _ inspector: Inspector
    ) async throws(BackgroundError) -> [Place] {
        let limit = ["LIMIT", "\(skipped)", "\(pageSize)"]
        let reply = try await inspector.read(
            "ZRANGEBYSCORE",
            key,
            start,
            end,
            "WITHSCORES",
            limit[0],
            limit[1],
            limit[2]
        )
        let parts = reply.array ?? []
        return stride(from: 0, to: parts.count - 1, by: 2).compactMap { index in
            guard case .string(let member) = parts[index], let text = parts[index + 1].text else { return nil }
            return Double(text).map { Place(score: $0, text: text, member: member) }
        }
    }
}

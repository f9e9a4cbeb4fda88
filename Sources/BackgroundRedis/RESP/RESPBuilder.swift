/// Puts a reply together from its parts, in the order in which they are read.
final class RESPBuilder {
    private struct PartialArray {
        var missing: Int
        var elements: [RESPValue] = []
    }

    /// What the reader of hiredis 0.14 takes: an array and seven within. Later ones have no limit.
    private static let maximumDepth = 8

    private var arrays: [PartialArray] = []
    private var reply: RESPValue?

    /// Why what was read cannot be a reply, if it cannot.
    private(set) var violation: String?

    /// The complete reply, at most once.
    func takeReply() -> RESPValue? {
        defer { reply = nil }
        return arrays.isEmpty ? reply : nil
    }

    func refuse(_ reason: String) {
        violation = violation ?? reason
    }

    /// Begins an array. Nothing is reserved for it: the count is a claim of the server, the elements are not.
    func beginArray(_ count: Int) {
        guard arrays.count < Self.maximumDepth else { return refuse("arrays nested too deep") }
        if count == 0 { return add(.array([])) }
        arrays.append(PartialArray(missing: count))
    }

    func add(_ value: RESPValue) {
        var value = value
        while true {
            guard !arrays.isEmpty else {
                reply = value
                return
            }
            let last = arrays.count - 1
            arrays[last].elements.append(value)
            arrays[last].missing -= 1
            guard arrays[last].missing == 0 else { return }
            value = .array(arrays.removeLast().elements)
        }
    }
}

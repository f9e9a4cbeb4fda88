import BackgroundJobs

/// Jobs that are for some nodes only.
extension MemoryClaim {
    mutating func findPlaces(_ state: MemoryState) {
        guard let places = state.data.sets["places"]?.sorted(), !places.isEmpty else { return }
        let name = Node.name(of: voucher.node)
        for queue in queues { openPlaces[queue] = [Place(queue: queue, kind: .on, name: name)] }
        for place in places.compactMap(Place.init) where place.kind == .avoid && place.name != name {
            openPlaces[place.queue]?.append(place)
        }
    }

    /// Where a job has to wait, since it is not for this node.
    mutating func place(for id: String, _ record: MemoryState.Record, _ queue: String) -> Place? {
        guard record["pla"] != "any" else { return nil }
        let (kind, name): (Place.Kind, String?) =
            record.present("on").map { (.on, $0) } ?? (.avoid, record.present("avo"))
        guard let name else { return nil }
        let place = Place(queue: queue, kind: kind, name: name)
        guard !place.suits(Node.name(of: voucher.node)) else { return nil }
        guard Names.isNodeName(name) else {
            notice(queue, "job \(id): may run on any node: \(name) is no name of a node")
            return nil
        }
        return place
    }

    mutating func setAside(_ id: String, in place: Place, _ state: inout MemoryState) {
        state.touch("placed")
        state.data.lists["placed:\(place)", default: []].append(id)
        state.data.sets["places", default: []].insert("\(place)")
        state.data.jobs[id]?["pla"] = place.field
        state.set("plt", of: id, to: state.now)
        if place.kind == .on { wake("\(place)", "0 on") } else { wake(place.queue, "0 avoid \(place.name)") }
    }

    mutating func wake(_ list: String, _ note: String) {
        if woken[list, default: []].count < 16 { woken[list, default: []].append(note) }
    }

    /// Suspects are passed over where this worker runs one.
    mutating func take(from place: Place, _ state: inout MemoryState) {
        let key = "placed:\(place)"
        let window = room(place.queue) + 15
        let ids = (state.data.lists[key] ?? []).prefix(window)
        var gone = 0
        var waited: Int64 = 0
        dealing: for id in ids where room(place.queue) > 0 {
            switch deal(with: id, in: place.queue, isSuspect: false, isPlaced: true, &waited, &state) {
            case .gone:
                if let index = state.data.lists[key]?.firstIndex(of: id) { state.data.lists[key]?.remove(at: index) }
                gone += 1
            case .stays: continue
            case .staysWithAllBehindIt: break dealing
            }
        }
        if waited > 0 { state.countInMinute(place.queue, "wait", Double(waited)) }
        if gone > 0, ids.count == window { isShort = false }
        state.closeIfEmpty(place)
    }
}

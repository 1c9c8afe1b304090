internal import KithBytes

// In which order the events of a batch go: what waits for what, what travels together, and what
// waits for earlier batches of the same sender.

extension IngestMachine {
    /// Something waits for `openGate`.
    public var isGated: Bool { !gated.isEmpty }

    /// Finds for each event the earlier ones it has to wait for, and brings those that share
    /// identifiers together.
    mutating func linkOrder() {
        components = (0..<Int32(tracks.count)).map { $0 }
        let identifierCount = batch.identifiers.count
        var size = 16
        while size < identifierCount * 2 { size *= 2 }
        // Open addressing from leaf to the last event that names it.
        var places = [Int32](repeating: -1, count: size)
        var last = [Int32](repeating: -1, count: identifierCount)
        for event in tracks.indices {
            let head = batch.heads[event]
            for index in head.identifierRange {
                let leaf = batch.identifiers[index].leaf
                var place = Int(truncatingIfNeeded: leaf.low ^ leaf.high) & (size - 1)
                while places[place] >= 0, batch.identifiers[Int(places[place])].leaf != leaf {
                    place = (place + 1) & (size - 1)
                }
                if places[place] < 0 {
                    places[place] = Int32(index)
                } else {
                    let earlier = last[Int(places[place])]
                    if earlier >= 0, Int(earlier) != event {
                        wait(Int32(event), for: earlier)
                        join(Int32(event), earlier)
                    }
                }
                last[Int(places[place])] = Int32(event)
            }
        }
        bringTogether()
    }

    /// The first event of the component. Halves the path (Tarjan and van Leeuwen 1984).
    private mutating func component(_ event: Int32) -> Int32 {
        var event = event
        while components[Int(event)] != event {
            components[Int(event)] = components[Int(components[Int(event)])]
            event = components[Int(event)]
        }
        return event
    }

    private mutating func join(_ a: Int32, _ b: Int32) {
        let (a, b) = (component(a), component(b))
        components[Int(max(a, b))] = min(a, b)
    }

    /// Fills `active`: component by component, each in the order of the batch. O(events).
    private mutating func bringTogether() {
        var next = [Int32](repeating: -1, count: tracks.count)
        var last = [Int32](repeating: -1, count: tracks.count)
        for event in Int32(0)..<Int32(tracks.count) {
            let first = component(event)
            components[Int(event)] = first
            if event != first { next[Int(last[Int(first)])] = event }
            last[Int(first)] = event
        }
        active.reserveCapacity(tracks.count)
        for first in tracks.indices where Int(components[first]) == first {
            var event = Int32(first)
            while event >= 0 {
                active.append(event)
                event = next[Int(event)]
            }
        }
    }

    mutating func shutGate(_ busy: [LeafID]) {
        for event in tracks.indices where isBusy(event, busy) {
            mark(.ingestGated)
            tracks[event].isGated = true
            tracks[event].waitsFor += 1
            gated.append(Int32(event))
        }
    }

    private func isBusy(_ event: Int, _ busy: [LeafID]) -> Bool {
        batch.identifiers[batch.heads[event].identifierRange].contains {
            Rules.isHeldBack($0.leaf, by: busy)
        }
    }

    /// Lets go the events that share no identifier with an event of an earlier batch that is not
    /// settled: `busy` are the identifiers of those, ascending, and grow fewer from call to call.
    public mutating func openGate(_ busy: [LeafID]) {
        guard isGated else { return }
        var kept: [Int32] = []
        for event in gated {
            if isBusy(Int(event), busy) {
                kept.append(event)
            } else {
                tracks[Int(event)].isGated = false
                tracks[Int(event)].waitsFor -= 1
            }
        }
        gated = kept
    }

    /// The identifiers of all events that are not settled, as often as they are named.
    public func unsettledLeaves() -> [LeafID] {
        var leaves: [LeafID] = []
        for event in active where tracks[Int(event)].phase != .settled {
            for identifier in batch.identifiers[batch.heads[Int(event)].identifierRange] {
                leaves.append(identifier.leaf)
            }
        }
        return leaves
    }

    private mutating func wait(_ event: Int32, for earlier: Int32) {
        if hasSameIdentifiers(Int(event), Int(earlier)) {
            tracks[Int(event)].companion = earlier
            // Travels with the earlier one: there is nothing to wait for but that one's start.
            if tracks[Int(earlier)].waitsFor == 0 { return }
            tracks[Int(event)].waitsFor += 1
            edges.append(Edge(event: event, next: tracks[Int(earlier)].followers))
            tracks[Int(earlier)].followers = Int32(edges.count - 1)
            return
        }
        // Of events that travel together any may be the last to settle. Each identifier of such a
        // convoy is the next event's once, so all edges together are O(identifiers).
        var last = earlier
        while last >= 0 {
            tracks[Int(event)].waitsFor += 1
            edges.append(Edge(event: event, next: tracks[Int(last)].dependents))
            tracks[Int(last)].dependents = Int32(edges.count - 1)
            last = tracks[Int(last)].companion
        }
    }

    private func hasSameIdentifiers(_ a: Int, _ b: Int) -> Bool {
        let first = batch.heads[a]
        let second = batch.heads[b]
        guard first.identifierCount == second.identifierCount, first.hasAlias == second.hasAlias
        else { return false }
        for offset in 0..<first.identifierCount
        where batch.identifier(a, offset).leaf != batch.identifier(b, offset).leaf
            || batch.identifier(a, offset).flags != batch.identifier(b, offset).flags
        {
            return false
        }
        return true
    }

    /// The event is asked for with nothing to wait for, or is answered: what travels with it may.
    mutating func start(_ event: Int) {
        guard !tracks[event].hasStarted else { return }
        tracks[event].hasStarted = true
        letGo(tracks[event].followers)
    }

    /// One thing less to wait for, for each event of a list.
    mutating func letGo(_ list: Int32) {
        var edge = list
        while edge >= 0 {
            tracks[Int(edges[Int(edge)].event)].waitsFor -= 1
            edge = edges[Int(edge)].next
        }
    }

    /// Where an event went, those that waited for it and begin with one of its identifiers go
    /// first: most likely they are one profile now.
    mutating func showTheWay(_ event: Int) {
        var edge = tracks[event].dependents
        let root = tracks[event].cursor.record
        while edge >= 0 {
            let waiting = Int(edges[Int(edge)].event)
            edge = edges[Int(edge)].next
            let cursor = tracks[waiting].cursor
            guard !tracks[waiting].hasStarted, root < cursor.leaf, cursor.isAtHome,
                batch.identifiers[batch.heads[event].identifierRange].contains(where: {
                    $0.leaf == cursor.leaf
                })
            else { continue }
            tracks[waiting].cursor = Cursor(cursor.leaf, hint: root)
        }
    }

    /// Refuses all that waits for an overloaded event, however many events lie between. O(events).
    mutating func refuseWaiting(for event: Int) {
        if isStamped {
            isOverloaded = true
            return
        }
        var refused = [event]
        while let earlier = refused.popLast() {
            for list in [tracks[earlier].dependents, tracks[earlier].followers] {
                var edge = list
                while edge >= 0 {
                    let waiting = Int(edges[Int(edge)].event)
                    edge = edges[Int(edge)].next
                    guard !tracks[waiting].hasStarted, tracks[waiting].phase != .settled
                    else { continue }
                    mark(.ingestRefusedBehind)
                    tracks[waiting].phase = .settled
                    results[waiting] = .overloaded
                    unsettled -= 1
                    refused.append(waiting)
                }
            }
        }
    }

    /// Whether time decides nothing about the event: it makes no link, and its profile is a
    /// member's.
    private func isLone(_ event: Int) -> Bool {
        batch.heads[event].identifierCount == 1
            && batch.identifier(event, 0).leaf.identifierClass != .anonymous
    }

    /// With stamps: starts what may start now. Active is a run of lone events, or one that is not
    /// lone.
    mutating func startStamped() {
        active.removeAll { tracks[Int($0)].phase == .settled }
        while nextToStart < tracks.count {
            if isOverloaded {
                settle(nextToStart, .overloaded)
                nextToStart += 1
                continue
            }
            if let first = active.first, !isLone(Int(first)) || !isLone(nextToStart) { return }
            active.append(Int32(nextToStart))
            nextToStart += 1
        }
    }

    /// The operations of one component in one round that go to one group, next to each other.
    struct Run {
        var component: Int32 = -1
        var group = -1
        /// All unsettled events of the component so far are in the run.
        var isWhole = false
    }

    /// Where in a run the event may be asked for; nil where it has to wait.
    func place(_ event: Int, in run: inout Run) -> ShardMachine.RunPlace? {
        if run.component != components[event] {
            run = Run(component: components[event], isWhole: true)
        }
        let track = tracks[event]
        guard track.phase == .place, !track.isGated, case .ask = track.cursor.step else {
            run.isWhole = false
            return track.waitsFor == 0 ? .alone : nil
        }
        let group = group(track.cursor.record)
        if run.isWhole, run.group < 0, track.waitsFor == 0 {
            run.group = group
            return .alone
        }
        if run.isWhole, run.group == group {
            if track.waitsFor == 0 { return .joins }
            if track.vainTries < Self.vainTriesMax { return .depends }
            mark(.ingestTriesOver)
        }
        run.isWhole = false
        return track.waitsFor == 0 ? .alone : nil
    }
}

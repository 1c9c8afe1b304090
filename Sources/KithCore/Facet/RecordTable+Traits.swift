internal import KithBytes

/// One trait cell, as it lies in the arena.
///
/// | bytes | field |
/// |-------|-------|
/// | 2 | name, by number; `NameTable.other`: spelt out below |
/// | 4 | bytes of the value × 4, + 2: stamp of the cell before, + 1: message id is packed |
/// | 6 | event time, unless the stamp is shared |
/// | 16 or 1 + n | message id: a canonical UUID packed, or its length and text; as the time |
/// | 2 + n | the name, where its number is `NameTable.other` |
/// | n | the value, one CBOR item |
///
/// Traits set by one message have one stamp (time, message id), which is stored once.
struct TraitCell {
    var start: Int
    var name: UInt16
    var isShared: Bool
    var isPacked: Bool
    var time: Int64
    /// End of the cell's own stamp; its start, after name and value length, is `start + 6`.
    var stampEnd: Int
    var messageID: Int
    var messageIDBytes: Int
    var nameText: Int
    var nameTextBytes: Int
    var value: Int
    var valueBytes: Int

    var end: Int { value + valueBytes }
    static let headBytes = 6
    static let sharedBit: UInt32 = 2
    static let packedBit: UInt32 = 1
}

extension RecordTable {
    /// The cell behind `previous`, or the first.
    func trait(after previous: TraitCell?, in shape: FacetShape) -> TraitCell {
        let start = previous?.end ?? shape.traits
        let name = arena.region.u16(at: start)
        let word = arena.region.u32(at: start + 2)
        var cell = TraitCell(
            start: start, name: name, isShared: word & TraitCell.sharedBit != 0,
            isPacked: word & TraitCell.packedBit != 0, time: 0, stampEnd: start + 6,
            messageID: 0, messageIDBytes: 0, nameText: 0, nameTextBytes: 0, value: 0,
            valueBytes: Int(word >> 2))
        if cell.isShared, let previous {
            cell.time = previous.time
            cell.isPacked = previous.isPacked
            cell.messageID = previous.messageID
            cell.messageIDBytes = previous.messageIDBytes
        } else {
            cell.time = arena.region.time(at: start + 6)
            cell.messageID = start + (cell.isPacked ? 12 : 13)
            cell.messageIDBytes =
                cell.isPacked ? PackedUUID.packedBytes : Int(arena.region.u8(at: start + 12))
            cell.stampEnd = cell.messageID + cell.messageIDBytes
        }
        cell.value = cell.stampEnd
        if name == NameTable.other {
            cell.nameText = cell.stampEnd + 2
            cell.nameTextBytes = Int(arena.region.u16(at: cell.stampEnd))
            cell.value = cell.nameText + cell.nameTextBytes
        }
        return cell
    }

    @_lifetime(borrow self)
    func nameText(_ cell: TraitCell) -> RawSpan {
        cell.name == NameTable.other
            ? arena.region.bytes(at: cell.nameText, count: cell.nameTextBytes)
            : names.text(cell.name)
    }

    @_lifetime(borrow self)
    func valueBytes(_ cell: TraitCell) -> RawSpan {
        arena.region.bytes(at: cell.value, count: cell.valueBytes)
    }

    private func packedID(_ cell: TraitCell) -> PackedUUID {
        PackedUUID(
            high: arena.region.u64(at: cell.messageID),
            low: arena.region.u64(at: cell.messageID + 8))
    }

    /// The text of the message id goes to `body`, unpacked where it was packed.
    func withMessageID<R>(_ cell: TraitCell, _ body: (RawSpan) -> R) -> R {
        guard cell.isPacked else {
            return body(arena.region.bytes(at: cell.messageID, count: cell.messageIDBytes))
        }
        let text = packedID(cell).text
        return unsafe body(text.span.bytes)
    }

    /// Order of two cells of one trait, by time, message id, value: the greatest wins.
    func compare(_ a: TraitCell, _ b: TraitCell) -> Int {
        if a.time != b.time { return a.time < b.time ? -1 : 1 }
        let order = withMessageID(a) { first in withMessageID(b) { first.compare($0) } }
        return order != 0 ? order : valueBytes(a).compare(valueBytes(b))
    }

    /// Order of a cell against a stamp and value from outside.
    private func compare(
        _ cell: TraitCell, time: Int64, messageID: RawSpan, value: RawSpan
    ) -> Int {
        if cell.time != time { return cell.time < time ? -1 : 1 }
        let order = withMessageID(cell) { $0.compare(messageID) }
        return order != 0 ? order : valueBytes(cell).compare(value)
    }

    /// The facet's cell of that name, the one behind it, and the last one.
    private func findTrait(
        _ shape: FacetShape, _ name: RawSpan
    ) -> (found: TraitCell?, follower: TraitCell?) {
        let known = names.find(name) ?? NameTable.other
        var found: TraitCell?
        var cell: TraitCell?
        for _ in 0..<shape.traitCount {
            let next = trait(after: cell, in: shape)
            if found != nil { return (found, next) }
            let isMatch =
                next.name == NameTable.other
                ? nameText(next).isEqual(to: name) : next.name == known
            if isMatch { found = next }
            cell = next
        }
        return (found, nil)
    }

    /// Lets the value compete for the facet's cell of that name. The cell with the greatest
    /// (time, message id, value bytes) wins, whatever the order of arrival; null is a deletion
    /// that competes like a value. `value` is one CBOR item. `known` is one for all traits of an
    /// event. O(cells of the facet), and once for `known` O(cells of the record).
    ///
    /// Where a value has no room, the oldest deletions of the record give way, as many as it needs,
    /// and none where all of them would not do. `payloadLimit` is for values; what the record
    /// takes beside is the table's own limit.
    mutating func setTrait(
        _ facet: inout FacetRef, name: RawSpan, time: Int64, messageID: RawSpan, value: RawSpan,
        payloadLimit: Int = .max, known: inout TraitNames
    ) -> TraitOutcome {
        if known.isFull, known.hasNoDeletion, !known.contains(name, number: names.find(name)) {
            return .limit
        }
        let messageID = messageID.extracting(first: FacetLimits.messageIDBytesMax)
        let time = StoredTime.rounded(time)
        var shape = shape(facet)
        var (found, follower) = findTrait(shape, name)
        if let found {
            guard compare(found, time: time, messageID: messageID, value: value) < 0 else {
                return .older
            }
        } else {
            guard name.byteCount <= FacetLimits.nameBytesMax else { return .limit }
        }
        let need = TraitNeed(
            name: name.byteCount, value: value, replacing: found, payloadLimit: payloadLimit)
        let isNew = found == nil && !hasRoom(forTrait: name, facet.slot, &known)
        if isNew || !need.fits(self, facet.slot) {
            guard giveWay(to: name, need, names: isNew ? known.excess : 0, &facet, &known) else {
                return .limit
            }
            shape = self.shape(facet)
            (found, follower) = findTrait(shape, name)
        }
        let nameID = names.retain(name) ?? NameTable.other
        if let found {
            names.release(found.name)
            removeTrait(facet, found, follower, shape)
        } else {
            // Where the table of names is full, the cell spells its name out.
            known.insert(name, number: nameID)
        }
        known.isNoDeletion(name)
        appendTrait(
            facet, name: name, id: nameID, time: time, messageID: messageID, value: value)
        return .set
    }

    /// Takes a cell out; its follower, where it shares the stamp, inherits it.
    private mutating func removeTrait(
        _ facet: FacetRef, _ cell: TraitCell, _ follower: TraitCell?, _ shape: FacetShape
    ) {
        grow(
            facet.slot, by: -Profile.traitBytesMin - nameText(cell).byteCount - cell.valueBytes)
        var from = cell.start
        var to = cell.end
        if let follower, follower.isShared, !cell.isShared {
            var word = arena.region.u32(at: follower.start + 2)
            word &= ~(TraitCell.sharedBit | TraitCell.packedBit)
            if cell.isPacked { word |= TraitCell.packedBit }
            arena.region.store(follower.name, at: cell.start)
            arena.region.store(word, at: cell.start + 2)
            from = cell.stampEnd
            to = follower.start + TraitCell.headBytes
        }
        resize(facet, at: from - shape.start, removing: to - from, inserting: 0)
        let start = start(facet)
        arena.region.store(UInt16(shape.traitCount - 1), at: start + FacetLayout.traits)
    }

    private mutating func appendTrait(
        _ facet: FacetRef, name: RawSpan, id: UInt16, time: Int64, messageID: RawSpan,
        value: RawSpan
    ) {
        grow(facet.slot, by: Profile.traitBytesMin + name.byteCount + value.byteCount)
        let shape = shape(facet)
        var last: TraitCell?
        for _ in 0..<shape.traitCount { last = trait(after: last, in: shape) }
        var isShared = false
        if let last, last.time == time {
            isShared = withMessageID(last) { $0.isEqual(to: messageID) }
        }
        let packed = isShared ? nil : PackedUUID(messageID)
        let stampBytes =
            isShared
            ? 0
            : FacetLayout.timeBytes
                + (packed == nil ? 1 + messageID.byteCount : PackedUUID.packedBytes)
        let nameBytes = id == NameTable.other ? 2 + name.byteCount : 0
        let offset = shape.window - shape.start
        resize(
            facet, at: offset, removing: 0,
            inserting: TraitCell.headBytes + stampBytes + nameBytes + value.byteCount)

        let start = start(facet)
        var at = start + offset
        var word = UInt32(value.byteCount) << 2
        if isShared { word |= TraitCell.sharedBit }
        if packed != nil { word |= TraitCell.packedBit }
        arena.region.store(id, at: at)
        arena.region.store(word, at: at + 2)
        at += TraitCell.headBytes
        if !isShared {
            arena.region.setTime(time, at: at)
            at += FacetLayout.timeBytes
            if let packed {
                arena.region.store(packed.high, at: at)
                arena.region.store(packed.low, at: at + 8)
                at += PackedUUID.packedBytes
            } else {
                arena.region.store(UInt8(messageID.byteCount), at: at)
                arena.region.store(bytes: messageID, at: at + 1)
                at += 1 + messageID.byteCount
            }
        }
        if id == NameTable.other {
            arena.region.store(UInt16(name.byteCount), at: at)
            arena.region.store(bytes: name, at: at + 2)
            at += nameBytes
        }
        arena.region.store(bytes: value, at: at)
        arena.region.store(UInt16(shape.traitCount + 1), at: start + FacetLayout.traits)
    }

    // MARK: Deletions give way

    /// By how much a value that is to be kept makes a record longer.
    private struct TraitNeed {
        let profileBytes: Int
        let payloadBytes: Int
        let payloadLimit: Int

        init(name: Int, value: RawSpan, replacing cell: TraitCell?, payloadLimit: Int) {
            if let cell {
                profileBytes = value.byteCount - cell.valueBytes
                payloadBytes = profileBytes
            } else {
                profileBytes = Profile.traitBytesMin + name + value.byteCount
                payloadBytes = name + value.byteCount
            }
            // What takes a value back is kept whatever the payload comes to.
            self.payloadLimit = value.isDeletion ? .max : payloadLimit
        }

        /// Whether there is room for it once so much is gone.
        func fits(
            _ table: borrowing RecordTable, _ slot: SlotIndex, profileBytes gone: Int = 0,
            payloadBytes payloadGone: Int = 0
        ) -> Bool {
            table.hasRoom(forProfileBytes: profileBytes - gone, slot)
                && (payloadBytes - payloadGone <= 0
                    || table.payloadBytes(slot) + payloadBytes - payloadGone <= payloadLimit)
        }
    }

    /// Drops the record's oldest deletions for good until the value of `name` fits and `count`
    /// names are gone: the name of each in every facet, since a value that it beat would come back
    /// else. The deletion of `name` itself stays. False, and nothing is dropped, where all of them
    /// would not do. O(deletions), and once for `known` as much as sorting the record's cells; for
    /// each that is dropped O(cells).
    private mutating func giveWay(
        to name: RawSpan, _ need: TraitNeed, names count: Int, _ facet: inout FacetRef,
        _ known: inout TraitNames
    ) -> Bool {
        let slot = facet.slot
        known.gatherDeletions { deletions(slot) }
        var going: [[UInt8]] = []
        var (profileBytes, payloadBytes) = (0, 0)
        for deletion in (known.deletions ?? []).reversed() {
            if going.count >= count,
                need.fits(self, slot, profileBytes: profileBytes, payloadBytes: payloadBytes)
            {
                break
            }
            if unsafe deletion.name.span.bytes.isEqual(to: name) { continue }
            going.append(deletion.name)
            profileBytes += deletion.profileBytes
            payloadBytes += deletion.payloadBytes
        }
        guard going.count >= count,
            need.fits(self, slot, profileBytes: profileBytes, payloadBytes: payloadBytes)
        else { return false }
        for name in going {
            mark(.traitDeletionGone)
            unsafe drop(name.span.bytes, from: &facet, &known)
        }
        return true
    }

    /// Drops the deletion of a name where it is older than `limit`: it has ended, and no longer
    /// beats what is older still. O(cells of the record).
    mutating func endDeletion(
        _ name: RawSpan, before limit: Int64, _ facet: inout FacetRef, _ known: inout TraitNames
    ) {
        var greatest: TraitCell?
        for place in facetRefs(facet.slot) {
            guard let cell = findTrait(shape(place), name).found else { continue }
            if greatest.map({ compare($0, cell) < 0 }) ?? true { greatest = cell }
        }
        guard let greatest, greatest.time <= limit, valueBytes(greatest).isDeletion else { return }
        mark(.traitDeletionEnded)
        drop(name, from: &facet, &known)
    }

    /// Takes the name out of every facet of the record; `facet` is one of them.
    private mutating func drop(
        _ name: RawSpan, from facet: inout FacetRef, _ known: inout TraitNames
    ) {
        let slot = facet.slot
        let leaf = leaf(facet)
        let number = names.find(name)
        var offset = Self.payloadHeaderBytes
        for _ in 0..<facetCount(slot) {
            let place = FacetRef(slot: slot, offset: UInt32(offset))
            let shape = shape(place)
            let (found, follower) = findTrait(shape, name)
            if let found {
                removeTrait(place, found, follower, shape)
                names.release(found.name)
            }
            offset += Int(arena.region.u32(at: start(place)))
        }
        known.remove(name, number: number)
        known.isNoDeletion(name)
        // A facet before it may have become shorter.
        if let moved = self.facet(slot, leaf) { facet = moved }
    }

    /// The names whose greatest cell is a deletion, the oldest last.
    private func deletions(_ slot: SlotIndex) -> [TraitNames.Deletion] {
        var cells: [TraitCell] = []
        for facet in facetRefs(slot) { appendTraits(of: shape(facet), to: &cells) }
        cells.sort { left, right in
            let order = nameText(left).compare(nameText(right))
            return order != 0 ? order < 0 : compare(left, right) < 0
        }
        var deletions: [(greatest: TraitCell, gain: TraitNames.Deletion)] = []
        var (profileBytes, payloadBytes) = (0, 0)
        for (place, cell) in cells.enumerated() {
            let name = nameText(cell)
            profileBytes += Profile.traitBytesMin + name.byteCount + cell.valueBytes
            payloadBytes += TraitCell.headBytes + cell.valueBytes
            let isGreatest =
                place + 1 == cells.count || !nameText(cells[place + 1]).isEqual(to: name)
            guard isGreatest else { continue }
            if valueBytes(cell).isDeletion {
                let gain = TraitNames.Deletion(
                    name: name.copied(), profileBytes: profileBytes, payloadBytes: payloadBytes)
                deletions.append((cell, gain))
            }
            (profileBytes, payloadBytes) = (0, 0)
        }
        // By name where times are equal, so that every replica drops the same.
        deletions.sort { left, right in
            let (left, right) = (left.greatest, right.greatest)
            return left.time != right.time
                ? left.time > right.time : nameText(left).compare(nameText(right)) > 0
        }
        return deletions.map(\.gain)
    }

    func appendTraits(of shape: FacetShape, to cells: inout [TraitCell]) {
        var cell: TraitCell?
        for _ in 0..<shape.traitCount {
            let next = trait(after: cell, in: shape)
            cells.append(next)
            cell = next
        }
    }
}

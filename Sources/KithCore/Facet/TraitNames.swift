internal import KithBytes

/// The distinct trait names of one record, as far as they had to be looked at.
///
/// A record takes `FacetLimits.traitKeysMax` names over all its facets. The number of its cells is
/// an upper bound that is cheap to have, and enough for nearly every event. Only when that bound
/// reaches the limit are the cells gone through, once for all traits that one event carries: every
/// name is then looked up, and a record that is full costs nothing more, however many new names
/// arrive and however many cells its facets have.
///
/// It also knows the names that are deletions, which give way to values: gathered once as well.
///
/// Holds for one record, as long as nothing but `setTrait` with it changes the record's traits.
struct TraitNames {
    /// At least how many distinct names there may be, before they are gathered.
    private(set) var bound: Int?
    /// A bit for each number of the name table; empty until the names are gathered.
    private var numbered: [UInt64] = []
    /// Names that found no number and are spelt out in their cells.
    private var spelled: Set<[UInt8]> = []
    /// Distinct names, once they are gathered.
    private var count = 0
    /// Names whose value is a deletion, the oldest last; nil until there was need of them.
    private(set) var deletions: [Deletion]?
    /// How often the cells of the record were gone through: once at most.
    private(set) var gathers = 0

    public init() {}

    var isGathered: Bool { gathers > 0 }
    var isFull: Bool { isGathered && count >= FacetLimits.traitKeysMax }

    /// Names beyond the limit, if one more were taken.
    var excess: Int { isGathered ? max(0, count + 1 - FacetLimits.traitKeysMax) : 0 }

    var hasNoDeletion: Bool { deletions?.isEmpty ?? false }

    /// What the record gains where the deletion of a name is dropped from all of its facets.
    struct Deletion {
        let name: [UInt8]
        /// Of the profile.
        var profileBytes: Int
        /// Of the payload, at least: a stamp may be another cell's as well.
        var payloadBytes: Int
    }

    /// Keeps the record's deletions, gathered by `gather`, where that was not done yet.
    mutating func gatherDeletions(_ gather: () -> [Deletion]) {
        if deletions == nil { deletions = gather() }
    }

    /// The name is not one that was gathered as a deletion any more.
    mutating func isNoDeletion(_ name: RawSpan) {
        deletions?.removeAll { unsafe $0.name.span.bytes.isEqual(to: name) }
    }

    /// More names may be deletions than when they were gathered.
    mutating func forgetDeletions() { deletions = nil }

    mutating func setBound(_ cells: Int) { bound = cells }

    mutating func beginGathering() {
        gathers += 1
        numbered = [UInt64](repeating: 0, count: (Int(NameTable.other) + 1) / 64)
    }

    func contains(_ name: RawSpan, number: UInt16?) -> Bool {
        if let number, number != NameTable.other, holds(number) { return true }
        return !spelled.isEmpty && spelled.contains(name.copied())
    }

    /// Counts a name that a cell of the record has, under `number` or spelt out.
    mutating func insert(_ name: RawSpan, number: UInt16) {
        guard isGathered else {
            if let bound { self.bound = bound + 1 }
            return
        }
        guard !contains(name, number: number) else { return }
        count += 1
        if number == NameTable.other {
            spelled.insert(name.copied())
        } else {
            numbered[Int(number) / 64] |= 1 << UInt64(number % 64)
        }
    }

    /// No cell of the record has the name any more, which had `number` or was spelt out.
    mutating func remove(_ name: RawSpan, number: UInt16?) {
        guard isGathered, contains(name, number: number) else { return }
        count -= 1
        if let number, number != NameTable.other, holds(number) {
            numbered[Int(number) / 64] &= ~(1 << UInt64(number % 64))
        } else {
            spelled.remove(name.copied())
        }
    }

    private func holds(_ number: UInt16) -> Bool {
        numbered[Int(number) / 64] & 1 << UInt64(number % 64) != 0
    }
}

extension RecordTable {
    /// Whether the record holds a trait of that name or may take one more name. O(facets), and
    /// O(cells) once for each `known` of a record near the limit.
    func hasRoom(forTrait name: RawSpan, _ slot: SlotIndex, _ known: inout TraitNames) -> Bool {
        if !known.isGathered {
            let bound = known.bound ?? traitCells(slot)
            guard bound >= FacetLimits.traitKeysMax else {
                known.setBound(bound)
                return true
            }
            gatherTraitNames(slot, into: &known)
        }
        return !known.isFull || known.contains(name, number: names.find(name))
    }

    private func traitCells(_ slot: SlotIndex) -> Int {
        var sum = 0
        var offset = Self.payloadHeaderBytes
        for _ in 0..<facetCount(slot) {
            let start = start(FacetRef(slot: slot, offset: UInt32(offset)))
            sum += Int(arena.region.u16(at: start + FacetLayout.traits))
            offset += Int(arena.region.u32(at: start))
        }
        return sum
    }

    /// Numbered names go first, so that one which another facet spells out counts once.
    private func gatherTraitNames(_ slot: SlotIndex, into known: inout TraitNames) {
        known.beginGathering()
        for isSpelled in [false, true] {
            for facet in facetRefs(slot) {
                let shape = shape(facet)
                var cell: TraitCell?
                for _ in 0..<shape.traitCount {
                    let next = trait(after: cell, in: shape)
                    cell = next
                    guard (next.name == NameTable.other) == isSpelled else { continue }
                    let text = nameText(next)
                    let number = isSpelled ? names.find(text) : next.name
                    guard !known.contains(text, number: number) else { continue }
                    known.insert(text, number: next.name)
                }
            }
        }
    }
}

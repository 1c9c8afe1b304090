import KithBytes

@testable import KithCore

extension RecordTable {
    /// The profile that the record's facets make together, put together in the plainest way: what
    /// `encodeProfile` must come to.
    func fold(_ slot: SlotIndex, retentionMillis: Int64) -> Profile {
        var profile = Profile(id: id(slot))
        let facets = facetsByLeaf(slot)
        guard let first = facets.first else { return profile }
        profile.space = spaceText(shape(first)).repairedText()
        profile.firstSeen = Int64.max
        profile.lastSeen = lastSeen(slot)
        var counters: [(name: UInt32, count: UInt64)] = []
        var cells: [TraitCell] = []
        for facet in facets {
            let shape = shape(facet)
            profile.firstSeen = min(profile.firstSeen, firstSeen(facet))
            let flags = flags(facet)
            if flags.contains(.quarantine) { profile.isQuarantine = true }
            if flags.isDisjoint(with: [.unlisted, .quarantine]) {
                profile.identifiers.append(
                    Profile.Identifier(
                        identifierClass: leaf(facet).identifierClass,
                        namespace: namespaceText(shape).repairedText(),
                        value: withValue(shape) { $0.repairedText() },
                        isContested: flags.contains(.contested)))
            }
            for index in 0..<shape.counterCount { counters.append(counter(index, shape)) }
            appendTraits(of: shape, to: &cells)
        }
        profile.identifiers.sort()
        if !profile.isMember {
            let (expiresAt, overflow) =
                profile.lastSeen.addingReportingOverflow(retentionMillis)
            profile.expiresAt = overflow ? Int64.max : expiresAt
        }
        foldCounters(&counters, into: &profile)
        foldTraits(&cells, into: &profile)
        return profile
    }

    private func foldCounters(
        _ counters: inout [(name: UInt32, count: UInt64)], into profile: inout Profile
    ) {
        counters.sort {
            $0.name != $1.name && events.text($0.name).compare(events.text($1.name)) < 0
        }
        var index = 0
        while index < counters.count {
            let name = counters[index].name
            var sum: UInt64 = 0
            while index < counters.count, counters[index].name == name {
                sum = sum.addingSaturated(counters[index].count)
                index += 1
            }
            profile.eventsTotal = profile.eventsTotal.addingSaturated(sum)
            profile.events.append(
                Profile.EventCount(name: events.text(name).repairedText(), count: sum))
        }
    }

    private func foldTraits(_ cells: inout [TraitCell], into profile: inout Profile) {
        cells.sort {
            let order = nameText($0).compare(nameText($1))
            return order != 0 ? order < 0 : compare($0, $1) > 0
        }
        for index in cells.indices {
            let cell = cells[index]
            if index > 0, nameText(cells[index - 1]).isEqual(to: nameText(cell)) { continue }
            let value = valueBytes(cell)
            if value.byteCount == 1, value[0] == Profile.deletion { continue }
            profile.traits.append(
                Profile.Trait(name: nameText(cell).repairedText(), value: value.copied()))
        }
    }
}

extension KithCore.ReadOutcome {
    /// The profile that was read.
    var decoded: Profile? {
        guard case .profile(let bytes) = self else { return nil }
        var reader = ByteReader(bytes.span.bytes)
        return try? Profile(decoding: &reader)
    }
}

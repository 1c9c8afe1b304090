import KithBytes
import Testing

@testable import KithCore

@Suite struct ProfileTests {
    private static let profile: Profile = {
        var profile = Profile(id: testLeaf(1))
        profile.space = "brand"
        profile.isQuarantine = true
        profile.identifiers = [
            Profile.Identifier(
                identifierClass: .anonymous, namespace: "device_id", value: "d é",
                isContested: true)
        ]
        profile.traits = [Profile.Trait(name: "plan", value: [0x61, 65])]
        profile.firstSeen = -5
        profile.lastSeen = 1_700_000_000_000
        profile.expiresAt = 1_800_000_000_000
        profile.eventsTotal = UInt64.max
        profile.events = [Profile.EventCount(name: "page", count: UInt64.max)]
        return profile
    }()

    private func isEncoding(_ bytes: [UInt8]) -> Bool { Profile.isEncoding(bytes.span.bytes) }

    private func encoded(_ profile: Profile) -> [UInt8] {
        var writer = ByteWriter()
        profile.encode(into: &writer)
        return writer.bytes
    }

    private func decoded(_ bytes: [UInt8]) throws(ByteError) -> Profile {
        var reader = unsafe ByteReader(bytes.span.bytes)
        return try Profile(decoding: &reader)
    }

    @Test func `a profile is decoded as it was encoded`() throws {
        #expect(try decoded(encoded(Self.profile)) == Self.profile)
        let empty = Profile(id: testLeaf(2, .account))
        #expect(try decoded(encoded(empty)) == empty)
        #expect(empty.isMember)
    }

    @Test func `every truncation of an encoding throws`() {
        let bytes = encoded(Self.profile)
        for count in 0..<bytes.count {
            #expect(throws: ByteError.self) { try decoded(Array(bytes[..<count])) }
        }
    }

    @Test(arguments: [1, 2] as [UInt64])
    func `random changes of an encoding never trap`(seed: UInt64) {
        let bytes = encoded(Self.profile)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<3_000 {
            var changed = bytes
            for _ in 0...random.below(2) {
                changed[random.below(changed.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            if let profile = try? decoded(changed) {
                #expect((try? decoded(encoded(profile))) == profile, "seed \(seed)")
            }
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `the fold is the same, byte for byte, in every order of the facets`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var source = RecordTable()
        var pieces: [[UInt8]] = []
        for number in 0..<6 as Range<UInt64> {
            let slot = source.insert(testLeaf(number))
            var facet = source.addFacet(slot, testLeaf(number), value: "v\(number)")
            for _ in 0..<10 {
                source.count(&facet, "event \(random.below(8))")
                source.setTrait(
                    &facet, "trait \(random.below(5))", time: Int64(random.below(3)),
                    messageID: "m\(random.below(3))",
                    value: random.pick([[0xF6], [1], [2], [0x61, 65]]))
                source.touch(facet, eventTime: Int64(random.below(1_000)))
            }
            pieces.append(source.exported(slot))
        }
        var folds: Set<[UInt8]> = []
        for _ in 0..<20 {
            var table = RecordTable()
            let slot = table.insert(testLeaf(0))
            var left = pieces
            while !left.isEmpty {
                try table.importFacets(slot, left.remove(at: random.below(left.count)))
            }
            var writer = ByteWriter()
            table.encodeProfile(slot, retentionMillis: 90, into: &writer)
            folds.insert(writer.bytes)
            #expect(writer.bytes == encoded(table.fold(slot, retentionMillis: 90)))
            #expect(isEncoding(writer.bytes))
            #expect(!isEncoding(writer.bytes.dropLast()))
        }

        #expect(folds.count == 1, "seed \(seed)")
    }

    @Test func `unlisted and quarantine identifiers are left out, their events are not`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        for (number, flags) in ([[], .unlisted, .contested] as [FacetFlags]).enumerated() {
            var facet = table.addFacet(
                slot, testLeaf(UInt64(number) + 1), flags: flags, value: "v\(number)")
            table.count(&facet, "page")
        }

        let profile = table.fold(slot, retentionMillis: 5)

        #expect(Set(profile.identifiers.map(\.value)) == ["v0", "v2"])
        #expect(profile.identifiers.first { $0.value == "v2" }?.isContested == true)
        #expect(profile.eventsTotal == 3)
        #expect(!profile.isQuarantine)
        let device = table.insert(testLeaf(9))
        table.addFacet(device, testLeaf(9), flags: .quarantine)
        #expect(table.fold(device, retentionMillis: 5).isQuarantine)
        #expect(table.fold(device, retentionMillis: 5).identifiers.isEmpty)
    }

    @Test func `anonymous profiles expire after their retention, members never`() {
        var table = RecordTable()
        for identifierClass in IdentifierClass.allCases {
            let leaf = testLeaf(8, identifierClass)
            let slot = table.insert(leaf)
            table.addFacet(slot, leaf, seen: 1_000)
            let expected: Int64? = identifierClass == .anonymous ? 1_090 : nil
            #expect(table.fold(slot, retentionMillis: 90).expiresAt == expected)
            table.remove(slot)
        }
        let slot = table.insert(testLeaf(8))
        table.addFacet(slot, testLeaf(8), seen: Int64.max)
        #expect(table.fold(slot, retentionMillis: 90).expiresAt == Int64.max)
    }

    @Test func `bytes that are no text are repaired, and the profile can be sent`() throws {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        let junk = [UInt8](repeating: 0xFF, count: Int(UInt16.max))
        _ = unsafe table.addFacet(
            slot, leaf: testLeaf(1), life: .none, group: GroupID(0), seen: 0, flags: [],
            forgetTime: nil, space: [0xC3].span.bytes, namespace: [0x80].span.bytes,
            value: junk.span.bytes)

        let profile = table.fold(slot, retentionMillis: 1)

        #expect(try decoded(encoded(profile)) == profile)
    }
}

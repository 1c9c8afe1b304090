import KithBytes
import Testing

@testable import KithCore

@Suite struct TraitTests {
    private struct Arrival: CustomTestStringConvertible {
        var time: Int64
        var messageID: String
        var value: UInt8
        var testDescription: String { "\(time) \(messageID) \(value)" }
    }

    /// In rising order: each beats all before it.
    private static let rising = [
        Arrival(time: 1, messageID: "z", value: 9),
        Arrival(time: 2, messageID: "", value: 8),
        Arrival(time: 2, messageID: "550E8400-e29b-41d4-a716-446655440000", value: 7),
        Arrival(time: 2, messageID: "550e8400-e29b-41d4-a716-44665544000", value: 6),
        Arrival(time: 2, messageID: "550e8400-e29b-41d4-a716-446655440000", value: 5),
        Arrival(time: 2, messageID: "550e8400-e29b-41d4-a716-446655440000", value: 0xF6),
    ]

    private static func permutations(_ count: Int) -> [[Int]] {
        guard count > 0 else { return [[]] }
        return permutations(count - 1).flatMap { shorter in
            (0...shorter.count).map { place in
                var longer = shorter
                longer.insert(count - 1, at: place)
                return longer
            }
        }
    }

    @Test func `the greatest time, message id and value wins in every order of arrival`() {
        for count in 1...Self.rising.count {
            for order in Self.permutations(count) {
                var table = RecordTable()
                let slot = table.insert(testLeaf(1))
                var facet = table.addFacet(slot, testLeaf(1))
                var best = -1
                for place in order {
                    let arrival = Self.rising[place]
                    let outcome = table.setTrait(
                        &facet, "plan", time: arrival.time, messageID: arrival.messageID,
                        value: [arrival.value])
                    #expect(outcome == (place > best ? .set : .older), "\(order)")
                    best = max(best, place)
                }

                let winner = Self.rising[count - 1].value
                let traits = table.fold(slot, retentionMillis: 0).traits
                let expected = winner == 0xF6 ? [] : [Profile.Trait(name: "plan", value: [winner])]
                #expect(traits == expected, "\(order)")
            }
        }
    }

    @Test func `the same cell again changes nothing`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        var facet = table.addFacet(slot, testLeaf(1))
        table.setTrait(&facet, "plan", time: 1, messageID: "m", value: [1])
        let before = table.exported(slot)

        let outcome = table.setTrait(&facet, "plan", time: 1, messageID: "m", value: [1])

        #expect(outcome == .older)
        #expect(table.exported(slot) == before)
    }

    @Test func `traits of one message share their stamp, and lose it one by one without harm`() {
        let id = testUUID(4)
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        var facet = table.addFacet(slot, testLeaf(1))
        table.setTrait(&facet, "a", time: 1, messageID: id, value: [1])
        let first = table.payloadBytes(slot)
        table.setTrait(&facet, "b", time: 1, messageID: id, value: [2])
        #expect(table.payloadBytes(slot) == first + 7)
        table.setTrait(&facet, "c", time: 1, messageID: id, value: [3])

        table.setTrait(&facet, "a", time: 2, messageID: "later", value: [4, 4])
        table.checkInvariants()
        #expect(table.setTrait(&facet, "b", time: 1, messageID: id, value: [1]) == .older)
        table.setTrait(&facet, "b", time: 3, messageID: "later", value: [5])
        table.checkInvariants()
        #expect(table.setTrait(&facet, "c", time: 1, messageID: id, value: [2]) == .older)

        let values = table.fold(slot, retentionMillis: 0).traits.map(\.value)
        #expect(values == [[4, 4], [5], [3]])
    }

    @Test func `a record takes 256 trait names over all its facets`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        table.addFacet(slot, testLeaf(1))
        table.addFacet(slot, testLeaf(2))
        var outcomes: [TraitOutcome] = []
        for number in 0..<300 {
            // Half of the names lie in both facets and count once.
            for leaf in [testLeaf(1), testLeaf(2)] where leaf == testLeaf(1) || number % 2 == 0 {
                var facet = table.facet(slot, leaf)!
                outcomes.append(
                    table.setTrait(
                        &facet, "name \(number)", time: 1, messageID: "m", value: [1]))
            }
        }

        #expect(outcomes.filter { $0 == .set }.count == 256 + 128)
        #expect(outcomes.filter { $0 == .limit }.count == 44 + 22)
        #expect(table.fold(slot, retentionMillis: 0).traits.count == 256)
        var facet = table.facet(slot, testLeaf(2))!
        #expect(table.setTrait(&facet, "name 1", time: 1, messageID: "m", value: [1]) == .set)
        #expect(table.setTrait(&facet, "name 2", time: 2, messageID: "m", value: [1]) == .set)
        #expect(table.setTrait(&facet, "new", time: 2, messageID: "m", value: [1]) == .limit)
        table.checkInvariants()
    }

    /// What one event sets is not what it makes room with.
    @Test func `a deletion that has become a value gives way to nothing`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        var facet = table.addFacet(slot, testLeaf(1))
        for number in 0..<254 {
            table.setTrait(&facet, "set \(number)", time: 9, messageID: "m", value: [1])
        }
        table.setTrait(&facet, "first", time: 1, messageID: "m", value: [0xf6])
        table.setTrait(&facet, "second", time: 2, messageID: "m", value: [0xf6])
        var known = TraitNames()
        func set(_ name: String) -> TraitOutcome {
            table.setTrait(&facet, name, time: 10, messageID: "n", value: [2], known: &known)
        }

        #expect(set("a") == .set)
        #expect(set("second") == .set)
        #expect(set("z") == .limit)
        let names = table.fold(slot, retentionMillis: 0).traits.map(\.name)
        #expect(names.contains("second") && !names.contains("first") && names.count == 256)
        table.checkInvariants()
    }

    @Test func `deletions give way to what fits then, and to nothing else`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        var facet = table.addFacet(slot, testLeaf(1))
        table.setTrait(&facet, "kept", time: 9, messageID: "m", value: [1])
        for number in 1...3 {
            table.setTrait(
                &facet, "gone \(number)", time: Int64(number), messageID: "m", value: [0xf6])
        }
        let limit = table.payloadBytes(slot) + 8
        var known = TraitNames()
        func set(_ name: String, time: Int64, _ byteCount: Int) -> TraitOutcome {
            unsafe table.setTrait(
                &facet, name: Array(name.utf8).span.bytes, time: time,
                messageID: Array("n".utf8).span.bytes,
                value: [UInt8](repeating: 1, count: byteCount).span.bytes, payloadLimit: limit,
                known: &known)
        }

        // Too long whatever goes; beaten; of no more bytes than what it replaces.
        #expect(set("long", time: 10, 1_000) == .limit)
        #expect(set("gone 3", time: 2, 20) == .older)
        #expect(set("kept", time: 10, 1) == .set)
        for number in 1...3 {
            #expect(set("gone \(number)", time: 0, 1) == .older, "deletion \(number) is left")
        }
        // One is enough for this one: the oldest.
        #expect(set("new", time: 10, 9) == .set)
        #expect(set("gone 2", time: 0, 1) == .older && set("gone 3", time: 0, 1) == .older)
        #expect(set("gone 1", time: 0, 1) != .older)
        table.checkInvariants()
    }

    /// A value that is older than the deletion of its own name does not make room with that.
    @Test func `a deletion does not give way to an older value of its name`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        table.addFacet(slot, testLeaf(2))
        var facet = table.addFacet(slot, testLeaf(1))
        table.setTrait(&facet, "city", time: 5, messageID: "m", value: [0xf6])
        var other = table.facet(slot, testLeaf(2))!
        var known = TraitNames()
        let limit = table.payloadBytes(slot)
        let outcome = unsafe table.setTrait(
            &other, name: Array("city".utf8).span.bytes, time: 3,
            messageID: Array("m".utf8).span.bytes, value: [1].span.bytes, payloadLimit: limit,
            known: &known)

        #expect(outcome == .limit)
        #expect(table.fold(slot, retentionMillis: 0).traits.isEmpty)
    }

    @Test func `in a full record the oldest deletion gives way to a new name`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        table.addFacet(slot, testLeaf(2))
        var facet = table.addFacet(slot, testLeaf(1))
        var other = table.facet(slot, testLeaf(2))!
        for number in 0..<254 {
            table.setTrait(&facet, "set \(number)", time: 9, messageID: "m", value: [1])
        }
        // Deleted at 7 and 5; one of them has an older value in the other facet.
        table.setTrait(&facet, "late", time: 7, messageID: "m", value: [0xf6])
        table.setTrait(&facet, "early", time: 5, messageID: "m", value: [0xf6])
        other = table.facet(slot, testLeaf(2))!
        table.setTrait(&other, "early", time: 4, messageID: "m", value: [2])
        facet = table.facet(slot, testLeaf(1))!

        #expect(table.setTrait(&facet, "one", time: 9, messageID: "m", value: [3]) == .set)
        let names = table.fold(slot, retentionMillis: 0).traits.map(\.name)
        #expect(names.contains("one") && !names.contains("early"))
        #expect(table.setTrait(&facet, "two", time: 9, messageID: "m", value: [3]) == .set)
        #expect(table.setTrait(&facet, "three", time: 9, messageID: "m", value: [3]) == .limit)
        // A name that was made way for may come back only when there is room.
        #expect(table.setTrait(&facet, "late", time: 3, messageID: "m", value: [1]) == .limit)
        #expect(table.fold(slot, retentionMillis: 0).traits.count == 256)
        table.checkInvariants()
    }

    @Test func `what was set and deleted never fills a record, whatever facet it lies in`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        for leaf in 1...3 { table.addFacet(slot, testLeaf(UInt64(leaf))) }
        for number in 0..<1_500 {
            var facet = table.facet(slot, testLeaf(UInt64(number % 3 + 1)))!
            #expect(
                table.setTrait(
                    &facet, "cart \(number)", time: Int64(number), messageID: "m", value: [1])
                    == .set)
            var again = table.facet(slot, testLeaf(UInt64(number % 2 + 1)))!
            #expect(
                table.setTrait(
                    &again, "cart \(number)", time: Int64(number + 1), messageID: "m",
                    value: [0xf6]) == .set)
        }
        var facet = table.facet(slot, testLeaf(1))!
        #expect(
            table.setTrait(&facet, "plan", time: 0, messageID: "m", value: [1]) == .set)

        #expect(table.fold(slot, retentionMillis: 0).traits.map(\.name) == ["plan"])
        table.checkInvariants()
    }

    @Test func `a full name table takes new traits and changes of old ones`() {
        var table = RecordTable(namesMax: 1)
        let slot = table.insert(testLeaf(1))
        var facet = table.addFacet(slot, testLeaf(1))

        #expect(table.setTrait(&facet, "a", time: 1, messageID: "m", value: [1]) == .set)
        #expect(table.setTrait(&facet, "b", time: 1, messageID: "m", value: [1]) == .set)
        #expect(table.setTrait(&facet, "a", time: 2, messageID: "m", value: [2]) == .set)
        #expect(table.setTrait(&facet, "b", time: 2, messageID: "m", value: [3]) == .set)
        #expect(table.setTrait(&facet, "b", time: 1, messageID: "m", value: [4]) == .older)
        let traits = table.fold(slot, retentionMillis: 0).traits
        #expect(traits.map(\.name) == ["a", "b"])
        #expect(traits.map(\.value) == [[2], [3]])
        table.checkInvariants()
    }

    @Test func `a name that is too long is refused and one of the greatest length kept`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        var facet = table.addFacet(slot, testLeaf(1))
        let longest = String(repeating: "n", count: FacetLimits.nameBytesMax)

        #expect(table.setTrait(&facet, longest, time: 1, messageID: "m", value: [1]) == .set)
        #expect(table.setTrait(&facet, longest + "n", time: 1, messageID: "m", value: []) == .limit)
        #expect(table.fold(slot, retentionMillis: 0).traits.map(\.name) == [longest])
    }

    @Test func `a long message id counts with its first 255 bytes`() {
        let prefix = String(repeating: "m", count: 255)
        var table = RecordTable()
        var facet = table.addFacet(table.insert(testLeaf(1)), testLeaf(1))

        #expect(table.setTrait(&facet, "a", time: 1, messageID: prefix + "z", value: [1]) == .set)
        #expect(table.setTrait(&facet, "a", time: 1, messageID: prefix + "a", value: [1]) == .older)
    }
}

@Suite struct PackedUUIDTests {
    @Test func `packed and unpacked it is the same text`() {
        let text = "00ff1234-5678-9abc-def0-fedcba987654"
        let packed = unsafe PackedUUID(Array(text.utf8).span.bytes)!

        #expect(packed.high == 0x00ff_1234_5678_9abc)
        #expect(packed.low == 0xdef0_fedc_ba98_7654)
        let unpacked = packed.text
        #expect((0..<36).map { unpacked[$0] } == Array(text.utf8))
    }

    @Test(arguments: [
        "", "00FF1234-5678-9abc-def0-fedcba987654", "00ff1234-5678-9abc-def0-fedcba98765",
        "00ff1234-5678-9abc-def0-fedcba9876544", "00ff1234-5678-9abc-def0-fedcba98765g",
        "00ff12345-678-9abc-def0-fedcba987654", "00ff1234-5678-9abc-def0+fedcba987654",
    ])
    func `a text that is no canonical UUID is not packed`(text: String) {
        #expect(unsafe PackedUUID(Array(text.utf8).span.bytes) == nil)
    }
}

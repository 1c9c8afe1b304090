import KithBytes
import Testing

@testable import KithCore

@Suite struct RecordTableTests {
    @Test func `an empty table owns next to nothing`() {
        let table = RecordTable()

        #expect(table.memoryBytes < 600)
        #expect(table.count == 0)
        #expect(table.find(testLeaf(1)) == nil)
        table.checkInvariants()
    }

    @Test func `a table of one small profile stays small`() {
        var table = RecordTable()
        var facet = table.addFacet(table.insert(testLeaf(1)), testLeaf(1))
        table.count(&facet, "page")

        #expect(table.memoryBytes < 1_900)
        table.checkInvariants()
    }

    @Test func `ids that collide in the index are all found, also after removals between them`() {
        // Equal keys: low = key ^ high × the odd constant of the key.
        let colliding = (1...40).map { number -> LeafID in
            let high = UInt64(number) << 40
            return LeafID(high: high, low: RecordIndex.key(LeafID(high: high, low: 0)) ^ 77)
        }
        var table = RecordTable()
        for leaf in colliding {
            #expect(RecordIndex.key(leaf) == 77)
            _ = table.insert(leaf)
        }

        for (place, leaf) in colliding.enumerated() where place % 3 == 1 {
            table.remove(table.find(leaf)!)
        }

        table.checkInvariants()
        for (place, leaf) in colliding.enumerated() {
            #expect((table.find(leaf) != nil) == (place % 3 != 1))
        }
    }

    @Test func `removal around the end of the index keeps every other id`() {
        var random = SeededGenerator(seed: 9)
        var table = RecordTable()
        var present: [LeafID] = []

        for _ in 0..<4_000 {
            if present.count > 20, random.chance(55) {
                let place = random.below(present.count)
                table.remove(table.find(present.remove(at: place))!)
            } else {
                let leaf = LeafID(high: random.next(), low: random.next())
                _ = table.insert(leaf)
                present.append(leaf)
            }
        }

        table.checkInvariants()
        #expect(present.allSatisfy { table.find($0) != nil })
        #expect(table.count == present.count)
    }

    @Test func `a freed slot is used again and starts as an empty root`() {
        var table = RecordTable()
        let slot = table.insert(testLeaf(1))
        table.addFacet(slot, testLeaf(1), seen: 5)
        table.setState(slot, .sealed)
        table.setParent(slot, testLeaf(9))
        table.setVersion(slot, OperationIndex(rawValue: 7))
        table.remove(slot)

        let again = table.insert(testLeaf(2))

        #expect(again == slot)
        #expect(table.state(again) == .root)
        #expect(table.facetCount(again) == 0)
        #expect(table.version(again) == .none)
        #expect(table.lastSeen(again) == Int64.min)
        #expect(table.payloadBytes(again) == 0)
    }

    @Test func `memory stays bounded when profiles come and go`() {
        var random = SeededGenerator(seed: 3)
        var table = RecordTable()
        var present: [LeafID] = []
        var peak = 0

        for round in 0..<30_000 {
            if present.count >= 300 {
                let place = random.below(present.count)
                table.remove(table.find(present.remove(at: place))!)
            }
            let leaf = LeafID(high: random.next(), low: random.next())
            let slot = table.insert(leaf)
            var facet = table.addFacet(slot, leaf, value: "visitor-\(round)")
            for _ in 0..<random.below(12) {
                table.addToWindow(&facet, messageHash: random.next(), at: LogTime(0))
                table.count(&facet, "event \(random.below(40))")
            }
            present.append(leaf)
            if round == 3_000 { peak = table.memoryBytes }
        }

        #expect(table.memoryBytes <= peak * 3 / 2)
        table.checkInvariants()
    }

    @Test func `an arena of mostly free blocks is given back`() {
        var table = RecordTable()
        for number in 0..<2_000 as Range<UInt64> {
            table.setLedger(table.insert(testLeaf(number)), [UInt8](repeating: 1, count: 200))
        }
        let full = table.memoryBytes

        for number in 20..<2_000 as Range<UInt64> { table.remove(table.find(testLeaf(number))!) }

        #expect(table.memoryBytes < full / 2)
        #expect(table.ledger(table.find(testLeaf(7))!).count == 200)
        table.checkInvariants()
    }

    @Test(arguments: [true, false])
    func `a profile takes less than 300 bytes, all in`(inLockstep: Bool) {
        let profiles: UInt64 = 20_000
        var table = RecordTable()
        var random = SeededGenerator(seed: 1)
        func build(_ number: UInt64, stage: Int) {
            let leaf = testLeaf(number)
            let time = 1_700_000_000_000 + Int64(number)
            if stage == 0 {
                table.addFacet(
                    table.insert(leaf), leaf, life: number, seen: time, value: testUUID(number))
            }
            var facet = table.facet(table.find(leaf)!, leaf)!
            table.touch(facet, eventTime: time + Int64(stage))
            table.addToWindow(&facet, messageHash: random.next(), at: LogTime(time))
            table.count(&facet, "event \(stage)")
            if stage == 1 {
                for name in ["plan", "city"] {
                    table.setTrait(
                        &facet, name, time: time, messageID: testUUID(number &+ 99),
                        value: [0x67, 80, 114, 101, 109, 105, 117, 109])
                }
            }
        }

        if inLockstep {
            for stage in 0..<4 { for number in 0..<profiles { build(number, stage: stage) } }
        } else {
            for number in 0..<profiles { for stage in 0..<4 { build(number, stage: stage) } }
        }

        let bytes = Double(table.memoryBytes) / Double(profiles)
        #expect(bytes < 300, "\(bytes) bytes a profile")
        #expect(table.fold(table.find(testLeaf(7))!, retentionMillis: 0).eventsTotal == 4)
    }
}

@Suite struct PayloadArenaTests {
    @Test func `size classes rise and each size has the least class that holds it`() {
        for sizeClass in 1..<UInt8(PayloadArena.classCount) {
            let bytes = PayloadArena.bytes(ofClass: sizeClass)
            let smaller = PayloadArena.bytes(ofClass: sizeClass - 1)
            #expect(bytes > smaller)
            if sizeClass > 4 { #expect(Double(bytes) / Double(smaller) <= 1.26) }
            #expect(PayloadArena.sizeClass(forBytes: bytes) == sizeClass)
            #expect(PayloadArena.sizeClass(forBytes: smaller + 1) == sizeClass)
        }
        #expect(
            PayloadArena.bytes(ofClass: UInt8(PayloadArena.classCount - 1))
                == PayloadArena.payloadBytesMax)
    }
}

@Suite struct NameTableTests {
    @Test func `a name keeps its number while used and gives it back with its last use`() {
        var names = NameTable(key: tableKey)
        let page = unsafe names.retain(Array("page".utf8).span.bytes)!
        let again = unsafe names.retain(Array("page".utf8).span.bytes)!

        names.release(page)

        #expect(page == again)
        #expect(unsafe names.find(Array("page".utf8).span.bytes) == page)
        names.release(page)
        #expect(unsafe names.find(Array("page".utf8).span.bytes) == nil)
        #expect(names.count == 0)
    }

    @Test func `a full table takes no new name until one goes`() {
        var names = NameTable(key: tableKey, limit: 2)
        let first = unsafe names.retain(Array("a".utf8).span.bytes)!
        _ = unsafe names.retain(Array("b".utf8).span.bytes)

        #expect(unsafe names.retain(Array("c".utf8).span.bytes) == nil)
        names.release(first)
        #expect(unsafe names.retain(Array("c".utf8).span.bytes) != nil)
    }

    @Test func `names come and go by the thousand and stay findable`() {
        var random = SeededGenerator(seed: 5)
        var names = NameTable(key: tableKey)
        var held: [String: UInt16] = [:]

        for _ in 0..<20_000 {
            let name = "name \(random.below(700)) with some length"
            let bytes = Array(name.utf8)
            if let id = held[name] {
                #expect(unsafe names.find(bytes.span.bytes) == id)
                #expect(names.text(id).copied() == bytes)
                if random.chance(60) {
                    names.release(id)
                    held[name] = nil
                }
            } else {
                #expect(unsafe names.find(bytes.span.bytes) == nil)
                held[name] = unsafe names.retain(bytes.span.bytes)
            }
        }

        var uses = [UInt32](repeating: 0, count: 70_000)
        for id in held.values { uses[Int(id)] += 1 }
        names.checkInvariants(counted: uses)
        #expect(names.memoryBytes < 200_000)
    }
}

@Suite struct TextTableTests {
    @Test func `reserved texts keep their numbers whatever comes and goes`() {
        var texts = TextTable(key: tableKey, limit: 1, reserved: ["page", "(other)"])
        #expect(texts.memoryBytes == 0)

        let first = unsafe texts.retain(Array("a".utf8).span.bytes)!
        texts.release(0)
        texts.release(first)

        #expect(first == 2)
        #expect(unsafe texts.find(Array("page".utf8).span.bytes) == 0)
        #expect(unsafe texts.find(Array("(other)".utf8).span.bytes) == 1)
        #expect(texts.count == 0)
        texts.checkInvariants(counted: [])
    }

    /// More than 16 bits can number, all of them found again.
    @Test func `a hundred thousand texts have numbers of their own`() {
        var texts = TextTable(key: tableKey)

        for number in 0..<100_000 {
            #expect(unsafe texts.retain(Array("name \(number)".utf8).span.bytes) == UInt32(number))
        }
        for number in stride(from: 0, to: 100_000, by: 2) { texts.release(UInt32(number)) }

        for number in 0..<100_000 {
            let found = unsafe texts.find(Array("name \(number)".utf8).span.bytes)
            #expect(found == (number % 2 == 0 ? nil : UInt32(number)))
        }
        #expect(texts.count == 50_000)
    }

    /// Names that meet under one key, as somebody would choose them who knows it.
    @Test(arguments: [(HashKey(k0: 1, k1: 2), 200...300), (HashKey(k0: 3, k1: 4), 1...40)])
    func `names that meet under one key do not under another`(
        key: HashKey, looks: ClosedRange<Int>
    ) {
        let chosen = (0...).lazy.map { Array("name \($0)".utf8) }.filter {
            unsafe SipHash64.hash($0.span.bytes, key: HashKey(k0: 1, k1: 2)) % 512 == 7
        }
        let names = Array(chosen.prefix(200))
        var texts = TextTable(key: key)
        for name in names { _ = unsafe texts.retain(name.span.bytes) }

        let most = names.map { unsafe texts.looks(for: $0.span.bytes) }.max()!

        #expect(looks.contains(most), "\(most) looks")
    }
}

@Suite struct MemoryRegionUseTests {
    @Test func `an access outside of a region traps`() async {
        await #expect(processExitsWith: .failure) {
            let region = MemoryRegion(byteCount: 16)
            _ = region.u64(at: 9)
        }
        await #expect(processExitsWith: .failure) {
            var region = MemoryRegion(byteCount: 16)
            region.move(from: 0, to: Int.max, count: 8)
        }
    }

    @Test func `fresh bytes are zero and old ones survive growth`() {
        var region = MemoryRegion(byteCount: 8)
        region.store(UInt64.max, at: 0)
        region.resize(to: 1 << 20)

        #expect(region.u64(at: 0) == UInt64.max)
        #expect(region.u64(at: 8) == 0)
        #expect(region.u64(at: 1 << 20 - 8) == 0)
        region.resize(to: 0)
        #expect(region.byteCount == 0)
    }
}

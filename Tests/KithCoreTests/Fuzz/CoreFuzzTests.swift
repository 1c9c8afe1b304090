import KithBytes
import Testing

@testable import KithCore

/// Whatever bytes stand where an event, its body, a profile, a record's facets or its ledger
/// should.
@Suite(.serialized) struct CoreFuzzTests {
    static let events: [[UInt8]] =
        EventFuzzTests.events.map { $0.encoded() }
        + (0..<30).map { number in
            var fuzzer = ByteFuzzer(seed: 3, string: number)
            let world = OperationFuzzWorld(&fuzzer)
            return world.event(&fuzzer).encoded()
        }

    @Test(.enabled(if: FuzzSettings.wants("events"), FuzzSettings.note))
    func `whatever an event holds, it is refused or its body reads`() {
        let samples = Self.events
        var reader = EventReader(rules: .standard, key: EventFixture.key)
        var batch = EventBatch()
        let space = Array("default".utf8)
        var search = FuzzSearch("events", slice: 20_000)

        search.run { fuzzer, _ in
            let bytes = fuzzer.string(from: samples)
            let stamp = fuzzer.chance(oneIn: 3) ? Int64(bitPattern: fuzzer.next()) : nil
            batch.removeAll()
            do throws(EventRejection) {
                try reader.read(
                    bytes.span.bytes, position: 0, space: space.span.bytes,
                    arrival: EventFixture.arrival, stamp: stamp, into: &batch,
                    assignMessageID: { [1] })
            } catch {
                return batch.bytes.isEmpty ? .refused : .wrong("a refused event left its bytes")
            }
            let body = batch.bytes
            guard EventFuzzTests.isReadable(body) else { return .wrong("its body does not read") }
            // A name in the event may stand for a longer one in the body, once each.
            guard body.count <= 4 * bytes.count + 4096 else {
                return .wrong("\(bytes.count) bytes became \(body.count)")
            }
            return .taken
        }
    }

    @Test(.enabled(if: FuzzSettings.wants("bodies"), FuzzSettings.note))
    func `whatever a body holds, it is refused or all of it reads`() {
        let samples = Self.events.map { EventFixture.read(bytes: $0).batch.bytes }
        var search = FuzzSearch("bodies", slice: 30_000)

        search.run { fuzzer, _ in
            let bytes = fuzzer.string(from: samples, bytesMax: 300 << 10)
            do throws(ByteError) {
                _ = try EventBody(bytes.span.bytes)
            } catch {
                return .refused
            }
            return EventFuzzTests.isReadable(bytes) ? .taken : .wrong("taken and does not add up")
        }
    }

    /// Records with several facets, as a few hundred events leave them.
    static let records: (profiles: [[UInt8]], facets: [[UInt8]]) = {
        var fuzzer = ByteFuzzer(seed: 4, string: 0)
        let world = OperationFuzzWorld(&fuzzer)
        for _ in 0..<120 { world.ingest(&fuzzer) }
        var profiles: [[UInt8]] = []
        var facets: [[UInt8]] = []
        for shard in 0..<ShardID.count {
            let machine = world.world.machine(ShardID(UInt8(shard)))
            machine.table.forEachSlot { slot in
                guard machine.table.facetCount(slot) > 0 else { return }
                var writer = ByteWriter()
                machine.table.encodeProfile(
                    slot, retentionMillis: ReviewWorld.day, into: &writer)
                profiles.append(writer.bytes)
                facets.append(machine.table.exported(slot))
            }
        }
        return (profiles, facets)
    }()

    @Test(.enabled(if: FuzzSettings.wants("profiles"), FuzzSettings.note))
    func `whatever a profile's bytes hold, one that is read is written back the same`() {
        let samples = Self.records.profiles
        var search = FuzzSearch("profiles", slice: 20_000)

        search.run { fuzzer, _ in
            let bytes = fuzzer.string(from: samples)
            var reader = ByteReader(bytes.span.bytes)
            do throws(ByteError) {
                let profile = try Profile(decoding: &reader)
                var writer = ByteWriter()
                profile.encode(into: &writer)
                return writer.bytes == Array(bytes[..<reader.offset])
                    ? .taken : .wrong("is written differently")
            } catch {
                return .refused
            }
        }
    }

    @Test(.enabled(if: FuzzSettings.wants("facets"), FuzzSettings.note))
    func `whatever an import holds, all of it goes in or nothing changes`() {
        let samples = Self.records.facets
        let own = testLeaf(1, .account)
        var search = FuzzSearch("facets", slice: 10_000)

        search.run { fuzzer, _ in
            let bytes = fuzzer.string(from: samples)
            var table = RecordTable(namesMax: fuzzer.pick([2, 8, 1000]))
            let slot = table.insert(own)
            if fuzzer.chance(oneIn: 2) {
                table.addFacet(slot, own, seen: 7, namespace: "user_id", value: "u")
                table.setLedger(slot, [1, 2, 3])
            }
            let before = table.exported(slot)
            do throws(ByteError) {
                try table.importFacets(slot, bytes)
            } catch {
                table.checkInvariants()
                return table.exported(slot) == before ? .refused : .wrong("\(error) and a change")
            }
            table.checkInvariants()
            let after = table.exported(slot)
            var copy = RecordTable()
            let other = copy.insert(own)
            guard (try? copy.importFacets(other, after)) != nil else {
                return .wrong("what it exports is refused")
            }
            var writer = ByteWriter()
            copy.encodeProfile(other, retentionMillis: .max, into: &writer)
            guard Profile.isEncoding(writer.bytes.span.bytes) else {
                return .wrong("its profile cannot be read")
            }
            table.remove(slot)
            table.checkInvariants()
            return .taken
        }
    }

    @Test(.enabled(if: FuzzSettings.wants("ledgers"), FuzzSettings.note))
    func `whatever a ledger or an order holds, what is read is written and read the same`() {
        var search = FuzzSearch("ledgers", slice: 20_000)
        var maker = ByteFuzzer(seed: 5, string: 0)
        let world = OperationFuzzWorld(&maker)
        for _ in 0..<20 { world.ingest(&maker) }
        let ledgers = (0..<60).map { _ in world.ledger(&maker) }
        let orders = (0..<60).map { _ in
            var writer = ByteWriter()
            world.absorbOrder(&maker).encode(into: &writer)
            return writer.bytes
        }

        search.run { fuzzer, string in
            let bytes = fuzzer.string(from: string % 2 == 0 ? ledgers : orders)
            var reader = ByteReader(bytes.span.bytes)
            do throws(ByteError) {
                var writer = ByteWriter()
                if string % 2 == 0 {
                    let ledger = try Ledger(decoding: &reader)
                    ledger.encode(into: &writer)
                    var again = ByteReader(writer.bytes.span.bytes)
                    return try Ledger(decoding: &again) == ledger ? .taken : .wrong("differs")
                }
                let order = try AbsorbOrder(decoding: &reader)
                order.encode(into: &writer)
                return writer.bytes == Array(bytes[..<reader.offset]) ? .taken : .wrong("differs")
            } catch {
                return .refused
            }
        }
    }
}

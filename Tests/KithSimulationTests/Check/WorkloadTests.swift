import KithBytes
import KithCore
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// What plans promise to those who run and check them.
@Suite struct WorkloadTests {
    private static func plan(_ seed: UInt64, _ name: String? = nil) -> PlannedWork {
        var generator = WorkloadGenerator(
            seed: seed, settings: ClusterSettings(seed: seed), steps: 100)
        generator.names = name.map { [$0] }
        return generator.plan()
    }

    private static func events(_ work: PlannedWork) -> [(PlannedEvent, String, UInt64)] {
        work.steps.flatMap { step in
            guard case .ingest(let space, let events) = step.action else {
                return [(PlannedEvent, String, UInt64)]()
            }
            return events.map { ($0, space, step.at) }
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `a seed gives the same plan each time`(seed: UInt64) {
        let (one, other) = (Self.plan(seed), Self.plan(seed))
        #expect(one.steps.map(\.at) == other.steps.map(\.at), "seed \(seed)")
        #expect(
            Self.events(one).map(\.0.bytes) == Self.events(other).map(\.0.bytes), "seed \(seed)")
    }

    /// The node's own reader decides what an event names, when it was and why it is refused.
    @Test(arguments: WorkloadGenerator.list.map(\.name), 1...4 as ClosedRange<UInt64>)
    func `events are read as the plan says`(name: String, seed: UInt64) {
        let settings = ClusterSettings(seed: seed)
        var reader = EventReader(
            rules: settings.identity, key: settings.configuration().hashKey)
        for (event, space, _) in Self.events(Self.plan(seed, name)) {
            let comment = "seed \(seed), \(event.mark)"
            var batch = EventBatch()
            let spaceBytes = Array(space.utf8)
            do throws(EventRejection) {
                try reader.read(
                    event.bytes.span.bytes, position: 0, space: spaceBytes.span.bytes,
                    arrival: .max, stamp: nil, into: &batch, assignMessageID: { [0x6d] })
            } catch {
                #expect(event.refusal?.name == error.rawValue, "\(comment): \(error)")
                continue
            }
            #expect(event.refusal == nil, "\(comment) was taken")
            #expect(batch.heads[0].time == event.time, "\(comment)")
            let leaves = batch.heads[0].identifierRange.map { batch.identifiers[$0].leaf }
            let hasher = LeafHasher(key: settings.configuration().hashKey)
            let planned = event.identifiers.map { identifier in
                let index = settings.identity.namespaceIndex(named: identifier.namespace)!
                let namespace = Array(identifier.namespace.utf8)
                let value = Array(identifier.value.utf8)
                return hasher.leaf(
                    class: settings.identity.namespaces[index].identifierClass,
                    space: spaceBytes.span.bytes, namespace: namespace.span.bytes,
                    value: value.span.bytes)
            }
            #expect(leaves == planned, "\(comment): \(event.identifiers)")
        }
    }

    /// Real clocks cannot be made to jump: `kith chaos`.
    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `a plan for real clocks has no jumps, ends in time, and has profiles that end in it`(
        seed: UInt64
    ) {
        let settings = ClusterSettings(seed: seed)
        let start = settings.start.rawValue
        var generator = WorkloadGenerator(seed: seed, settings: settings, steps: 400)
        generator.hasJumps = false
        generator.end = 10_000_000_000
        generator.names = ["expiry", "late", "retries", "browsing"]
        generator.count = 30
        let work = generator.plan()

        let jumps = work.steps.filter { if case .pass = $0.action { true } else { false } }
        #expect(jumps.isEmpty, "seed \(seed)")
        // Heaps of steps reach a little beyond.
        #expect(work.steps.allSatisfy { $0.at <= 10_500_000_000 }, "seed \(seed)")
        #expect(Self.events(work).allSatisfy { $0.0.time <= start }, "seed \(seed)")
        let retention = Int64(settings.anonymousDays) * 86_400_000
        let ends = Self.events(work).filter {
            start + 1_000..<start + 10_000 ~= $0.0.time + retention
        }
        #expect(!ends.isEmpty, "seed \(seed)")
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `no event is of a time after its arrival, and repetitions are the same bytes`(
        seed: UInt64
    ) {
        let settings = ClusterSettings(seed: seed)
        let work = Self.plan(seed)
        let clocks = WallClocks(
            work, known: [], start: settings.start.rawValue, final: 0, ahead: 0, behind: 0)
        var known: [Int: [UInt8]] = [:]
        for (event, _, at) in Self.events(work) {
            #expect(event.time <= clocks.greatest(to: at), "seed \(seed), \(event.mark)")
            let first = known[event.number, default: event.bytes]
            #expect(first == event.bytes, "seed \(seed), \(event.mark)")
            known[event.number] = event.bytes
        }
        #expect(work.steps.map(\.number) == Array(1...work.steps.count))
        #expect(work.steps.allSatisfy { $0.client > 0 })
    }
}

import KithBytes
import KithClient
import KithCore
import KithPorts
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation
@testable import KithStorage

/// A log whose last entry this program does not understand: as a newer one may leave it.
@Suite struct UnknownEntryTests {
    /// An entry behind all that a node of one group has logged, and what its error must name.
    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        var kind = LogEntryKind.normal
        var clock: UInt8 = 1
        var operations: [UInt8] = []
        let word: String
        var testDescription: String { name }
    }

    /// An operation of that type with a payload of one byte.
    private static func operation(_ type: UInt8) -> [UInt8] {
        [type, 1, 0, 0, 0] + [UInt8](repeating: 0, count: 7) + [0x80, 42]
    }

    static let cases = [
        Case(name: "a new type", operations: operation(17), word: "type 17"),
        Case(name: "a type far ahead", operations: operation(255), word: "type 255"),
        Case(name: "a malformed event", operations: operation(1), word: "malformed"),
        Case(name: "half an operation", operations: [13, 9, 0], word: "malformed"),
        Case(name: "a configuration", kind: .configuration, word: "kind 3"),
        Case(name: "a new kind", kind: LogEntryKind(77), word: "kind 77"),
        Case(name: "a new clock", clock: 3, word: "clock 3"),
    ]

    @Test(arguments: cases)
    func `what is committed and not understood stops the node by name`(entry: Case) throws {
        var settings = ClusterSettings(seed: 11)
        settings.groups = 1
        let cluster = SimulatedCluster(settings)
        defer { try? cluster.shutdown() }
        try cluster.start()
        let payload = PeerWorld.payload([MergingEvents.event("one", ["userId": "u"])])
        #expect(try cluster.run { try await $0.ingest(payload) }.results == [.ok])
        try cluster.stop()
        let last = try append(entry, to: cluster)

        let error = #expect(throws: NodeError.self) { try cluster.start() }

        guard case .entryNotUnderstood(0, last.rawValue, let what)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(what.contains(entry.word), "\(what)")
    }

    @Test func `an entry of operations that are known is applied`() throws {
        var settings = ClusterSettings(seed: 12)
        settings.groups = 1
        let cluster = SimulatedCluster(settings)
        defer { try? cluster.shutdown() }
        try cluster.start()
        try cluster.stop()
        var writer = OperationWriter()
        writer.time()
        _ = try append(Case(name: "time", operations: writer.bytes, word: ""), to: cluster)

        try cluster.start()
        #expect(cluster.isUp())
    }

    /// Appends to the log of a node that is down; the index.
    private func append(_ entry: Case, to cluster: SimulatedCluster) throws -> LogIndex {
        let disk = cluster.disk()
        var options = cluster.settings.log
        options.clusterDigest = FolderIdentity.digest(of: cluster.settings.configuration())
        options.mayCreate = false
        let lane = cluster.clientLane
        return try cluster.simulator.run(on: lane) { [options] in
            let log = try await WriteAheadLog.open(
                disk: disk, loop: lane, randomness: SeededRandom(seed: 1), options: options,
                onEntry: { _ in }
            ).log
            let tail = try #require(await log.groupTails[GroupID(0)])
            try await log.append([
                LogEntry(
                    group: GroupID(0), term: tail.term, index: tail.index.next, kind: entry.kind,
                    clock: entry.clock, time: LogTime(0), payload: entry.operations)
            ])
            await log.close()
            return tail.index.next
        }
    }
}

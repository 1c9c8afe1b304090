// Strangers at all ports of a cluster of real nodes, in all their forms at once: 2,000 connections
// that only stand there, others that stop half-way or never read, and strings of every kind, those
// of a node with a valid greeting among them. Clients that behave send and ask through all nodes
// meanwhile, with links between nodes, and are served as if they were alone.

import Foundation
import Glibc
import KithBytes
import KithWire
import Synchronization
import Testing
import kith

@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct ClusterPortFuzzTests {
    /// What a node may ever have held in memory, in bytes. To begin with 30 MiB; for each of 800
    /// connections a task and its buffers, 40 KiB; what replies may hold up for each that does not
    /// read, twice 8 MiB; what came of the strings that were good enough; and as much again.
    static let nodeBytesMax = 256 << 20
    /// Strings sent in the ordinary tests.
    static let slice = 10_000
    private static let groups = 6
    /// Descriptors that a node may have opened for itself meanwhile: links, segments of its log.
    private static let ownDescriptors = 16

    @Test(.enabled(if: FuzzSettings.wants("cluster"), FuzzSettings.note))
    func `strangers at all ports of a cluster disturb neither nodes nor clients`() throws {
        let seed = FuzzSettings.number("KITH_FUZZ_SEED") ?? 1
        let strings = FuzzSettings.number("KITH_FUZZ_COUNT") ?? Self.slice
        if let orders = StrangerOrders() {
            // This process is the strangers'.
            let start = FuzzSettings.number("KITH_FUZZ_START") ?? 0
            StrangerCrowd(orders).run(seed: UInt64(seed), start: start, strings: strings)
            return
        }
        let again = Comment(
            rawValue: "scripts/fuzz --target cluster --seed \(seed) --count \(strings)")
        let started = Date()
        let cluster = try TestCluster(3, settings: #""replicas": 1, "groups": \#(Self.groups)"#)
        let overheard = try Self.overhear(cluster)
        let clients = try ClusterClients(cluster)
        let before = try (1...3).map { try Self.descriptorCount(cluster.process($0)) }
        let orders = StrangerOrders(
            ports: cluster.ports, groups: Self.groups, overheard: overheard)
        let path = try cluster.file("strangers", orders.text)

        clients.begin()
        let tell = Pipe()
        let crowd = try Run(
            [
                "--testing-library", "swift-testing", "--filter",
                "KithCommandTests.ClusterPortFuzzTests",
            ], openInput: tell,
            program: FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
            variables: [StrangerOrders.variable: path])
        let held = try #require(Self.number(after: "strangers hold ", from: crowd))
        let during = try (1...3).map { try Self.descriptorCount(cluster.process($0)) }
        let sent = try #require(Self.number(after: "strangers sent ", from: crowd))
        let peak = try (1...3).map {
            FuzzSearch.memory("VmHWM:", of: String(try cluster.process($0)))
        }
        let rounds = clients.end()
        try tell.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
        _ = Self.number(after: "strangers left", from: crowd)

        #expect(held == StrangerCrowd.idle + StrangerCrowd.halfOpen + StrangerCrowd.deaf)
        #expect(sent >= strings, again)
        #expect(clients.failures.isEmpty, "\(clients.failures)\n\(again)")
        #expect(rounds.allSatisfy { $0 > 2 }, "\(rounds) batches; \(again)")
        for node in 0..<3 {
            #expect(during[node] - before[node] >= StrangerCrowd.idle / 4, "\(during)")
            #expect(peak[node] > 0 && peak[node] < Self.nodeBytesMax, "\(peak); \(again)")
        }
        try clients.checkAll()
        try Self.expectGivenBack(cluster, before, clients)
        try tell.fileHandleForWriting.close()
        #expect(crowd.end().code == 0)

        let stats = try cluster.stats(1)
        for node in 1...3 { #expect(try cluster.stats(node) == stats, again) }
        for node in 1...3 { #expect(cluster.stop(node) == 0, again) }
        // Everything that was logged is taken again, whatever it was.
        for node in 1...3 { try cluster.start(node) }
        for node in 1...3 { #expect(try cluster.stats(node) == stats, again) }
        if FuzzSettings.isLong {
            let seconds = Int(Date().timeIntervalSince(started))
            print(
                "fuzz-result cluster \(sent) \(held) 0 \(seconds) \((peak.max() ?? 0) / 1024)")
        }
    }

    // MARK: Steps

    /// What node 1 says to node 3, whose place somebody takes for a moment.
    private static func overhear(_ cluster: TestCluster) throws -> Overheard {
        _ = cluster.stop(3)
        let eavesdropper = try Eavesdropper(port: cluster.ports[2], node: NodeID(3))
        let client = try #require(PlainSocket(port: cluster.ports[0], millis: 10_000))
        var batch = IngestBatchWriter(space: "fuzz", hasStamps: false)
        var gets: [UInt8] = []
        for number in 0..<40 {
            let event: CBORValue = [
                "type": "identify", "userId": .text("u\(number)"),
                "anonymousId": .text("a\(number)"), "messageId": .text("m\(number)"),
                "traits": ["email": .text("e\(number)@x.org")],
            ]
            batch.append(stamp: nil, bytes: event.encoded())
            let get = Get(space: "fuzz", namespace: "user_id", value: "u\(number)")
            gets += Stranger.frame(.get, get.encoded(), id: UInt64(number))
        }
        _ = client.send(
            Stranger.hello + Stranger.frame(.ingest, batch.payload)
                + Stranger.frame(.stats, []) + Stranger.frame(.status, []) + gets)
        let overheard = try eavesdropper.overhear([
            .peerGreeting, .peerPerform, .peerRead, .peerTotals, .peerStatus,
        ])
        eavesdropper.leave()
        try cluster.start(3)
        return overheard
    }

    /// The number that a line of that beginning goes on with; nil where the output ends.
    private static func number(after beginning: String, from run: Run) -> Int? {
        while let line = run.line() {
            guard line.hasPrefix(beginning) else { continue }
            return Int(line.dropFirst(beginning.count).prefix { $0.isNumber }) ?? 0
        }
        return nil
    }

    private static func descriptorCount(_ process: Int32) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
    }

    /// Nodes notice that connections have ended in their own time, but soon.
    private static func expectGivenBack(
        _ cluster: TestCluster, _ before: [Int], _ clients: ClusterClients
    ) throws {
        let deadline = Date().addingTimeInterval(20)
        var counts: [Int]
        repeat {
            counts = try (1...3).map { try descriptorCount(cluster.process($0)) }
            if zip(counts, before).allSatisfy({ $0 <= $1 + Self.ownDescriptors }) { return }
            try clients.checkAll()
        } while Date() < deadline
        Issue.record("descriptors: \(before) before, \(counts) after")
    }
}

/// A client at a node, and one beside it that asks the next node about the same users. Used by one
/// thread at a time: its own between `begin` and `end`, the test's before and after.
private final class ClientPair: @unchecked Sendable {
    let writer: GoodClient
    let reader: GoodClient
    var rounds = 0
    /// Why it was not served.
    var failure: String?

    init(_ name: String, writesTo port: UInt16, readsFrom other: UInt16) throws {
        writer = try GoodClient(name, port: port, isStamped: false, isLinking: true)
        reader = try GoodClient(name, port: other, isStamped: false, isLinking: true)
    }

    func work(_ fuzzer: inout ByteFuzzer) throws {
        try writer.ingest(&fuzzer)
        let user = fuzzer.below(writer.eventsOfUser.count)
        try writer.check(user)
        try reader.check(user, of: writer)
        rounds += 1
    }
}

/// A pair of clients at each node, each on a thread of its own.
private final class ClusterClients: Sendable {
    private let pairs: [ClientPair]
    private let isEnding = Mutex(false)
    private let leaving = DispatchGroup()

    /// Why clients were not served.
    var failures: [String] { pairs.compactMap(\.failure) }

    init(_ cluster: TestCluster) throws {
        pairs = try cluster.ports.indices.map { place in
            try ClientPair(
                "n\(place)", writesTo: cluster.ports[place],
                readsFrom: cluster.ports[(place + 1) % cluster.count])
        }
    }

    func begin() {
        for (place, pair) in pairs.enumerated() {
            leaving.enter()
            Thread.detachNewThread { [self] in
                var fuzzer = ByteFuzzer(seed: UInt64(place), string: -1)
                while pair.failure == nil, !isEnding.withLock({ $0 }) {
                    do {
                        try pair.work(&fuzzer)
                    } catch {
                        pair.failure = "node \(place + 1): \(error)"
                    }
                }
                leaving.leave()
            }
        }
    }

    /// Has all stop; how many batches each has sent.
    func end() -> [Int] {
        isEnding.withLock { $0 = true }
        leaving.wait()
        return pairs.map(\.rounds)
    }

    /// Every event that was acknowledged is counted once, as another node says.
    func checkAll() throws {
        for pair in pairs {
            for user in pair.writer.eventsOfUser.indices {
                try pair.reader.check(user, of: pair.writer)
            }
        }
    }
}

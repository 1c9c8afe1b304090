import Foundation
import KithBytes
import KithClient
import KithCore
import KithPorts
import KithWire
import Testing

@testable import KithServer
@testable import KithSimulation

/// A node of the cluster that is not what it should be: the others say so and go on.
///
/// `KITH_SEED` and `KITH_SEEDS` say from which seed on and how many worlds are tried.
@Suite struct MisconductTests {
    static let seeds: [UInt64] = {
        let environment = ProcessInfo.processInfo.environment
        let first = environment["KITH_SEED"].flatMap { UInt64($0) } ?? 1
        let count = environment["KITH_SEEDS"].flatMap { UInt64($0) } ?? 3
        return (0..<count).map { first + $0 }
    }()

    /// Virtual milliseconds in which a request has its answer, however a node behaves.
    private static let answerMillisMax: UInt64 = 15_000

    @Test(arguments: Misconduct.allCases, seeds)
    func `a node that answers nonsense is named, others go on, and all resumes with the true one`(
        conduct: Misconduct, seed: UInt64
    ) throws {
        let comment = Comment(rawValue: "\(conduct), seed \(seed)")
        let world = try PeerWorld.started(seed: seed)
        let near = world.person("near", cookieAt: 1, accountAt: 3)
        let far = world.person("far", cookieAt: 1, accountAt: FakePeer.node)
        let back = world.person("back", cookieAt: FakePeer.node, accountAt: 3)
        for person in [far, back] {
            _ = try world.ingestAll(person.events.prefix(2).map(\.event), at: 1)
        }
        try world.cluster.stop(FakePeer.node)
        let fake = FakePeer(in: world, conduct)
        // The others' pauses before they try node 2 again are over.
        try world.pass(milliseconds: 1_200)

        let asked = Asked()
        let began = world.milliseconds
        asked.ingest([far.link], from: world.cluster.client(at: 1), world)
        asked.ingest([back.link], from: world.cluster.client(at: 3), world)
        asked.get("user_id", far.account, from: world.cluster.client(at: 3), world)
        asked.get("anonymous_id", back.cookie, from: world.cluster.client(at: 1), world)
        asked.stats(from: world.cluster.client(at: 3), world)
        // Connections of their own: the batches of one connection take effect in order.
        for (event, _) in near.events {
            let before = world.milliseconds
            for number in [2, 3] {
                let results = try world.cluster.run(as: number) {
                    try await $0.ingest(PeerWorld.payload([event])).results
                }
                #expect(results == [.ok] || results == [.duplicate], comment)
            }
            #expect(world.milliseconds - before < 1_000, comment)
        }
        try world.cluster.simulator.run(until: { asked.open == 0 }, maxSteps: 20_000_000)
        #expect(world.milliseconds - began <= Self.answerMillisMax, comment)
        #expect(fake.requestCount > 0 || !conduct.greets, comment)
        if !conduct.isBelieved {
            #expect(asked.replies.count == 2 && asked.refusals.count == 3, comment)
            for reply in asked.replies {
                #expect(reply.results.allSatisfy { $0.wantsRetry }, comment)
                #expect(
                    reply.silentNodes.map(\.node) == (conduct.refuses ? [] : [NodeID(2)]), comment)
            }
            for text in asked.refusals { #expect(text.contains("node 2 "), comment) }
        }

        fake.leave()
        try world.cluster.start(FakePeer.node)
        try world.settle()
        try world.pass(milliseconds: 2_500)
        for person in [near, far, back] {
            _ = try world.ingestAll(person.events.map(\.event), at: 3)
        }
        // Where lies were believed, what they were about may be lost; nothing else is.
        let persons = conduct.isBelieved ? [near] : [near, far, back]
        try world.expectWhole(persons, comment.rawValue)
        if conduct.isBelieved {
            try world.cluster.checkInvariants()
            try world.cluster.shutdown()
        } else {
            try world.end()
        }
    }

    /// Red seeds 87462664627185 and 77114610949229: a bit of a length was flipped on its way, and
    /// the answers to heartbeats went into that frame for hours.
    @Test func `a link whose frame never ends is given up, though bytes of it come`() throws {
        let world = try PeerWorld.started(seed: 1)
        let far = world.person("far", cookieAt: 1, accountAt: FakePeer.node)
        try world.cluster.stop(FakePeer.node)
        let fake = FakePeer(in: world, .halfFrame)
        try world.pass(milliseconds: 1_200)

        var counts: [Int] = []
        for _ in 0..<3 {
            let asked = Asked()
            asked.get("user_id", far.account, from: world.cluster.client(at: 1), world)
            try world.cluster.simulator.run(until: { asked.open == 0 }, maxSteps: 20_000_000)
            try world.pass(milliseconds: 3_000)
            counts.append(fake.connectionCount)
        }

        #expect(counts[0] < counts[1] && counts[1] < counts[2], "\(counts)")
    }

    @Test(arguments: 1...2 as ClosedRange<UInt64>)
    func `a node that sends thousands of senseless requests at once costs others nothing`(
        seed: UInt64
    ) throws {
        let comment = Comment(rawValue: "seed \(seed)")
        let world = try PeerWorld.started(seed: seed)
        let persons = [
            world.person("near", cookieAt: 1, accountAt: 3),
            world.person("far", cookieAt: 1, accountAt: 2),
        ]
        let flood = Flood(world)

        for (event, _) in persons.flatMap(\.events) {
            let before = world.milliseconds
            let results = try world.cluster.run(as: 3) {
                try await $0.ingest(PeerWorld.payload([event])).results
            }
            #expect(results == [.ok], comment)
            #expect(world.milliseconds - before < 1_000, comment)
        }
        try world.cluster.simulator.run(until: { flood.open == 0 }, maxSteps: 20_000_000)

        #expect(
            world.cluster.isUp(1), "\(comment): \(String(describing: world.cluster.failure(1)))")
        #expect(flood.answers == flood.requests, comment)
        #expect(flood.refusals == flood.senseless, comment)
        try world.expectWhole(persons, comment.rawValue)
        try world.end()
    }
}

/// What was asked while a node misbehaved, and what came of it. Touched on the simulation's thread
/// only.
private final class Asked: @unchecked Sendable {
    private(set) var open = 0
    private(set) var replies: [IngestReply] = []
    private(set) var refusals: [String] = []

    func ingest(_ events: [CBORValue], from client: Client, _ world: PeerWorld) {
        begin(world) { self.replies.append(try await client.ingest(PeerWorld.payload(events))) }
    }

    func get(_ namespace: String, _ value: String, from client: Client, _ world: PeerWorld) {
        var get = Get(space: "default", namespace: namespace, value: value)
        get.deadlineMillis = 3_000
        begin(world) { [get] in _ = try await client.get(get, retries: 0) }
    }

    func stats(from client: Client, _ world: PeerWorld) {
        begin(world) { _ = try await client.stats(retries: 0) }
    }

    private func begin(_ world: PeerWorld, _ body: @escaping @Sendable () async throws -> Void) {
        open += 1
        world.cluster.clientLane.start {
            do {
                try await body()
            } catch ClientError.refused(_, _, let text, _) {
                self.refusals.append(text)
            } catch {
                self.refusals.append("\(error)")
            }
            self.open -= 1
        }
    }
}

/// Greets node 1 as node 2 does, sends all its requests at once, and reads every answer. Touched on
/// the simulation's thread only.
private final class Flood: @unchecked Sendable {
    private let world: PeerWorld
    private(set) var open = 1
    private(set) var requests = 0
    /// Of the requests those that no node can carry out.
    private(set) var senseless = 0
    private(set) var answers = 0
    private(set) var refusals = 0

    init(_ world: PeerWorld) {
        self.world = world
        let lane = world.cluster.simulator.lane(node: "flood")
        lane.start {
            do {
                try await self.run(on: lane)
            } catch {
                Issue.record("the flood is cut off: \(error)")
            }
            self.open = 0
        }
    }

    private func run(on lane: Lane) async throws {
        let stream = try await world.cluster.network.host("flood").connect(
            host: "127.0.0.1", port: 7101, loop: lane)
        let introduction = PeerIntroduction(
            NodeSettings(
                configuration: world.settings.configuration(), nodeID: NodeID(2), software: "x"))
        var decoder = FrameDecoder()
        decoder.frameBytesMax = PeerLimits.frameBytesMax
        try await stream.write(FakePeer.frame(introduction.hello, 1))
        _ = try await next(stream, &decoder)
        let digests = introduction.digests
        try await stream.write(FakePeer.frame(PeerGreeting(digests: digests, folder: nil), 1))
        let folder = try folder(after: try await next(stream, &decoder))
        try await stream.write(FakePeer.frame(PeerGreeting(digests: digests, folder: folder), 1))
        try expectTaken(try await next(stream, &decoder))
        let frames = frames()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                for frame in frames { try await stream.write(frame) }
            }
            while answers < requests {
                count(try await next(stream, &decoder))
            }
            try await tasks.waitForAll()
        }
        stream.close()
    }

    // In functions of their own: the optimiser of Swift 6.3.1 loses track of a frame that an async
    // function takes apart.

    private func folder(after reply: Frame) throws -> FolderWord {
        FakePeer.folder(
            as: 2, knownBy: try PeerGreetingReply(decoding: reply.payload).folder)
    }

    private func expectTaken(_ reply: Frame) throws {
        if reply.type != .peerGreetingReply { throw NetworkError.closed }
    }

    private func count(_ reply: Frame) {
        answers += 1
        if reply.type == .error { refusals += 1 }
    }

    private func next(_ stream: any ByteStream, _ decoder: inout FrameDecoder) async throws -> Frame
    {
        while true {
            if let frame = try decoder.next() { return frame }
            let bytes = try await stream.read(atMost: 256 << 10)
            if bytes.isEmpty { throw NetworkError.closed }
            decoder.append(bytes)
        }
    }

    private func frames() -> [[UInt8]] {
        var frames: [[UInt8]] = []
        var random = Xoshiro256(seed: world.settings.seed, label: "flood")
        let junk = (0..<(1 << 20)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        func add(_ type: FrameType, _ payload: [UInt8], isSenseless: Bool = true) {
            requests += 1
            if isSenseless { senseless += 1 }
            frames.append(FakePeer.frame(type, payload, UInt64(requests)))
        }
        func leaf(of group: Int) -> LeafID {
            let table = GroupTable(groupCount: world.settings.groups)
            while true {
                let leaf = LeafID(high: random.next(), low: random.next())
                if table.group(of: leaf) == GroupID(UInt16(group)) { return leaf }
            }
        }
        func perform(_ group: Int, _ operations: OperationWriter, waits: [LeafID] = []) -> [UInt8] {
            PeerPerform(
                group: GroupID(UInt16(group)), isIngest: false, isWaiting: true,
                deadlineMillis: .max, operations: operations, finds: [], waits: waits
            ).encoded()
        }
        // Node 1 leads group 0.
        for number in 0..<3_000 {
            let group = [1, 2, 3, 65_535][number % 4]
            switch number % 6 {
            case 5:
                let search = PeerForwards(
                    group: GroupID(UInt16(group)), search: UInt64(number % 40),
                    step: PeerForwards.Step.allCases[number % 3],
                    cursor: [0, 1, 1 << 32, .max][number / 6 % 4],
                    lost: (0..<(number % 300 % 257)).map { _ in
                        PeerForwards.LostGroup(group: GroupID(UInt16(group)), mark: .none)
                    })
                add(.peerForwards, search.encoded())
            case 0: add(.peerPerform, perform(group, OperationWriter()))
            case 1: add(.peerPerform, perform(0, OperationWriter(), waits: [leaf(of: 1)]))
            case 2:
                let read = PeerRead(
                    group: GroupID(UInt16(group)), leaf: leaf(of: 0), record: leaf(of: 0),
                    deadlineMillis: .max)
                add(.peerRead, read.encoded())
            case 3: add(.peerTotals, PeerTotals(group: GroupID(UInt16(group))).encoded())
            default: add(.peerMark, PeerMark(group: GroupID(UInt16(group))).encoded())
            }
        }
        for number in 0..<40 {
            let types: [FrameType] = [
                .peerPerform, .peerRead, .peerTotals, .peerMark, .peerForwards,
            ]
            add(types[number % types.count], junk)
        }
        // Framed as operations are, so that they are logged, and change nothing. All of them fit
        // one entry, as these nodes' small segments take it.
        for type in [OperationType.event, .seal, .absorb, .release, .touch, .count] {
            var writer = ByteWriter()
            var left = junk.prefix(30_000)
            var count = 0
            while !left.isEmpty {
                let piece = left.prefix(1 + random.below(6_000))
                left = left.dropFirst(piece.count)
                writer.u8(type.rawValue)
                writer.u32(UInt32(piece.count))
                writer.i64(OperationWriter.noStamp)
                writer.raw(Array(piece))
                count += 1
            }
            let bytes = writer.bytes
            do {
                let operations = try OperationWriter(checking: bytes.span.bytes, count: count)
                add(.peerPerform, perform(0, operations), isSenseless: false)
            } catch {
                Issue.record("\(error)")
            }
        }
        return frames
    }
}

import KithBytes
import KithClient
import KithPorts
import KithWire
import Synchronization
import Testing

/// The client against scripted nodes, on one thread with virtual time.
@Suite struct ClientTests {
    static let ports: [UInt16] = [7101, 7102, 7103]

    /// Runs `body` with a client of 127.0.0.1 at `ports`; returns its value and the network.
    static func run<Value: Sendable>(
        ports: [UInt16] = [7101], options: ClientOptions = ClientOptions(),
        nodes: [UInt16: TestNetwork.Script], world: TestWorld = TestWorld(),
        _ body: @escaping @Sendable (Client) async throws -> Value
    ) throws -> (value: Value, network: TestNetwork) {
        let network = TestNetwork(world, nodes)
        let addresses = ports.map { NodeAddress(host: "127.0.0.1", port: $0) }
        let value = try world.run {
            try await Client.withClient(
                addresses: addresses, options: options, network: network, clock: world.clock,
                loop: world.loop, body)
        }
        return (value, network)
    }

    /// Runs `body` and returns the client error that it must throw.
    static func error<Value: Sendable>(
        ports: [UInt16] = [7101], options: ClientOptions = ClientOptions(),
        nodes: [UInt16: TestNetwork.Script], world: TestWorld = TestWorld(),
        _ body: @escaping @Sendable (Client) async throws -> Value
    ) throws -> ClientError? {
        do {
            _ = try run(ports: ports, options: options, nodes: nodes, world: world, body)
            return nil
        } catch let error as ClientError {
            return error
        }
    }

    /// What `body` throws; `nil` where it does not.
    static func failure(
        _ body: () async throws(ClientError) -> Void
    ) async -> ClientError? {
        do throws(ClientError) {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    static func get(_ value: String) -> Get {
        Get(space: "default", namespace: "user_id", value: value)
    }

    /// A node that answers every get with the value asked for, every batch with `ok`s, for ever.
    static let goodNode: TestNetwork.Script = { node in
        try await node.greet()
        while true { try await answer(try await node.next(), by: node) }
    }

    static func answer(_ frame: Frame, by node: ScriptedNode) async throws {
        switch frame.type {
        case .get:
            let read = try Get(decoding: frame.payload)
            try await node.reply(ProfileReply(profile: Array(read.value.utf8)), to: frame)
        case .ingest:
            let count = try IngestView(decoding: frame.payload).count
            let reply = IngestReply(
                token: Sample.token((0, 1)), results: Array(repeating: .ok, count: count))
            try await node.reply(reply, to: frame)
        case .stats: try await node.reply(StatsReply(map: [0xa0]), to: frame)
        case .status: try await node.reply(StatusReply(map: [0xa0]), to: frame)
        case .ping: try await node.reply(Pong(), to: frame)
        case .advanceTime: try await node.reply(Done(), to: frame)
        default: try await node.reply(ErrorReply(code: .unknownType, text: ""), to: frame)
        }
    }

    @Test func `every request gets its reply`() throws {
        let batch = Sample.plainBatch.payload

        _ = try Self.run(nodes: [7101: Self.goodNode]) { client in
            try await client.ping()
            #expect(await client.hello?.clusterName == "test")
            #expect(try await client.ingest(batch).results == [.ok, .ok, .ok])
            #expect(try await client.get(Self.get("u")).profile == Array("u".utf8))
            #expect(try await client.stats() == [0xa0])
            #expect(try await client.status() == [0xa0])
            try await client.advanceTime(to: LogTime(5))
        }
    }

    @Test func `replies in any order reach their callers`() throws {
        let count = 10
        let reversing: TestNetwork.Script = { node in
            try await node.greet()
            var frames: [Frame] = []
            for _ in 0..<count { frames.append(try await node.next()) }
            for frame in frames.reversed() { try await Self.answer(frame, by: node) }
            _ = try await node.next()
        }

        let (answers, network) = try Self.run(nodes: [7101: reversing]) { client in
            try await withThrowingTaskGroup(of: (Int, [UInt8]?).self) { group in
                for index in 0..<count {
                    group.addTask { (index, try await client.get(Self.get("u\(index)")).profile) }
                }
                return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
        }

        #expect(answers.count == count)
        for index in 0..<count { #expect(answers[index] == Array("u\(index)".utf8)) }
        #expect(network.connectedPorts == [7101])
    }

    @Test func `a break in mid-reply is unanswered, and unknown, without retries`() throws {
        let breaking: TestNetwork.Script = { node in
            try await node.greet()
            let frame = try await node.next()
            let reply = ScriptedNode.frame(
                IngestReply(token: SessionToken(), results: [.ok, .ok, .ok]), frame.requestID)
            try await node.stream.write(Array(reply.prefix(25)))
        }

        let error = try Self.error(nodes: [7101: breaking]) { client in
            try await client.ingest(Sample.plainBatch.payload)
        }

        #expect(
            error
                == .unanswered(
                    what: "ingest", address: "127.0.0.1:7101", message: "the node closed it"))
        #expect(error?.isUnknown == true)
    }

    @Test func `a break in mid-reply is retried with the same bytes at the next node`() throws {
        let seen = Recorder<[UInt8]>()
        let breaking: TestNetwork.Script = { node in
            try await node.greet()
            let frame = try await node.next()
            seen.append(frame.payload.copied())
            let reply = ScriptedNode.frame(
                IngestReply(token: SessionToken(), results: [.ok, .ok, .ok]), frame.requestID)
            try await node.stream.write(Array(reply.prefix(25)))
        }
        let recording: TestNetwork.Script = { node in
            try await node.greet(id: 2)
            let frame = try await node.next()
            seen.append(frame.payload.copied())
            try await Self.answer(frame, by: node)
            _ = try await node.next()
        }
        let batch = Sample.plainBatch.payload

        let (results, network) = try Self.run(
            ports: [7101, 7102], nodes: [7101: breaking, 7102: recording]
        ) { client in
            try await client.ingest(batch, retries: 1).results
        }

        #expect(results == [.ok, .ok, .ok])
        #expect(seen.values == [batch, batch])
        #expect(network.connectedPorts == [7101, 7102])
    }

    @Test func `retries are bounded`() throws {
        let attempts = Recorder<UInt64>()
        let dropping: TestNetwork.Script = { node in
            try await node.greet()
            attempts.append(try await node.next().requestID)
        }

        let error = try Self.error(nodes: [7101: dropping]) { client in
            try await client.ingest(Sample.plainBatch.payload, retries: 3)
        }

        #expect(error?.isUnknown == true)
        #expect(attempts.values.count == 4)
    }

    @Test func `a batch that was sent stays unknown when its retry is refused at the door`() throws
    {
        let connections = Recorder<Int>()
        let leaving: TestNetwork.Script = { node in
            connections.append(1)
            if connections.values.count == 1 {
                try await node.greet()
                _ = try await node.next()
            } else {
                let hello = try await node.next()
                try await node.reply(ErrorReply(code: .wrongCluster, text: "moved"), to: hello)
            }
        }

        let error = try Self.error(nodes: [7101: leaving]) { client in
            try await client.ingest(Sample.plainBatch.payload, retries: 2)
        }

        #expect(connections.values.count == 2)
        #expect(error?.isUnknown == true)
        #expect(error?.description.contains("moved") == true)
    }

    @Test func `batches that are sent again keep their order`() throws {
        let seen = Recorder<UInt8>()
        let dropping: TestNetwork.Script = { node in
            try await node.greet()
            for _ in 0..<3 { _ = try await node.next() }
        }
        let recording: TestNetwork.Script = { node in
            try await node.greet()
            while true {
                let frame = try await node.next()
                seen.append(frame.payload.copied().last ?? 0)
                try await Self.answer(frame, by: node)
            }
        }
        var options = ClientOptions()
        options.requestsInFlightMax = 3

        _ = try Self.run(
            ports: [7101, 7102], options: options, nodes: [7101: dropping, 7102: recording]
        ) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index: UInt8 in 0..<6 {
                    var batch = IngestBatchWriter(space: "s")
                    batch.append(bytes: [index])
                    let payload = batch.payload
                    group.addTask { _ = try await client.ingest(payload, retries: 1) }
                }
                try await group.waitForAll()
            }
        }

        #expect(seen.values == [0, 1, 2, 3, 4, 5])
    }

    @Test func `a request over its deadline fails then and not before`() throws {
        let world = TestWorld()
        let silent: TestNetwork.Script = { node in
            try await node.greet()
            while true { _ = try await node.next() }
        }

        let error = try Self.error(nodes: [7101: silent], world: world) { client in
            try await client.ping(millis: 300)
        }

        #expect(
            error == .timedOut(what: "ping", address: "127.0.0.1:7101", wasSent: true))
        #expect(world.millis == 300)
    }

    @Test func `an earlier deadline is kept while a later one is waited for`() throws {
        let world = TestWorld()
        let silent: TestNetwork.Script = { node in
            try await node.greet()
            while true { _ = try await node.next() }
        }

        let times = try Self.run(nodes: [7101: silent], world: world) { client in
            await withTaskGroup(of: UInt64.self) { group in
                for millis: UInt32 in [500, 100, 300] {
                    group.addTask {
                        try? await client.ping(millis: millis)
                        return world.millis
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
        }.value

        #expect(times == [100, 300, 500])
    }

    @Test func `a node that went silent is left for the next`() throws {
        let silent: TestNetwork.Script = { node in
            try await node.greet()
            while true { _ = try await node.next() }
        }

        var options = ClientOptions()
        options.silenceMillisMax = 250

        let (portsUsed, network) = try Self.run(
            ports: [7101, 7102], options: options, nodes: [7101: silent, 7102: Self.goodNode]
        ) { client in
            var portsUsed: [UInt16?] = []
            for _ in 0..<4 {
                _ = await Self.failure { () async throws(ClientError) in
                    try await client.ping(millis: 100)
                }
                portsUsed.append(await client.address?.port)
            }
            return portsUsed
        }

        // The third is over its deadline at 300 ms; what comes after it goes to the next address.
        #expect(portsUsed.prefix(2) == [7101, 7101])
        #expect(portsUsed[3] == 7102)
        #expect(network.connectedPorts == [7101, 7102])
    }

    @Test func `a late reply is dropped and the connection goes on`() throws {
        let world = TestWorld()
        let slow: TestNetwork.Script = { node in
            try await node.greet()
            let frames = [try await node.next(), try await node.next()]
            for frame in frames where frame.type == .ping {
                try await Self.answer(frame, by: node)
            }
            try await world.clock.sleep(nanoseconds: 200_000_000, on: world.loop)
            for frame in frames where frame.type == .status {
                try await Self.answer(frame, by: node)
            }
            while true { try await Self.answer(try await node.next(), by: node) }
        }

        let (profile, network) = try Self.run(nodes: [7101: slow], world: world) { client in
            async let failure = Self.failure { () async throws(ClientError) in
                _ = try await client.status(millis: 100)
            }
            try await client.ping()
            #expect(await failure?.isUnknown == true)
            try await world.clock.sleep(nanoseconds: 200_000_000, on: world.loop)
            return try await client.get(Self.get("u")).profile
        }

        #expect(profile == Array("u".utf8))
        #expect(network.connectedPorts == [7101])
    }

    @Test func `the first address that answers is used`() throws {
        let (node, network) = try Self.run(ports: Self.ports, nodes: [7103: Self.goodNode]) {
            client in
            try await client.ping()
            return await client.address
        }

        #expect(node?.description == "127.0.0.1:7103")
        #expect(network.connectedPorts == [7101, 7102, 7103])
    }

    @Test func `an address that swallows the connection is given up in time`() throws {
        let world = TestWorld()
        let mute: TestNetwork.Script = { node in
            while true { _ = try await node.next() }
        }

        let (_, network) = try Self.run(
            ports: [9, 7101, 7102], nodes: [7101: mute, 7102: Self.goodNode], world: world
        ) { client in
            try await client.ping()
        }

        #expect(network.connectedPorts == [9, 7101, 7102])
        #expect(world.millis == 4000)
    }

    @Test func `when nobody answers the error names every address`() throws {
        let world = TestWorld()

        let error = try Self.error(ports: [7101, 7102], nodes: [:], world: world) { client in
            try await client.ping()
        }

        guard case .unreachable(let address, let message)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(address == "127.0.0.1:7101, 127.0.0.1:7102")
        #expect(message.contains("connection refused"))
        #expect(error?.isUnknown == false)
        #expect(world.millis == 0)
    }

    @Test func `with retries an unreachable cluster is waited for`() throws {
        let world = TestWorld()
        let connections = Recorder<Int>()
        let starting: TestNetwork.Script = { node in
            connections.append(1)
            guard connections.values.count > 2 else { return }
            try await Self.goodNode(&node)
        }

        _ = try Self.run(nodes: [7101: starting], world: world) { client in
            try await client.ping(retries: 5)
        }

        #expect(connections.values.count == 3)
        #expect(world.millis == 150)
    }

    @Test func `a refused hello is told as it is`() throws {
        let refusing: TestNetwork.Script = { node in
            let hello = try await node.next()
            try await node.reply(
                ErrorReply(code: .wrongCluster, text: "this is cluster 'b'"), to: hello)
        }

        let error = try Self.error(
            ports: [7101, 7102], nodes: [7101: refusing, 7102: Self.goodNode]
        ) { client in
            try await client.ping(retries: 3)
        }

        #expect(
            error
                == .refused(
                    address: "127.0.0.1:7101", code: .wrongCluster, text: "this is cluster 'b'",
                    retryAfterMillis: 0))
    }

    @Test func `a node of another cluster is refused by the client too`() throws {
        var options = ClientOptions()
        options.clusterName = "mine"

        let error = try Self.error(options: options, nodes: [7101: Self.goodNode]) { client in
            try await client.ping()
        }

        guard case .refused(_, .wrongCluster, _, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func `a node that is shutting down is left for the next`() throws {
        let leaving: TestNetwork.Script = { node in
            let hello = try await node.next()
            try await node.reply(ErrorReply(code: .shuttingDown, text: "bye"), to: hello)
        }
        let leavingLater: TestNetwork.Script = { node in
            try await node.greet()
            let frame = try await node.next()
            try await node.reply(ErrorReply(code: .shuttingDown, text: "bye"), to: frame)
        }

        let (_, network) = try Self.run(
            ports: Self.ports,
            nodes: [7101: leaving, 7102: leavingLater, 7103: Self.goodNode]
        ) { client in
            try await client.get(Self.get("u"))
        }

        #expect(network.connectedPorts == Self.ports)
    }

    @Test func `an error in answer to a request reaches its caller and nobody else`() throws {
        let strict: TestNetwork.Script = { node in
            try await node.greet()
            while true {
                let frame = try await node.next()
                if frame.type == .get {
                    try await node.reply(
                        ErrorReply(code: .unknownNamespace, text: "known: email"), to: frame)
                } else {
                    try await Self.answer(frame, by: node)
                }
            }
        }

        let (_, network) = try Self.run(nodes: [7101: strict]) { client in
            await #expect(
                throws: ClientError.refused(
                    address: "127.0.0.1:7101", code: .unknownNamespace, text: "known: email",
                    retryAfterMillis: 0)
            ) { try await client.get(Self.get("u")) }
            try await client.ping()
        }

        #expect(network.connectedPorts == [7101])
    }

    @Test func `no more requests are in flight and waiting than allowed`() throws {
        let world = TestWorld()
        let unread = Recorder<Int>()
        let counting: TestNetwork.Script = { node in
            try await node.greet()
            while true {
                let frames = [try await node.next(), try await node.next()]
                // Time passes only when nothing else can happen: all that is sent has arrived.
                try await world.clock.sleep(nanoseconds: 1_000_000, on: world.loop)
                unread.append(node.stream.unreadByteCount)
                for frame in frames { try await Self.answer(frame, by: node) }
            }
        }
        var options = ClientOptions()
        options.requestsInFlightMax = 2
        options.requestsWaitingMax = 4

        let failures = try Self.run(options: options, nodes: [7101: counting], world: world) {
            client in
            await withTaskGroup(of: ClientError?.self) { group in
                for _ in 0..<7 {
                    group.addTask {
                        await Self.failure { () async throws(ClientError) in
                            try await client.ping()
                        }
                    }
                }
                var failures: [ClientError] = []
                for await failure in group { if let failure { failures.append(failure) } }
                return failures
            }
        }.value

        #expect(failures == Array(repeating: .tooManyRequests(limit: 4), count: 3))
        #expect(unread.values == [0, 0])
    }

    @Test func `a batch above the node's limit is not sent`() throws {
        let small: TestNetwork.Script = { node in
            try await node.greet(limits: WireLimits(frameBytesMax: 100))
            while true { try await Self.answer(try await node.next(), by: node) }
        }
        var batch = IngestBatchWriter(space: "s")
        batch.append(bytes: [UInt8](repeating: 0, count: 200))
        let payload = batch.payload

        let error = try Self.error(nodes: [7101: small]) { client in
            try await client.ingest(payload)
        }

        #expect(
            error == .tooLarge(what: "ingest", byteCount: payload.count + 16, limit: 100))
    }

    @Test func `bytes that are no frames end the connection`() throws {
        let garbling: TestNetwork.Script = { node in
            try await node.greet()
            let frame = try await node.next()
            var reply = ScriptedNode.frame(Pong(), frame.requestID)
            reply[9] ^= 1
            try await node.stream.write(reply)
            _ = try await node.next()
        }

        let error = try Self.error(nodes: [7101: garbling]) { client in
            try await client.ping()
        }

        guard case .protocolError("127.0.0.1:7101", let message)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(message.contains("checksum"))
    }

    @Test(arguments: [1, 3, .max] as [UInt64])
    func `a reply to a request that was never sent ends the connection`(_ id: UInt64) throws {
        let inventing: TestNetwork.Script = { node in
            try await node.greet()
            _ = try await node.next()
            try await node.stream.write(ScriptedNode.frame(Pong(), id))
            _ = try await node.next()
        }

        let error = try Self.error(nodes: [7101: inventing]) { client in
            try await client.ping()
        }

        guard case .protocolError(_, let message)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(message.contains("request \(id)"))
    }

    @Test(arguments: [0, 1, 2, 4])
    func `a batch answered with another number of results is a protocol error`(
        _ count: Int
    ) throws {
        let short: TestNetwork.Script = { node in
            try await node.greet()
            let frame = try await node.next()
            try await node.reply(
                IngestReply(
                    token: SessionToken(), results: Array(repeating: .ok, count: count)),
                to: frame)
            _ = try await node.next()
        }

        let error = try Self.error(nodes: [7101: short]) { client in
            try await client.ingest(Sample.plainBatch.payload)
        }

        guard case .protocolError? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func `a cancelled caller gets its error at once`() throws {
        let world = TestWorld()
        let silent: TestNetwork.Script = { node in
            try await node.greet()
            while true { _ = try await node.next() }
        }

        let error = try Self.run(nodes: [7101: silent], world: world) { client in
            await withTaskGroup(of: ClientError?.self) { group in
                group.addTask {
                    await Self.failure { () async throws(ClientError) in try await client.ping() }
                }
                try? await world.clock.sleep(nanoseconds: 50_000_000, on: world.loop)
                group.cancelAll()
                return await group.next() ?? nil
            }
        }.value

        #expect(error == .cancelled)
        #expect(world.millis == 50)
    }

    @Test func `a closed client answers nothing more`() throws {
        let error = try Self.error(nodes: [7101: Self.goodNode]) { client in
            try await client.ping()
            await client.close()
            try await client.ping()
        }

        #expect(error == .closed)
    }

    @Test func `a client that is closed while it connects ends at once`() throws {
        let world = TestWorld()

        let error = try Self.error(ports: [9], nodes: [:], world: world) { client in
            async let ping: Void = client.ping()
            try await world.clock.sleep(nanoseconds: 10_000_000, on: world.loop)
            await client.close()
            try await ping
        }

        #expect(error == .closed)
        #expect(world.millis == 10)
    }

    @Test func `the same script gives the same trace`() throws {
        func trace() throws -> [UInt16] {
            try Self.run(ports: Self.ports, nodes: [7102: Self.goodNode]) { client in
                for _ in 0..<10 { try await client.ping(retries: 2) }
            }.network.connectedPorts
        }

        #expect(try trace() == trace())
    }
}

/// Collects what scripts see.
final class Recorder<Value: Sendable>: Sendable {
    private let state = Mutex<[Value]>([])

    var values: [Value] { state.withLock { $0 } }
    func append(_ value: Value) { state.withLock { $0.append(value) } }
}

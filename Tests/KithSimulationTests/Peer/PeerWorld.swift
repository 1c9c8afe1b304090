import KithBytes
import KithClient
import KithCore
import KithServer
import KithWire
import Testing

@testable import KithSimulation

/// Three nodes with a group each, and what tests of peers ask of them.
struct PeerWorld {
    let cluster: SimulatedCluster
    let settings: ClusterSettings

    /// Three nodes that are down. `delay`: nanoseconds that a segment is under way between them.
    /// With `believesClocks` no node guards against steps of its wall clock.
    init(seed: UInt64, delay: UInt64? = nil, believesClocks: Bool = false) {
        var settings = ClusterSettings(seed: seed)
        if believesClocks { settings.tuning.clockStepMillisMax = .max }
        if let delay { settings.cables.delayNanoseconds = delay...delay }
        settings.nodeCount = 3
        settings.groups = 3
        self.settings = settings
        cluster = SimulatedCluster(settings)
    }

    /// Three nodes that serve.
    static func started(seed: UInt64, believesClocks: Bool = false) throws -> PeerWorld {
        let world = PeerWorld(seed: seed, believesClocks: believesClocks)
        try world.cluster.startAll()
        try world.settle()
        return world
    }

    var milliseconds: UInt64 { cluster.simulator.nanoseconds / 1_000_000 }

    /// Three nodes that know each other, with a person for every pair of them.
    static func populated(seed: UInt64) throws -> (PeerWorld, [Person]) {
        let world = try started(seed: seed)
        let persons = world.personsEverywhere()
        for person in persons {
            let results = try world.ingestAll(person.events.map(\.event), at: 1)
            #expect(results.allSatisfy { $0 == .ok })
        }
        try world.pass(milliseconds: 3_000)
        return (world, persons)
    }

    /// What a machine that was shut down has on its disk.
    func image(of node: Int) -> SimulatedDisk {
        cluster.disk(node).crash(keeping: { _ in .everything })
    }

    func pass(milliseconds: UInt64) throws {
        try cluster.simulator.run(nanoseconds: milliseconds * 1_000_000, maxSteps: 5_000_000)
    }

    /// Lets every pause between attempts to reach a node pass, so that nobody is refused for want
    /// of another attempt.
    func settle() throws { try cluster.reconnect() }

    // MARK: Persons

    /// The first value that begins with `stem` and whose home record that node keeps.
    func value(_ namespace: String, _ stem: String, at node: Int) -> String {
        for number in 0..<10_000 {
            let value = "\(stem)-\(number)"
            if settings.home(of: namespace, value) == node { return value }
        }
        preconditionFailure("no value at node \(node)")
    }

    /// A visitor whose cookie one node keeps, and whose account another.
    struct Person: Sendable {
        let name: String
        let cookie: String
        let account: String
        let cookieNode: Int
        let accountNode: Int

        /// Each with the nodes that it needs: the cookie's page, the account's page, the link.
        var events: [(event: CBORValue, nodes: Set<Int>)] {
            [
                (event("cookie", ["anonymousId": .text(cookie)]), [cookieNode]),
                (event("account", ["userId": .text(account)]), [accountNode]),
                (link, [cookieNode, accountNode]),
            ]
        }

        /// The event that makes them one.
        var link: CBORValue {
            event("link", ["userId": .text(account), "anonymousId": .text(cookie)])
        }

        private func event(_ kind: String, _ identifiers: CBORValue) -> CBORValue {
            MergingEvents.event("\(kind) of \(name)", identifiers)
        }

        /// The counters when each event was counted once.
        var counts: [String: UInt64] {
            ["cookie of \(name)": 1, "account of \(name)": 1, "link of \(name)": 1]
        }
    }

    func person(_ name: String, cookieAt cookieNode: Int, accountAt accountNode: Int) -> Person {
        Person(
            name: name, cookie: value("anonymous_id", name, at: cookieNode),
            account: value("user_id", name, at: accountNode), cookieNode: cookieNode,
            accountNode: accountNode)
    }

    /// A person for every pair of nodes.
    func personsEverywhere() -> [Person] {
        (1...3).flatMap { cookieNode in
            (1...3).map {
                person("p\(cookieNode)\($0)", cookieAt: cookieNode, accountAt: $0)
            }
        }
    }

    // MARK: Asking

    static func payload(_ events: [CBORValue]) -> [UInt8] {
        var batch = IngestBatchWriter(space: "default")
        for event in events { batch.append(bytes: event.encoded()) }
        return batch.payload
    }

    func ingest(_ events: [CBORValue], at node: Int) throws -> IngestReply {
        let payload = Self.payload(events)
        return try cluster.run(at: node) { try await $0.ingest(payload) }
    }

    /// Sends the batch until all of it is acknowledged.
    func ingestAll(_ events: [CBORValue], at node: Int) throws -> [IngestResult] {
        for _ in 0..<20 {
            let reply = try ingest(events, at: node)
            if !reply.results.contains(where: \.wantsRetry) { return reply.results }
            try pass(milliseconds: UInt64(max(250, reply.retryAfterMillis)))
        }
        return try ingest(events, at: node).results
    }

    func profile(_ namespace: String, _ value: String, at node: Int) throws -> [UInt8]? {
        let get = Get(space: "default", namespace: namespace, value: value)
        return try cluster.run(at: node) { try await $0.get(get, retries: 5).profile }
    }

    /// How often each name was counted in the profile, as each node says; with the profile's bytes.
    func profiles(_ namespace: String, _ value: String) throws -> [[UInt8]?] {
        try (1...3).map { try profile(namespace, value, at: $0) }
    }

    static func counts(_ profile: [UInt8]?) throws -> [String: UInt64] {
        guard let profile else { return [:] }
        var reader = ByteReader(profile.span.bytes)
        let decoded = try Profile(decoding: &reader)
        return Dictionary(uniqueKeysWithValues: decoded.events.map { ($0.name, $0.count) })
    }

    /// The totals, as each node says.
    func totals() throws -> [CBORValue] {
        try (1...3).map { node in
            let bytes = try cluster.run(at: node) { try await $0.stats(retries: 5) }
            return try CBORValue(decoding: bytes.span.bytes)
        }
    }

    /// How far the log of the group that the node leads is applied, as node 1 says.
    func applied(at node: Int) throws -> LogIndex {
        let bytes = try cluster.run(at: 1) { try await $0.status() }
        guard case .array(let groups)? = try CBORValue(decoding: bytes.span.bytes)["groups"] else {
            return .zero
        }
        for group in groups where group["leader"] == .unsigned(UInt64(node)) {
            if case .unsigned(let index)? = group["applied"] { return LogIndex(index) }
        }
        return .zero
    }

    /// Sealed records of all groups of nodes that answer, as `node` says.
    func sealed(at node: Int) throws -> UInt64 {
        let bytes = try cluster.run(at: node) { try await $0.status(retries: 5) }
        let status = try CBORValue(decoding: bytes.span.bytes)
        guard case .array(let groups)? = status["groups"] else { return .max }
        return groups.reduce(0) { sum, group in
            if case .unsigned(let count)? = group["sealed"] { sum + count } else { sum }
        }
    }

    /// What a question is refused with; nil where it is answered.
    func refusal(_ body: () throws -> Void) throws -> (code: ErrorCode, text: String)? {
        do {
            try body()
            return nil
        } catch ClientError.refused(_, let code, let text, _) {
            return (code, text)
        }
    }

    // MARK: The end

    /// Every person is one profile with each event counted once, whoever is asked.
    func expectWhole(_ persons: [Person], _ comment: String) throws {
        for person in persons {
            let byAccount = try profiles("user_id", person.account)
            let byCookie = try profiles("anonymous_id", person.cookie)
            let all = byAccount + byCookie
            #expect(all.allSatisfy { $0 == all[0] }, "\(comment): answers about \(person)")
            #expect(try Self.counts(all[0]) == person.counts, "\(comment): \(person)")
        }
    }

    /// No profile has counted what was answered `overloaded`; what is unknown may be there.
    func expectNotStored(
        _ events: [CBORValue], answered results: [IngestResult], of persons: [Person]
    ) throws {
        let refused = zip(events, results).filter { $0.1 == .overloaded }.compactMap { event, _ in
            if case .text(let name)? = event["event"] { name } else { nil }
        }
        for person in persons {
            for bytes in try profiles("user_id", person.account)
                + profiles("anonymous_id", person.cookie)
            {
                let stored = try Self.counts(bytes).keys.filter { refused.contains($0) }
                #expect(stored.isEmpty, "seed \(settings.seed): stored though refused: \(stored)")
            }
        }
    }

    /// Node 2, which is down, begins anew on a disk that fails for good from operation `k` on,
    /// dies, and is started plainly; again with `--new` where nothing of that is left. Whether the
    /// disk had failed, and whether the plain start went on.
    func beginAnew(
        failingAt k: Int, keeping kept: @escaping (UnsyncedWrite) -> KeptPart
    ) throws -> (hasFailed: Bool, wentOn: Bool) {
        cluster.setDisk(SimulatedDisk(), 2)
        cluster.disk(2).failAt(operation: k, isPersistent: true)
        if (try? cluster.start(2, folder: .new)) != nil { try pass(milliseconds: 100) }
        let hasFailed = cluster.disk(2).hasFailed
        cluster.crash(2, keeping: kept)
        var wentOn = true
        do {
            try cluster.start(2, folder: .asFound(mayMake: false))
        } catch NodeError.folderEmpty {
            wentOn = false
            cluster.setDisk(SimulatedDisk(), 2)
            try cluster.start(2, folder: .new)
        }
        try pass(milliseconds: 1_500)
        return (hasFailed, wentOn)
    }

    func end() throws {
        for node in 1...3 { #expect(try sealed(at: node) == 0, "seed \(settings.seed)") }
        try cluster.checkInvariants()
        try cluster.shutdown()
    }
}

extension CBORValue {
    /// The value at a path; nil where there is none.
    subscript(path: String...) -> CBORValue? {
        path.reduce(Optional(self)) { value, name in value?[name] }
    }
}

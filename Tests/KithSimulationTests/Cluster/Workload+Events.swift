import KithBytes
import KithClient
import KithCore
import KithWire

@testable import KithSimulation

/// Events that merge, each under a name of its own, so that the counters of a profile say exactly
/// which of them were counted and how often.
enum MergingEvents {
    /// Each is one frame. All of them are about one person.
    static let list: [CBORValue] = [
        event("one", ["anonymousId": "a1"]),
        event("two", ["userId": "u", "anonymousId": "a1"]),
        event("three", ["anonymousId": "a2"]),
        event("four", ["anonymousId": "a2", "context": ["traits": ["email": "j@x.com"]]]),
        event("five", ["userId": "u", "context": ["traits": ["email": "j@x.com"]]]),
        event("six", ["anonymousId": "a2", "context": ["device": ["id": "d"]]]),
        event("seven", ["anonymousId": "a1", "context": ["device": ["id": "d"]]]),
        event("eight", ["anonymousId": "a2"]),
    ]

    static let identifiers = [
        "anonymous_id:a1", "anonymous_id:a2", "device_id:d", "email:j@x.com", "user_id:u",
    ]

    static func event(_ name: String, _ identifiers: CBORValue) -> CBORValue {
        guard case .map(let members) = identifiers else { return identifiers }
        return .map(
            [
                CBORMember("type", "track"), CBORMember("event", .text(name)),
                CBORMember("messageId", .text("id-\(name)")),
            ] + members)
    }

    static func payload(_ event: CBORValue) -> [UInt8] {
        var batch = IngestBatchWriter(space: "default")
        batch.append(bytes: event.encoded())
        return batch.payload
    }

    /// How often each name was counted in the profile of `identifier`.
    static func counts(
        _ cluster: SimulatedCluster, namespace: String, _ value: String
    ) throws -> [String: UInt64] {
        guard let profile = try profile(cluster, namespace: namespace, value) else { return [:] }
        return Dictionary(uniqueKeysWithValues: profile.events.map { ($0.name, $0.count) })
    }

    static func profile(
        _ cluster: SimulatedCluster, namespace: String, _ value: String
    ) throws -> Profile? {
        let get = Get(space: "default", namespace: namespace, value: value)
        guard let bytes = try cluster.run({ try await $0.get(get, retries: 5) }).profile else {
            return nil
        }
        var reader = ByteReader(bytes.span.bytes)
        return try Profile(decoding: &reader)
    }

    /// Counts over all profiles that the events' identifiers lie in, each profile once.
    static func totals(_ cluster: SimulatedCluster) throws -> [String: UInt64] {
        var seen: Set<String> = []
        var totals: [String: UInt64] = [:]
        for name in identifiers {
            let colon = name.firstIndex(of: ":") ?? name.endIndex
            let found = try profile(
                cluster, namespace: String(name[..<colon]),
                String(name[name.index(after: colon)...]))
            guard let found, seen.insert(found.id.hex).inserted else { continue }
            for event in found.events { totals[event.name, default: 0] += event.count }
        }
        return totals
    }
}

/// Sends the merging events one after another and notes what was acknowledged. Touched on the
/// simulation's thread only.
final class MergingSender: @unchecked Sendable {
    /// Names of the events that were answered `ok` or `duplicate`.
    private(set) var acknowledged: [String] = []
    private(set) var isDone = false
    /// Answers other than those.
    private(set) var refused: [IngestResult] = []

    /// While true nothing more is sent.
    var isHeld = false
    /// Whether the sender waits for that to end.
    private(set) var isHolding = false

    /// With `retrying` each event is sent until it is acknowledged, else once.
    func start(_ cluster: SimulatedCluster, retrying: Bool) {
        let client = cluster.client()
        let simulator = cluster.simulator
        cluster.clientLane.start { [self] in
            for event in MergingEvents.list {
                let payload = MergingEvents.payload(event)
                for _ in 0..<(retrying ? 100 : 1) {
                    while isHeld {
                        isHolding = true
                        await simulator.wait(nanoseconds: 1_000_000, subject: 0)
                    }
                    isHolding = false
                    let reply = try? await client.ingest(payload)
                    if take(reply?.results.first, event) { break }
                }
            }
            isDone = true
        }
    }

    private func take(_ result: IngestResult?, _ event: CBORValue) -> Bool {
        guard let result else { return false }
        switch result {
        case .ok, .duplicate:
            if case .text(let name)? = event["event"] { acknowledged.append(name) }
            return true
        default:
            refused.append(result)
            return false
        }
    }
}

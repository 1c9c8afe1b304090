internal import KithBytes
internal import KithWire

/// Events that must be refused, between good ones of the same batch, and connections that send
/// bytes that are no frames.
struct HostileInput: Workload {
    static let name = "hostile"
    static let help = "oversize and malformed events among good ones, and bytes that are no frames"

    private let clients: Int

    init(_ plan: inout PlanWriter) { clients = 1 + plan.random.below(4) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        for at in plan.moments(count) {
            let client = plan.random.below(clients)
            if plan.random.oneIn(4) {
                if plan.random.oneIn(8) {
                    // Together they want more room than there is.
                    for stranger in 0..<3 {
                        plan.act(client: clients + stranger, at: at, .bytes(greedy(&plan)))
                    }
                    continue
                }
                plan.act(client: clients + plan.random.below(3), at: at, .bytes(noise(&plan)))
                continue
            }
            let person = plan.random.below(6)
            var events: [PlannedEvent] = []
            for _ in 0..<(1 + plan.random.below(5)) {
                switch plan.random.below(3) {
                case 0: events.append(plan.event([plan.user(person), plan.cookie(person)], at: at))
                case 1: events.append(plan.event([plan.cookie(person)], at: at))
                default:
                    events.append(plan.refused(plan.pick(RejectionReason.allCases), person, at))
                }
            }
            plan.ingest(client: client, at: at, events)
            if plan.random.oneIn(6) { plan.get(client: client, at: at, plan.cookie(person)) }
        }
    }

    /// Bytes that no client of ours sends.
    private func noise(_ plan: inout PlanWriter) -> [UInt8] {
        let length = 1 + plan.random.below(200)
        let random = (0..<length).map { _ in UInt8(truncatingIfNeeded: plan.random.next()) }
        var writer = ByteWriter()
        FrameWriter.write(
            Hello(clusterName: "", role: .client, software: "noise"), requestID: 1, into: &writer)
        switch plan.random.below(9) {
        case 6: return strange(random, &plan)
        case 7: return strange(Get(space: "No space!", namespace: "user_id", value: "u"), &plan)
        case 8:
            // The first frame is no greeting.
            var writer = ByteWriter()
            FrameWriter.write(FrameHeader(type: .stats, requestID: 1), payload: [], into: &writer)
            return writer.bytes
        case 0: return random
        case 1: return Array("GET / HTTP/1.1\r\nHost: kith\r\n\r\n".utf8)
        case 2: return [0xff, 0xff, 0xff, 0xff] + random
        case 3: return writer.bytes + random
        case 4: return Array(writer.bytes.prefix(writer.count / 2))
        default:
            // A greeting, and then a batch that was cut or changed on its way.
            var batch = IngestBatchWriter(space: plan.space)
            batch.append(bytes: plan.event([plan.cookie(77)], at: 0).bytes)
            let start = writer.count
            FrameWriter.write(
                FrameHeader(type: .ingest, requestID: 2), payload: batch.payload, into: &writer)
            var bytes = writer.bytes
            let place = start + plan.random.below(bytes.count - start)
            bytes[place] ^= UInt8(1) << UInt8(plan.random.below(8))
            return bytes
        }
    }

    private func greeting(_ plan: inout PlanWriter) -> ByteWriter {
        var writer = ByteWriter()
        FrameWriter.write(
            Hello(clusterName: plan.settings.name, role: .client, software: "noise"), requestID: 1,
            into: &writer)
        return writer
    }

    /// Whole frames, batches most of them, that do not decode: more than a node reads ahead.
    private func strange(_ payload: [UInt8], _ plan: inout PlanWriter) -> [UInt8] {
        var writer = greeting(&plan)
        for number in 0..<(1 + plan.random.below(24)) {
            let type = plan.random.oneIn(4) ? FrameType.get : .ingest
            FrameWriter.write(
                FrameHeader(type: type, requestID: UInt64(number + 2)), payload: payload,
                into: &writer)
        }
        return writer.bytes
    }

    /// A request of a space that cannot be, and a batch for one.
    private func strange(_ get: Get, _ plan: inout PlanWriter) -> [UInt8] {
        var writer = greeting(&plan)
        FrameWriter.write(get, requestID: 2, into: &writer)
        var batch = IngestBatchWriter(space: get.space)
        batch.append(bytes: plan.event([plan.cookie(78)], at: 0).bytes)
        FrameWriter.write(
            FrameHeader(type: .ingest, requestID: 3), payload: batch.payload, into: &writer)
        return writer.bytes
    }

    /// Most of a large batch, more than needs no room: the room for it is taken, and the rest never
    /// comes.
    private func greedy(_ plan: inout PlanWriter) -> [UInt8] {
        var writer = greeting(&plan)
        let payload = [UInt8](repeating: 0, count: 100_000 + plan.random.below(30_000))
        FrameWriter.write(
            FrameHeader(type: .ingest, requestID: 2), payload: payload, into: &writer)
        return Array(writer.bytes.prefix(writer.count - 30_000))
    }
}

extension PlanWriter {
    /// An event that must be refused for that reason.
    mutating func refused(
        _ reason: RejectionReason, _ person: Int, _ at: UInt64
    ) -> PlannedEvent {
        let cookie = CBORMember("anonymousId", .text(self.cookie(person).value))
        var event = PlannedEvent(
            number: nextNumber(), identifiers: [self.cookie(person)], time: times.wall(at),
            refusal: reason, bytes: [])
        var members = head(event) + [cookie]
        func without(_ key: String) { members.removeAll { $0.key == .text(key) } }
        switch reason {
        case .invalidJSON:
            event.bytes = invalid(members)
            return event
        case .invalidType:
            without("type")
            members.append(CBORMember("type", random.oneIn(2) ? "Track" : 7))
        case .missingEventName:
            without("event")
            if random.oneIn(2) { members.append(CBORMember("event", "  ")) }
        case .noIdentifier:
            without("anonymousId")
            let blocked: CBORValue = pick(["null", " NULL ", "0000", "\"guest\"", "", 0])
            if random.oneIn(2) { members.append(CBORMember("userId", blocked)) }
        case .eventTooLarge:
            let pad = String(repeating: "x", count: 32 * 1024 + random.below(2_000))
            members.append(CBORMember("properties", ["pad": .text(pad)]))
        case .invalidTimestamp:
            without("timestamp")
            let times: [CBORValue] = ["yesterday", "", true, "1969-12-31T23:59:59Z"]
            members.append(CBORMember("timestamp", pick(times)))
        case .missingPreviousID:
            without("type")
            members.append(CBORMember("type", "alias"))
        }
        event.bytes = CBORValue.map(members).encoded()
        return event
    }

    private mutating func invalid(_ members: [CBORMember]) -> [UInt8] {
        let whole = CBORValue.map(members).encoded()
        switch random.below(5) {
        case 0: return Array(whole.prefix(random.below(whole.count)))
        case 1: return whole + [0]
        case 2: return CBORValue.array([.map(members)]).encoded()
        case 3: return [UInt8](repeating: 0x81, count: 1_000)
        default:
            var deep = CBORValue.bool(true)
            for _ in 0..<130 { deep = ["a": deep] }
            return CBORValue.map(members + [CBORMember("properties", deep)]).encoded()
        }
    }
}

import KithBytes
import Testing

@testable import KithCore
@testable import KithWire

/// Messages between nodes, beyond what `MessageTests` asks of every sample.
@Suite struct PeerMessageTests {
    // MARK: Outcomes

    @Test func `every outcome and all it holds survives the way between nodes`() throws {
        let sent = PeerPerformReply(
            .answered(
                operations: Sample.outcomes, finds: Sample.outcomes.reversed(),
                waits: [true, false, true], token: LogIndex(.max)))

        let received = try Self.answered(PeerPerformReply(decoding: sent.encoded().span.bytes))

        #expect(received.operations == Sample.outcomes)
        #expect(received.finds == Sample.outcomes.reversed())
        #expect(received.waits == [true, false, true])
        #expect(received.token == LogIndex(.max))
    }

    @Test func `the samples have an outcome of every tag`() {
        let tags = Set(Sample.outcomes.map { Self.bytes(of: $0)[0] })

        #expect(tags == Set(0...25))
    }

    @Test func `every truncation of an outcome throws`() {
        for outcome in Sample.outcomes {
            let whole = Self.bytes(of: outcome)
            for count in 0..<whole.count {
                #expect(throws: ByteError.self, "\(count) bytes of \(Self.name(of: outcome))") {
                    try PeerPerformReply(
                        decoding: Self.reply(operations: 1, whole[..<count]).span.bytes)
                }
            }
        }
    }

    @Test func `an outcome of a later version is unknown`() {
        #expect(throws: ByteError.unknownTag(26, offset: 13)) {
            try PeerPerformReply(decoding: Self.reply(operations: 1, [26]).span.bytes)
        }
    }

    @Test func `a rule of a later version is unknown`() {
        #expect(throws: ByteError.unknownTag(3, offset: 14)) {
            try PeerPerformReply(decoding: Self.reply(operations: 1, [15, 3]).span.bytes)
        }
    }

    @Test func `a finding's unknown flags are refused`() {
        var bytes = Self.bytes(of: .found(Sample.finding))
        bytes[17] |= 64

        #expect(throws: ByteError.unknownTag(bytes[17], offset: 30)) {
            try PeerPerformReply(decoding: Self.reply(operations: 1, bytes[...]).span.bytes)
        }
    }

    @Test func `a finding of too many bytes is refused`() {
        var finding = Finding(root: Sample.account)
        finding.payloadBytes = PeerLimits.payloadBytesMax + 1
        let bytes = Self.bytes(of: .found(finding))

        #expect(throws: ByteError.tooLong(length: (1 << 30) + 1, limit: 1 << 30)) {
            try PeerPerformReply(decoding: Self.reply(operations: 1, bytes[...]).span.bytes)
        }
    }

    @Test func `a finding of too many namespaces is refused`() {
        var finding = Finding(root: Sample.account)
        finding.identifiers = (0...PeerLimits.namespacesMax).map { _ in
            IdentifierCount(namespace: [], count: 1)
        }
        let bytes = Self.bytes(of: .found(finding))

        #expect(throws: ByteError.tooLong(length: 257, limit: 256)) {
            try PeerPerformReply(decoding: Self.reply(operations: 1, bytes[...]).span.bytes)
        }
    }

    // MARK: Replies

    @Test func `a part that was not answered travels as unknown`() throws {
        let bytes = PeerPerformReply(.unanswered).encoded()

        #expect(bytes == PeerPerformReply(.unknown).encoded())
        guard case .unknown = try PeerPerformReply(decoding: bytes.span.bytes).answer else {
            Issue.record("it came out as another answer")
            return
        }
    }

    @Test(arguments: [(0, 6), (3, 4), (6, 3), (12, 1)])
    func `a reply beyond its goal is cut, and what is left keeps its order`(
        _ operations: Int, _ finds: Int
    ) throws {
        // Nearly 2 MiB each, told apart by their leaves.
        func outcomes(_ count: Int, _ high: UInt64) -> [Outcome] {
            (0..<count).map { place in
                .released(
                    ReleaseOrder(
                        leaf: LeafID(high: high, low: UInt64(place)), version: Sample.place,
                        ledger: [UInt8](repeating: 7, count: 2_000_000), marks: []))
            }
        }
        let asked = (operations: outcomes(operations, 1), finds: outcomes(finds, 2))
        let bytes = PeerPerformReply(
            .answered(
                operations: asked.operations, finds: asked.finds, waits: [true, false],
                token: LogIndex(9))
        ).encoded()

        let received = try Self.answered(PeerPerformReply(decoding: bytes.span.bytes))

        // Five of them pass the goal: the last one begins below it.
        let left = max(5 - received.operations.count, 0)
        #expect(received.operations == Array(asked.operations.prefix(5)))
        #expect(received.finds == Array(asked.finds.prefix(left)))
        #expect(received.waits == [true, false])
        #expect(bytes.count < Int(PeerLimits.frameBytesMax))
        #expect(operations + finds <= 5 || bytes.count >= PeerLimits.replyBytesGoal)
    }

    @Test func `the greatest reply fits a frame`() {
        let outcome = Outcome.released(
            ReleaseOrder(
                leaf: Sample.account, version: Sample.place,
                ledger: [UInt8](repeating: 0, count: ShardMachine.absorbBytesMax),
                marks: Array(repeating: Sample.place, count: 256)))

        let bytes = PeerLimits.replyBytesGoal + Self.bytes(of: outcome).count

        #expect(bytes + PeerLimits.waitsMax + 100 < Int(PeerLimits.frameBytesMax))
    }

    @Test(arguments: [(9, PeerLimits.operationsMax), (13, PeerLimits.findsMax)])
    func `more outcomes than could have been asked for are refused before they are read`(
        _ offset: Int, _ limit: Int
    ) {
        var bytes = PeerPerformReply(
            .answered(operations: [], finds: [], waits: [], token: .zero)
        ).encoded()
        for byte in 0..<4 {
            bytes[offset + byte] = UInt8(truncatingIfNeeded: (limit + 1) >> (8 * byte))
        }

        #expect(throws: ByteError.tooLong(length: limit + 1, limit: limit)) {
            try PeerPerformReply(decoding: bytes.span.bytes)
        }
    }

    @Test func `a count of outcomes that the payload cannot hold is refused`() {
        let bytes = Array(Self.reply(operations: 3, [19, 19]).dropLast(6))

        #expect(throws: ByteError.truncated(needed: 3, available: 2)) {
            try PeerPerformReply(decoding: bytes.span.bytes)
        }
    }

    @Test(arguments: [3, 255] as [UInt8])
    func `a reply of a later version is unknown`(_ tag: UInt8) {
        #expect(throws: ByteError.unknownTag(tag, offset: 0)) {
            try PeerPerformReply(decoding: [tag].span.bytes)
        }
    }

    @Test func `an answer of a wait is 0 or 1`() {
        var bytes = PeerPerformReply(
            .answered(operations: [], finds: [], waits: [true], token: .zero)
        ).encoded()
        bytes[bytes.count - 1] = 2

        #expect(throws: ByteError.unknownTag(2, offset: bytes.count - 1)) {
            try PeerPerformReply(decoding: bytes.span.bytes)
        }
    }

    // MARK: Requests

    @Test func `a part keeps its operations, finds and waits in order`() throws {
        let finds = (0..<PeerLimits.findsMax).map { place in
            FindRequest(
                record: LeafID(high: 1, low: UInt64(place)), leaf: Sample.account,
                other: Sample.anonymous, proof: OperationIndex(rawValue: UInt64(place)),
                stamp: Int64(-place))
        }
        let waits = (0..<PeerLimits.waitsMax).map { LeafID(high: 2, low: UInt64($0)) }
        let sent = PeerPerform(
            group: GroupID(7), isIngest: true, isWaiting: true, deadlineMillis: 1,
            operations: Sample.operations, finds: finds, waits: waits)

        let received = try PeerPerform(decoding: sent.encoded().span.bytes)

        #expect(received == sent)
        #expect(received.operationCount == 2)
        #expect(received.operations == Sample.operations.bytes)
    }

    @Test func `a part's unknown flags are refused`() {
        var bytes = Self.part().encoded()
        bytes[2] = 4

        #expect(throws: ByteError.unknownTag(4, offset: 2)) {
            try PeerPerform(decoding: bytes.span.bytes)
        }
    }

    @Test func `too many operations are refused`() {
        var part = Self.part()
        part.operationCount = PeerLimits.operationsMax + 1

        #expect(throws: ByteError.tooLong(length: (1 << 19) + 1, limit: 1 << 19)) {
            try PeerPerform(decoding: part.encoded().span.bytes)
        }
    }

    @Test func `more operations than their bytes can hold are refused`() {
        var part = Self.part()
        part.operationCount = 100

        #expect(throws: ByteError.truncated(needed: 1300, available: 8)) {
            try PeerPerform(decoding: part.encoded().span.bytes)
        }
    }

    @Test func `operations of too many bytes are refused`() {
        var part = Self.part()
        part.operations = [UInt8](repeating: 0, count: PeerLimits.operationBytesMax + 1)

        #expect(throws: ByteError.tooLong(length: (6 << 20) + 1, limit: 6 << 20)) {
            try PeerPerform(decoding: part.encoded().span.bytes)
        }
    }

    @Test func `the greatest operation fits a part`() {
        let bytes = [UInt8](repeating: 0, count: ShardMachine.absorbBytesMax)

        // An absorb: two of these, 256 marks, and less than 100 bytes around them.
        #expect(2 * bytes.count + 256 * 8 + 100 < PeerLimits.operationBytesMax)
        #expect(PeerLimits.operationBytesGoal < PeerLimits.operationBytesMax)
        let smallest = OperationWriter.headerBytes
        #expect(PeerLimits.operationBytesMax / smallest <= PeerLimits.operationsMax)
    }

    @Test func `too many finds are refused before any is read`() {
        var bytes = Self.part().encoded()
        let offset = bytes.count - 4
        bytes[offset] = 0x01
        bytes[offset + 1] = 0x04

        #expect(throws: ByteError.tooLong(length: 1025, limit: 1024)) {
            try PeerPerform(decoding: bytes.span.bytes)
        }
    }

    @Test(arguments: [4, 2])
    func `more finds or waits than the payload holds are refused before any is read`(
        _ fromEnd: Int
    ) {
        var bytes = Self.part().encoded()
        let item = fromEnd == 4 ? 64 : 16
        bytes[bytes.count - fromEnd] = 3

        #expect(throws: ByteError.truncated(needed: 3 * item, available: fromEnd - 2)) {
            try PeerPerform(decoding: bytes.span.bytes)
        }
    }

    // MARK: Reads, totals, marks

    @Test func `a profile above the limit is refused before it is copied`() {
        var writer = ByteWriter()
        writer.u8(0)
        writer.u32(UInt32(PeerLimits.profileBytesMax) + 1)

        #expect(throws: ByteError.tooLong(length: (8 << 20) + 1, limit: 8 << 20)) {
            try PeerReadReply(decoding: writer.bytes.span.bytes)
        }
    }

    @Test(arguments: [Sample.statistics, Sample.greatestStatistics, Statistics()])
    func `totals survive the way between nodes`(_ statistics: Statistics) throws {
        let sent = PeerTotalsReply(statistics: statistics).encoded()

        #expect(try PeerTotalsReply(decoding: sent.span.bytes).statistics == statistics)
    }

    @Test func `the greatest totals of as many groups as there can be add up`() throws {
        let bytes = PeerTotalsReply(statistics: Sample.greatestStatistics).encoded()
        var greatest = try PeerTotalsReply(decoding: bytes.span.bytes).statistics
        greatest.ignored = []
        greatest.countIdentifier(Array("user_id".utf8), by: Int64(PeerLimits.countMax))

        var sum = Statistics()
        for _ in 0..<WireLimits.tokenGroupsMax { sum.add(greatest) }

        #expect(sum.accepted == 256 << 44)
        #expect(sum.members == 256 << 44)
        #expect(sum.identifiers.map(\.count) == [256 << 44])
        // Even all names of a list together, each of them at its limit.
        let names = Int64((Statistics.namesMax + 1) * WireLimits.tokenGroupsMax)
        #expect(!names.multipliedReportingOverflow(by: Int64(PeerLimits.countMax)).overflow)
    }

    private static var counters: [(name: String, path: WritableKeyPath<Statistics, UInt64>)] {
        [
            ("accepted", \.accepted), ("duplicate", \.duplicate),
            ("expiredOnArrival", \.expiredOnArrival), ("forgotten", \.forgotten),
            ("suppressed", \.suppressed), ("quarantined", \.quarantined),
            ("mergesCompleted", \.mergesCompleted), ("a rule", \.refusals[2]),
            ("expired", \.expired), ("traitsRefused", \.traitsRefused),
        ]
    }

    @Test func `a counter that could not be added up is refused`() {
        func expectRefused(_ what: String, _ change: (inout Statistics) -> Void) {
            var statistics = Sample.statistics
            change(&statistics)
            #expect(throws: ByteError.malformed(offset: 0), "\(what)") {
                try PeerTotalsReply(
                    decoding: PeerTotalsReply(statistics: statistics).encoded().span.bytes)
            }
        }
        let limit = PeerLimits.countMax
        for (name, path) in Self.counters {
            expectRefused(name) { $0[keyPath: path] = UInt64(limit) + 1 }
        }
        for count in [Int64(limit) + 1, -Int64(limit) - 1, .min, .max] {
            expectRefused("members \(count)") { $0.members = count }
            expectRefused("anonymous \(count)") { $0.anonymous = count }
            expectRefused("identifiers \(count)") { $0.identifiers[0].count = count }
            expectRefused("rejected \(count)") { $0.rejected[0].count = count }
        }
        expectRefused("a name twice") { $0.identifiers.append($0.identifiers[1]) }
        expectRefused("names that fall") { $0.identifiers.swapAt(0, 1) }
    }

    @Test func `a list of too many names is refused`() {
        var bytes = PeerTotalsReply(statistics: Statistics()).encoded()
        bytes[113] = 2
        bytes[114] = 1

        #expect(throws: ByteError.tooLong(length: 258, limit: 257)) {
            try PeerTotalsReply(decoding: bytes.span.bytes)
        }
    }

    // MARK: Silent nodes of an ingest reply

    @Test(arguments: [[3, 3], [4, 3]] as [[UInt8]])
    func `silent nodes ascend`(_ nodes: [UInt8]) {
        var bytes = IngestReply(
            token: SessionToken(), results: [],
            silentNodes: [NodeSilence(NodeID(3)), NodeSilence(NodeID(4))]
        ).encoded()
        // The number of short nodes comes last.
        bytes[bytes.count - 11] = nodes[0]
        bytes[bytes.count - 6] = nodes[1]

        #expect(throws: ByteError.malformed(offset: bytes.count - 6)) {
            try IngestReply(decoding: bytes.span.bytes)
        }
    }

    @Test func `too many silent nodes are refused`() {
        var bytes = IngestReply(token: SessionToken(), results: []).encoded()
        bytes[bytes.count - 2] = 65

        #expect(throws: ByteError.tooLong(length: 65, limit: 64)) {
            try IngestReply(decoding: bytes.span.bytes)
        }
    }

    @Test(arguments: [[3, 3], [4, 3]] as [[UInt8]])
    func `short nodes ascend, and their shortages are known`(_ nodes: [UInt8]) {
        var bytes = IngestReply(
            token: SessionToken(), results: [],
            shortNodes: [ShortNode(NodeID(3), .disk), ShortNode(NodeID(4), .memory)]
        ).encoded()
        bytes[bytes.count - 1] = 9
        #expect(throws: ByteError.unknownTag(9, offset: bytes.count - 1)) {
            try IngestReply(decoding: bytes.span.bytes)
        }
        bytes[bytes.count - 6] = nodes[0]
        bytes[bytes.count - 3] = nodes[1]
        #expect(throws: ByteError.malformed(offset: bytes.count - 3)) {
            try IngestReply(decoding: bytes.span.bytes)
        }
    }

    @Test func `too many short nodes are refused`() {
        var bytes = IngestReply(token: SessionToken(), results: []).encoded()
        bytes[bytes.count - 1] = 65

        #expect(throws: ByteError.tooLong(length: 65, limit: 64)) {
            try IngestReply(decoding: bytes.span.bytes)
        }
    }

    // MARK: What the tests share

    /// An answer without waits around the bytes of `count` outcomes.
    private static func reply(operations count: UInt32, _ outcomes: ArraySlice<UInt8>) -> [UInt8] {
        var writer = ByteWriter()
        writer.u8(0)
        writer.u64(0)
        writer.u32(count)
        writer.raw(Array(outcomes))
        writer.u32(0)
        writer.u16(0)
        return writer.bytes
    }

    /// An outcome as it travels.
    static func bytes(of outcome: Outcome) -> [UInt8] {
        let reply = PeerPerformReply(
            .answered(operations: [outcome], finds: [], waits: [], token: .zero)
        ).encoded()
        return Array(reply[13..<(reply.count - 6)])
    }

    private static func answered(_ reply: PeerPerformReply) throws -> (
        operations: [Outcome], finds: [Outcome], waits: [Bool], token: LogIndex
    ) {
        guard case .answered(let operations, let finds, let waits, let token) = reply.answer else {
            throw ByteError.malformed(offset: 0)
        }
        return (operations, finds, waits, token)
    }

    private static func part() -> PeerPerform {
        PeerPerform(
            group: GroupID(1), isIngest: false, isWaiting: false, deadlineMillis: 0,
            operations: OperationWriter(), finds: [], waits: [])
    }

    /// The case's name. Without a default, so that a new case asks for its row and its sample.
    static func name(of outcome: Outcome) -> String {
        switch outcome {
        case .counted: "counted"
        case .duplicate: "duplicate"
        case .forgotten: "forgotten"
        case .expiredOnArrival: "expiredOnArrival"
        case .contested: "contested"
        case .suppressed: "suppressed"
        case .sealed: "sealed"
        case .moved: "moved"
        case .unknownFacet: "unknownFacet"
        case .released: "released"
        case .found: "found"
        case .sealedNow: "sealedNow"
        case .merged: "merged"
        case .again: "again"
        case .void: "void"
        case .refused: "refused"
        case .together: "together"
        case .absorbed: "absorbed"
        case .stale: "stale"
        case .done: "done"
        case .notYet: "notYet"
        case .reclaimed: "reclaimed"
        case .malformed: "malformed"
        case .declined: "declined"
        case .told: "told"
        case .voidByAge: "voidByAge"
        }
    }
}

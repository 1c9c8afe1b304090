internal import KithBytes
internal import KithCore

// Outcomes and findings between nodes: a tag u8 and what follows it. docs/wire.md, "Between nodes",
// is normative.

extension ByteWriter {
    mutating func outcome(_ outcome: Outcome) {
        switch outcome {
        case .counted(let root, let open):
            u8(0)
            leaf(root)
            u32(open)
        case .duplicate(let root, let open):
            u8(1)
            leaf(root)
            u32(open)
        case .forgotten: u8(2)
        case .expiredOnArrival: u8(3)
        case .contested: u8(4)
        case .suppressed: u8(5)
        case .sealed(let record):
            u8(6)
            leaf(record)
        case .moved(let parent, let version):
            u8(7)
            leaf(parent)
            u64(version.rawValue)
        case .unknownFacet: u8(8)
        case .released(let order):
            u8(9)
            leaf(order.leaf)
            u64(order.version.rawValue)
            marks(order.marks)
            bytes32(order.ledger)
        case .found(let finding):
            u8(10)
            self.finding(finding)
        case .sealedNow(let version):
            u8(11)
            u64(version.rawValue)
        case .merged(let root):
            u8(12)
            leaf(root)
        case .again: u8(13)
        case .void: u8(14)
        case .refused(let rule):
            u8(15)
            u8(rule.rawValue)
        case .together: u8(16)
        case .absorbed(let winner):
            u8(17)
            leaf(winner)
        case .stale: u8(18)
        case .done: u8(19)
        case .notYet: u8(20)
        case .reclaimed(let count, let more):
            u8(21)
            u32(UInt32(clamping: count))
            u8(more ? 1 : 0)
        case .malformed: u8(22)
        case .declined: u8(23)
        case .told(let root, let open, let isDuplicate, let aside):
            u8(24)
            leaf(root)
            u32(open)
            u8((isDuplicate ? 1 : 0) | (aside.isTimeMoved ? 2 : 0))
            u16(aside.traitsRefused)
            u64(aside.refused)
        case .voidByAge: u8(25)
        }
    }

    private mutating func finding(_ finding: Finding) {
        leaf(finding.root)
        u8(
            (finding.holds ? FindingFlag.holds : 0)
                | (finding.holdsOther ? FindingFlag.holdsOther : 0)
                | (finding.isContested ? FindingFlag.contested : 0)
                | (finding.isLive ? FindingFlag.live : 0)
                | (finding.isListed ? FindingFlag.listed : 0)
                | (finding.rootText != nil ? FindingFlag.rootText : 0))
        i64(finding.forgetTime)
        i64(finding.pastRetention)
        u64(UInt64(finding.payloadBytes))
        u32(UInt32(clamping: finding.profileBytes))
        u32(UInt32(clamping: finding.ledgerEntries))
        u16(UInt16(finding.identifiers.count))
        for entry in finding.identifiers {
            bytes16(entry.namespace)
            u16(UInt16(clamping: entry.count))
        }
        finding.rootText?.encode(into: &self)
    }
}

extension ByteReader {
    mutating func outcome() throws(ByteError) -> Outcome {
        let start = offset
        let tag = try u8()
        switch tag {
        case 0: return .counted(root: try leaf(), open: try u32())
        case 1: return .duplicate(root: try leaf(), open: try u32())
        case 2: return .forgotten
        case 3: return .expiredOnArrival
        case 4: return .contested
        case 5: return .suppressed
        case 6: return .sealed(try leaf())
        case 7: return .moved(to: try leaf(), version: OperationIndex(rawValue: try u64()))
        case 8: return .unknownFacet
        case 9: return .released(try releaseOrder())
        case 10: return .found(try finding())
        case 11: return .sealedNow(version: OperationIndex(rawValue: try u64()))
        case 12: return .merged(root: try leaf())
        case 13: return .again
        case 14: return .void
        case 15:
            let rule = try u8()
            guard let known = RefusalRule(rawValue: rule) else {
                throw .unknownTag(rule, offset: start + 1)
            }
            return .refused(known)
        case 16: return .together
        case 17: return .absorbed(by: try leaf())
        case 18: return .stale
        case 19: return .done
        case 20: return .notYet
        case 21: return .reclaimed(count: Int(try u32()), more: try flag())
        case 22: return .malformed
        case 23: return .declined
        case 24:
            let (root, open, flags) = (try leaf(), try u32(), try flags(below: 4))
            var aside = EventAside()
            aside.isTimeMoved = flags & 2 != 0
            aside.traitsRefused = try u16()
            aside.refused = try u64()
            return .told(root: root, open: open, isDuplicate: flags & 1 != 0, aside)
        case 25: return .voidByAge
        default: throw .unknownTag(tag, offset: start)
        }
    }

    private mutating func releaseOrder() throws(ByteError) -> ReleaseOrder {
        let leaf = try leaf()
        let version = OperationIndex(rawValue: try u64())
        let marks = try marks()
        let ledger = try bytes32(limit: ShardMachine.absorbBytesMax).copied()
        return ReleaseOrder(leaf: leaf, version: version, ledger: ledger, marks: marks)
    }

    private mutating func finding() throws(ByteError) -> Finding {
        var finding = Finding(root: try leaf())
        let flags = try flags(below: 64)
        finding.holds = flags & FindingFlag.holds != 0
        finding.holdsOther = flags & FindingFlag.holdsOther != 0
        finding.isContested = flags & FindingFlag.contested != 0
        finding.isLive = flags & FindingFlag.live != 0
        finding.isListed = flags & FindingFlag.listed != 0
        finding.forgetTime = try i64()
        finding.pastRetention = try i64()
        let payload = try u64()
        guard payload <= UInt64(PeerLimits.payloadBytesMax) else {
            throw .tooLong(length: Int(clamping: payload), limit: PeerLimits.payloadBytesMax)
        }
        finding.payloadBytes = Int(payload)
        finding.profileBytes = Int(try u32())
        finding.ledgerEntries = Int(try u32())
        let count = try count16(of: Self.namespaceBytesMin, limit: PeerLimits.namespacesMax)
        for _ in 0..<count {
            finding.identifiers.append(
                IdentifierCount(
                    namespace: try bytes16(limit: WireLimits.nameBytesMax).copied(),
                    count: Int(try u16())))
        }
        if flags & FindingFlag.rootText != 0 {
            finding.rootText = try IdentifierText(decoding: &self)
        }
        return finding
    }

    /// Bytes of a namespace and its count at least.
    private static var namespaceBytesMin: Int { 4 }

    /// A 16-bit count of items of at least `itemBytes` each: refused above `limit`, and where the
    /// bytes left cannot hold as many.
    mutating func count16(of itemBytes: Int, limit: Int) throws(ByteError) -> Int {
        let count = Int(try u16())
        try expect(count, of: itemBytes, limit: limit)
        return count
    }

    /// A 32-bit count, judged likewise.
    mutating func count32(of itemBytes: Int, limit: Int) throws(ByteError) -> Int {
        let count = Int(try u32())
        try expect(count, of: itemBytes, limit: limit)
        return count
    }

    private func expect(_ count: Int, of itemBytes: Int, limit: Int) throws(ByteError) {
        guard count <= limit else { throw .tooLong(length: count, limit: limit) }
        guard count * itemBytes <= remaining else {
            throw .truncated(needed: count * itemBytes, available: remaining)
        }
    }

    /// A byte that is 0 or 1.
    mutating func flag() throws(ByteError) -> Bool { try flags(below: 2) == 1 }

    /// A byte of flags, none of them unknown.
    mutating func flags(below limit: UInt8) throws(ByteError) -> UInt8 {
        let flags = try u8()
        guard flags < limit else { throw .unknownTag(flags, offset: offset - 1) }
        return flags
    }
}

private enum FindingFlag {
    static let holds: UInt8 = 1
    static let holdsOther: UInt8 = 2
    static let contested: UInt8 = 4
    static let live: UInt8 = 8
    static let listed: UInt8 = 16
    static let rootText: UInt8 = 32
}

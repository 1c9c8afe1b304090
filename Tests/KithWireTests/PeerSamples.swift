import KithBytes

@testable import KithCore
@testable import KithWire

/// Messages between nodes.
extension Sample {
    static let account = LeafID(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3200)
    static let anonymous = LeafID(high: 0xc123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3201)
    static let place = OperationIndex(entry: LogIndex(41), ordinal: 2)

    /// Node 2, with a group, which has heard of node 3.
    static let news = NodeNews(words: [
        NodeWord(
            node: NodeID(2), start: StartID(number: 7, id: 0x77),
            ends: [NodeWord.GroupEnd(group: GroupID(1), index: LogIndex(500))]),
        NodeWord(node: NodeID(3), start: StartID(number: 1, id: 0x88)),
    ])

    /// The examples of "Between nodes in docs/wire.md, in its order.
    static let peers: [Sample] = [
        Sample(
            "hello-node", 1,
            Hello(clusterName: "local-3", role: .node, nodeID: NodeID(2), software: "kith 1.0")),
        Sample(
            "peer-greeting", 1,
            PeerGreeting(
                digests: (1...5).map { 0x1111_1111_1111_1111 * $0 },
                folder: FolderWord(
                    starts: StartList(number: 7, ids: [0x66, 0x77]), news: news))),
        Sample(
            "peer-greeting-reply", 1,
            PeerGreetingReply(
                folder: FolderWord(
                    starts: StartList(number: 1, ids: [0x88]),
                    news: NodeNews(
                        words: [NodeWord(node: NodeID(3), start: StartID(number: 1, id: 0x88))]))
            )),
        Sample(
            "peer-perform", 2,
            PeerPerform(
                group: GroupID(1), isIngest: false, isWaiting: true, deadlineMillis: 5000,
                operations: operations,
                finds: [
                    FindRequest(
                        record: account, leaf: anonymous, other: account, proof: .none,
                        stamp: OperationWriter.noStamp)
                ], waits: [anonymous])),
        Sample(
            "peer-perform-reply", 2,
            PeerPerformReply(
                .answered(
                    operations: [.done, .refused(.limit)],
                    finds: [.found(finding), .moved(to: account, version: place)],
                    waits: [true, false], token: LogIndex(42)))),
        Sample(
            "peer-perform-overloaded", 3,
            PeerPerformReply(.overloaded(retryAfterMillis: 50, shortage: .memory))),
        Sample("peer-perform-unknown", 4, PeerPerformReply(.unknown)),
        Sample(
            "peer-read", 5,
            PeerRead(
                group: GroupID(1), leaf: anonymous, record: account, deadlineMillis: 2000,
                seen: LogIndex(42))),
        Sample("peer-read-reply", 5, PeerReadReply.profile([1, 2, 255])),
        Sample("peer-read-moved", 6, PeerReadReply.moved(to: account)),
        Sample("peer-totals", 7, PeerTotals(group: GroupID(1))),
        Sample("peer-totals-reply", 7, PeerTotalsReply(statistics: statistics)),
        Sample("peer-mark", 8, PeerMark(group: GroupID(1))),
        Sample("peer-mark-reply", 8, PeerMarkReply(mark: place)),
        Sample("peer-status", 9, PeerStatus()),
        Sample(
            "peer-heartbeat", 10,
            PeerHeartbeat(wall: LogTime(1_767_225_600_000), news: news)),
        Sample(
            "peer-heartbeat-reply", 10,
            PeerHeartbeatReply(wall: LogTime(1_767_225_599_250), news: NodeNews(words: []))),
        Sample(
            "peer-forwards", 11,
            PeerForwards(
                group: GroupID(1), search: 119, step: .scan, cursor: 4096,
                lost: [
                    PeerForwards.LostGroup(group: GroupID(0), mark: place),
                    PeerForwards.LostGroup(group: GroupID(2), mark: .none),
                ])),
        Sample(
            "peer-forwards-reply", 11,
            PeerForwardsReply.found(
                [LostForward(leaf: anonymous, version: place, holder: account)], next: 8192)),
        Sample("peer-forwards-unknown", 12, PeerForwardsReply.unknownSearch),
    ]

    /// The values between nodes that no example of the document has.
    static let furtherPeers: [Sample] = [
        Sample(
            "part of events", 2,
            PeerPerform(
                group: GroupID(.max), isIngest: true, isWaiting: false, deadlineMillis: .max,
                operations: OperationWriter(), finds: [], waits: [account, anonymous])),
        Sample(
            "every outcome", 2,
            PeerPerformReply(
                .answered(operations: outcomes, finds: outcomes, waits: [], token: .zero))),
        Sample("empty profile of a peer", 5, PeerReadReply.profile([])),
        Sample("absent at a peer", 5, PeerReadReply.absent),
        Sample("sealed at a peer", 5, PeerReadReply.waiting(for: anonymous)),
        Sample("a peer that stops", 5, PeerReadReply.stopping),
        Sample("a peer whose log was lost", 5, PeerReadReply.unseen),
        Sample("totals of nothing", 7, PeerTotalsReply(statistics: Statistics())),
        Sample("greatest totals", 7, PeerTotalsReply(statistics: greatestStatistics)),
    ]

    static var operations: OperationWriter {
        var operations = OperationWriter()
        operations.erase(anonymous, at: account, proof: place)
        operations.time(stamp: 1_700_000_000_000)
        return operations
    }

    /// A finding that has some of everything.
    static var finding: Finding {
        var finding = Finding(root: account)
        finding.holds = true
        finding.isLive = true
        finding.isListed = true
        finding.payloadBytes = 640
        finding.profileBytes = 1234
        finding.ledgerEntries = 3
        finding.identifiers = [IdentifierCount(namespace: Array("user_id".utf8), count: 1)]
        finding.rootText = IdentifierText(
            flags: [], space: Array("default".utf8), namespace: Array("user_id".utf8),
            value: Array("u-1".utf8))
        return finding
    }

    /// A finding with every flag, every number of the greatest size and two namespaces.
    static var fullFinding: Finding {
        var finding = Finding(root: anonymous)
        finding.holds = true
        finding.holdsOther = true
        finding.isContested = true
        finding.isLive = true
        finding.isListed = true
        finding.forgetTime = .max
        finding.payloadBytes = PeerLimits.payloadBytesMax
        finding.profileBytes = Int(UInt32.max)
        finding.ledgerEntries = Int(UInt32.max)
        finding.identifiers = [
            IdentifierCount(namespace: [], count: 0),
            IdentifierCount(
                namespace: [UInt8](repeating: 0x6e, count: WireLimits.nameBytesMax), count: 65_535),
        ]
        finding.rootText = IdentifierText(
            flags: [.contested, .suppressed, .unlisted, .quarantine],
            space: [UInt8](repeating: 0x73, count: 255),
            namespace: [UInt8](repeating: 0x6e, count: 255), value: [0, 0xff])
        return finding
    }

    /// At least one outcome of each case, in the order of their tags; where a case holds something
    /// that may be left out, it is there with and without.
    static let outcomes: [Outcome] =
        [
            .counted(root: account, open: 0), .counted(root: account, open: .max),
            .duplicate(root: anonymous, open: 5), .forgotten, .expiredOnArrival, .contested,
            .suppressed, .sealed(anonymous), .moved(to: account, version: place), .unknownFacet,
            .released(ReleaseOrder(leaf: anonymous, version: place, ledger: [], marks: [])),
            .released(
                ReleaseOrder(
                    leaf: anonymous, version: place, ledger: [1, 2, 3],
                    marks: (0..<256).map { OperationIndex(rawValue: $0 << 40) })),
            .found(Finding(root: account)), .found(finding), .found(fullFinding),
            .sealedNow(version: place), .merged(root: account), .again, .void,
        ]
        + RefusalRule.allCases.map { Outcome.refused($0) }
        + [
            .together, .absorbed(by: account), .stale, .done, .notYet,
            .reclaimed(count: 512, more: true), .reclaimed(count: 0, more: false), .malformed,
            .declined, .told(root: account, open: 5, isDuplicate: false, aside),
            .told(root: account, open: 0, isDuplicate: true, EventAside()), .voidByAge,
        ]

    private static var aside: EventAside {
        var aside = EventAside()
        aside.traitsRefused = 3
        aside.refused = 1 << 63 | 2
        aside.isTimeMoved = true
        return aside
    }

    static var statistics: Statistics {
        var statistics = Statistics()
        statistics.members = 2
        statistics.anonymous = 1
        statistics.accepted = 9
        statistics.duplicate = 1
        statistics.mergesCompleted = 1
        statistics.countRefusal(.twoAccounts)
        statistics.expired = 4
        statistics.countIdentifier(Array("user_id".utf8), by: 2)
        statistics.countIdentifier(Array("anonymous_id".utf8), by: 1)
        statistics.countRejected(Array("no_identifier".utf8).span.bytes, by: 3)
        return statistics
    }

    /// Every counter at its limit, one list as long as it may be.
    static var greatestStatistics: Statistics {
        let count = UInt64(PeerLimits.countMax)
        var statistics = Statistics()
        statistics.members = Int64(count)
        statistics.anonymous = -Int64(count)
        statistics.accepted = count
        statistics.duplicate = count
        statistics.expiredOnArrival = count
        statistics.forgotten = count
        statistics.suppressed = count
        statistics.quarantined = count
        statistics.mergesCompleted = count
        statistics.refusals = statistics.refusals.map { _ in count }
        statistics.expired = count
        statistics.traitsRefused = count
        for name in 0..<300 {
            let name = Array("reason \(name)".utf8)
            statistics.countIgnored(name.span.bytes, by: 1)
        }
        return statistics
    }
}

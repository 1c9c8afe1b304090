internal import KithBytes
internal import KithConsensus
internal import KithCore
internal import KithStorage
internal import KithWire

/// The rules of a node that a checker must notice when they are broken, each written once and
/// under its name. Product code asks `Rules`: these, but in a build with `KITH_PLANTED`.
enum PlainRules {
    // MARK: Answers

    /// A reply belongs to the request that it names, whatever was sent before or after.
    static func request<Waiting>(answeredBy reply: Frame, of waiting: [UInt64: Waiting]) -> UInt64 {
        reply.requestID
    }

    /// What is owed to who does not read is bounded.
    static func isWithinGate(_ byteCount: Int, _ most: Int) -> Bool { byteCount <= most }

    /// What one event came to, as its sender is told: an unknown is never called anything else.
    static func result(of event: EventResult) -> IngestResult {
        switch event {
        case .ok: .ok
        case .duplicate: .duplicate
        case .expiredOnArrival: .expiredOnArrival
        case .forgotten: .forgotten
        case .suppressed: .suppressed
        case .overloaded: .overloaded
        case .unknown, .rejected: .unknown
        }
    }

    /// A result for each item, in the order of the items.
    static func results(ofItems results: [IngestResult]) -> [IngestResult] { results }

    /// Only the home of an identifier says that it is absent, never a root that a hint led to.
    static func asksHome(afterHint isByHint: Bool) -> Bool { isByHint }

    /// A folder of which a start was seen has that start.
    static func isKnown(_ seen: StartID, in starts: StartList?) -> Bool {
        starts?.contains(seen) ?? false
    }

    /// A log that was seen to go so far goes so far.
    static func reaches(_ end: LogIndex, _ seen: LogIndex) -> Bool { end >= seen }

    /// A search is done when all its steps are.
    static func takes(_ step: PeerForwards.Step) -> Bool { true }

    /// A record that points on says nothing but where to.
    static func answer(pointingTo parent: LeafID) -> Group.GroupRead { .moved(to: parent) }
}

#if KITH_PLANTED
typealias Rules = PlantedRules
#else
typealias Rules = PlainRules
#endif

package import KithBytes
package import KithWire

/// What became of the events, or reads, of a load test.
package struct LoadTally: Equatable, Sendable {
    /// Stored, or answered with a profile.
    package var ok = 0
    package var duplicate = 0
    package var rejected = 0
    /// Not kept, as retention or a person asked: expired on arrival, forgotten or suppressed.
    package var notKept = 0
    /// Reads of nobody.
    package var notFound = 0
    /// Times that an event or read was sent again since a node had no room for it.
    package var retriedOverloaded = 0
    /// Times that an event or read was sent again since its fate was unknown.
    package var retriedUnknown = 0
    /// Without a certain answer after all tries.
    package var unknown = 0
    /// Without room after all tries.
    package var overloaded = 0
    /// Refused as a whole request, for a reason that trying again does not change.
    package var refused = 0
    /// Connections that broke.
    package var breaks = 0
    /// What nodes did in place of answering the one that was asked, by their first word.
    package var silentNodes: [NodeID: NodeSilence] = [:]

    package init() {}

    /// Ended in failure.
    package var errors: Int { rejected + unknown + overloaded + refused }
    /// Has its last answer, of either kind.
    package var settled: Int { answered + errors }
    /// Was acknowledged, or read.
    package var answered: Int { ok + duplicate + notKept + notFound }

    /// The same by node, ascending.
    package var silences: [NodeSilence] { silentNodes.values.sorted { $0.node < $1.node } }

    mutating func count(_ nodes: [NodeSilence]) {
        for node in nodes where silentNodes[node.node] == nil { silentNodes[node.node] = node }
    }

    mutating func count(_ result: IngestResult) {
        switch result {
        case .ok: ok += 1
        case .duplicate: duplicate += 1
        case .rejected: rejected += 1
        case .expiredOnArrival, .forgotten, .suppressed: notKept += 1
        case .unknown: unknown += 1
        case .overloaded: overloaded += 1
        }
    }
}

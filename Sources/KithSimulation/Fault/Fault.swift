/// One thing that goes wrong in a run: what, when, where and for how long, all of it known before
/// the run begins, so that any part of a schedule can be run alone.
public struct Fault: Sendable, CustomStringConvertible {
    /// Names it in traces and on the command line, also in a schedule that has lost others.
    public var number: Int
    /// What goes wrong.
    public var kind: FaultKind
    /// When, in nanoseconds of virtual time from the begin of the run.
    public var at: UInt64
    /// The node, from 1.
    public var node: Int
    /// The other host of a network fault: a node, or 0 for the clients.
    public var other: Int
    /// How long it lasts; of a crash, how long the node is down.
    public var nanoseconds: UInt64
    /// The seed of what is left to chance in it.
    public var chance: UInt64

    /// When it is over.
    public var end: UInt64 { at + nanoseconds }

    /// `3 crash n2 at 1.204 s for 0.310 s`, `4 skew n1 at 2.000 s until all is healed`.
    public var description: String {
        let pair = kind.isBetweenTwo ? (other == 0 ? "–clients" : "–n\(other)") : ""
        return "\(number) \(kind.rawValue) n\(node)\(pair) at \(Self.seconds(at))"
            + (kind.lastsUntilHealed
                ? " until all is healed" : " for \(Self.seconds(nanoseconds))")
    }

    /// Seconds with three digits.
    package static func seconds(_ nanoseconds: UInt64) -> String {
        let millis = nanoseconds / 1_000_000
        let rest = String(millis % 1_000)
        return "\(millis / 1_000)." + String(repeating: "0", count: 3 - rest.count) + rest + " s"
    }
}

extension FaultKind {
    /// Whether it is about two hosts.
    var isBetweenTwo: Bool {
        switch self {
        case .delaySpike, .jitter, .slowLink, .oneWayPartition, .partition, .reset,
            .resetMidFrame, .halfOpen, .bitFlip, .connectRefused, .lostAccept:
            true
        default: false
        }
    }

    /// Whether it takes at least two nodes.
    package var needsTwoNodes: Bool {
        self == .oneWayPartition || self == .partition || needsTwoLeaders
    }

    /// Whether it takes two nodes that lead groups.
    var needsTwoLeaders: Bool { self == .cutInMerge }

    /// Whether it is drawn apart from the others.
    var isBesides: Bool { self == .deafClient || group == .folder }

    /// Whether what it does is undone by healing only, however long the fault is.
    var lastsUntilHealed: Bool {
        switch self {
        case .skew, .jumpForward, .jumpBack: true
        default: false
        }
    }
}

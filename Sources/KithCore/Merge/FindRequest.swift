/// Asks a group where `leaf` is rooted, beginning at one of its records, and whether that root
/// holds `other` too.
public struct FindRequest: Sendable, Equatable {
    public var record: LeafID
    public var leaf: LeafID
    public var other: LeafID
    /// The version of the leaf's own Forward, where the message came along it.
    public var proof: OperationIndex
    /// Log time the answer must not be older than; least value: none.
    public var stamp: Int64

    public init(
        record: LeafID, leaf: LeafID, other: LeafID, proof: OperationIndex, stamp: Int64
    ) {
        self.record = record
        self.leaf = leaf
        self.other = other
        self.proof = proof
        self.stamp = stamp
    }
}

/// One step through the records towards the root that holds `leaf`: begins at a hint or at the
/// leaf's home, follows pointers, and starts again at the home where a root does not know the leaf.
public struct Cursor: Sendable, Equatable {
    public let leaf: LeafID
    public var record: LeafID
    public var proof: OperationIndex = .none
    public var step: Step = .ask

    /// What the cursor has to do next.
    public enum Step: Sendable, Equatable {
        case ask
        /// The record is sealed: wait until it is not.
        case wait
        /// The home must hear that its facet is gone.
        case release(ReleaseOrder)
    }

    public init(_ leaf: LeafID, hint: LeafID? = nil) {
        self.leaf = leaf
        record = hint ?? leaf
    }

    mutating func startAgain(hint: LeafID? = nil) {
        record = hint ?? leaf
        proof = .none
        step = .ask
    }

    /// It has not been anywhere, and no hint leads elsewhere.
    var isAtHome: Bool { record == leaf && step == .ask && proof == .none }

    /// Takes an answer that is about the way; false where it is not.
    public mutating func take(_ outcome: Outcome) -> Bool {
        switch outcome {
        case .sealed:
            step = .wait
        case .moved(let parent, let version):
            if record == leaf { proof = version }
            record = parent
            step = .ask
        case .unknownFacet:
            startAgain()
        case .released(let order):
            step = .release(order)
        default:
            return false
        }
        return true
    }
}

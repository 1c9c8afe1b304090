// Deliberate faults of a node, beside those of the merge machines (`PlantedFaults` in KithCore):
// each breaks one rule of storage, serving or speaking, so that `kith simulate` can show that its
// checkers would notice. What each does is in the `PlantedRules` of its module. Only a build with
// `KITH_PLANTED` has any of it.
//
// A fault is planted on the board of a world's thread (`MarkBoard.plant`), so that all nodes of one
// world have it and another world has not.

#if KITH_PLANTED
public import CLinux

/// One fault, by its number.
public struct NodeFault: Equatable, Sendable {
    public let number: UInt8
    @inlinable init(_ number: UInt8) { self.number = number }

    /// Faults that a board has room for.
    static var places: Int { MarkBoard.plantedPlaces - 2 }
}

extension NodeFault {
    // MARK: Storage
    /// A frame of the log is written and not synced.
    @inlinable public static var syncSkipped: NodeFault { NodeFault(0) }
    /// A write or a sync of the log that failed is taken for done.
    @inlinable public static var writeErrorIgnored: NodeFault { NodeFault(1) }
    /// A damaged middle of the log is cut like a torn tail.
    @inlinable public static var middleCut: NodeFault { NodeFault(2) }
    /// Checksums of frames are not looked at.
    @inlinable public static var checksumIgnored: NodeFault { NodeFault(3) }
    /// The last entry of a group is not applied at a restart.
    @inlinable public static var lastEntrySkipped: NodeFault { NodeFault(4) }
    /// The last entry of a group is applied twice at a restart.
    @inlinable public static var lastEntryTwice: NodeFault { NodeFault(5) }
    /// A torn tail is not cut: the next frames go behind it.
    @inlinable public static var tailKept: NodeFault { NodeFault(6) }
    /// A lost log is taken for a first start.
    @inlinable public static var lostLogForgiven: NodeFault { NodeFault(7) }

    // MARK: Groups
    /// Entries are applied and answered before they are durable.
    @inlinable public static var answeredBeforeSync: NodeFault { NodeFault(8) }
    /// Sealed records are forgotten at a restart: nobody drives them on.
    @inlinable public static var sealedForgotten: NodeFault { NodeFault(9) }
    /// An index that the log refused is used up all the same.
    @inlinable public static var indexNotWithdrawn: NodeFault { NodeFault(10) }
    /// The outcomes of an entry are handed out in the opposite order.
    @inlinable public static var outcomesSwapped: NodeFault { NodeFault(11) }
    /// Reads expire profiles by the node's clock and do not log the time.
    @inlinable public static var expiryByOwnClock: NodeFault { NodeFault(12) }
    /// A profile past its retention lives on where something new comes to it.
    @inlinable public static var overdueRevived: NodeFault { NodeFault(13) }
    /// Totals are those of the first time somebody asked.
    @inlinable public static var totalsKept: NodeFault { NodeFault(14) }
    /// Log time falls where the clock does.
    @inlinable public static var logTimeFalls: NodeFault { NodeFault(15) }

    // MARK: Merges and profiles
    /// A read of a sealed record answers its frozen half.
    @inlinable public static var sealedRead: NodeFault { NodeFault(16) }
    /// A read does not follow pointers.
    @inlinable public static var pointerNotFollowed: NodeFault { NodeFault(17) }
    /// An absorb that is redirected counts as done.
    @inlinable public static var redirectLost: NodeFault { NodeFault(18) }
    /// An absorb whose node is silent counts as done.
    @inlinable public static var silentAbsorbDone: NodeFault { NodeFault(19) }
    /// The group's settled mark runs ahead of what is still sealed.
    @inlinable public static var markAhead: NodeFault { NodeFault(20) }
    /// Reclaiming drops profiles ten days before their time.
    @inlinable public static var reclaimedEarly: NodeFault { NodeFault(21) }
    /// Message ids of clients are replaced, so that a retry is an event of its own.
    @inlinable public static var messageIDsReplaced: NodeFault { NodeFault(22) }
    /// Identifiers are hashed without their space.
    @inlinable public static var spacesMixed: NodeFault { NodeFault(23) }

    // MARK: Answers to clients
    /// The results of a reply stand one place further on.
    @inlinable public static var resultsShifted: NodeFault { NodeFault(24) }
    /// What is not known is answered as done.
    @inlinable public static var unknownAnsweredOK: NodeFault { NodeFault(25) }
    /// What was refused for want of room is answered as done.
    @inlinable public static var overloadAnsweredOK: NodeFault { NodeFault(26) }
    /// The part of a node that does not answer counts as done.
    @inlinable public static var silentPartDone: NodeFault { NodeFault(27) }
    /// An event is acknowledged before its links.
    @inlinable public static var linksNotAwaited: NodeFault { NodeFault(28) }
    /// An event of a contested device is acknowledged and dropped.
    @inlinable public static var contestedDropped: NodeFault { NodeFault(29) }
    /// Events do not wait for earlier ones that share an identifier.
    @inlinable public static var orderIgnored: NodeFault { NodeFault(30) }
    /// A root that a hint led to is believed that a leaf has no profile.
    @inlinable public static var hintBelieved: NodeFault { NodeFault(33) }
    /// Events do not wait for those of earlier requests of their connection.
    @inlinable public static var gateIgnored: NodeFault { NodeFault(34) }
    /// An event is carried out though what it depends on in its run has not settled.
    @inlinable public static var runsIgnored: NodeFault { NodeFault(35) }
    /// Profiles end 50 ms after their retention.
    @inlinable public static var endsLate: NodeFault { NodeFault(36) }
    /// Limits of namespaces are not looked at.
    @inlinable public static var limitsIgnored: NodeFault { NodeFault(37) }
    /// An old event of a member's device counts as expired on arrival.
    @inlinable public static var oldOfMembersExpires: NodeFault { NodeFault(38) }
    /// Of a trait's values the one that arrives last wins.
    @inlinable public static var lastTraitWins: NodeFault { NodeFault(39) }
    /// What was on its way to a group that stops is never answered.
    @inlinable public static var latecomersUnheard: NodeFault { NodeFault(40) }
    /// A refusal is told as certain though its count is not in the log.
    @inlinable public static var refusedUncounted: NodeFault { NodeFault(41) }
    /// A profile counts event names apart without a bound.
    @inlinable public static var eventNamesUnbounded: NodeFault { NodeFault(42) }
    /// The names of the types are bounded like others.
    @inlinable public static var typeNamesBounded: NodeFault { NodeFault(43) }

    /// Requests begin whether or not there is room for their answers.
    @inlinable public static var gateOpen: NodeFault { NodeFault(44) }
    /// An event that is to come again is counted where it is expired.
    @inlinable public static var provisionalCounted: NodeFault { NodeFault(46) }
    /// An event that comes again for its links alone is counted again.
    @inlinable public static var linksCounted: NodeFault { NodeFault(47) }
    /// What an event names that is no identifier counts at each of its tries.
    @inlinable public static var ignoredCountedAgain: NodeFault { NodeFault(48) }

    // MARK: Between nodes
    /// Replies of other nodes are matched by order, not by their ids.
    @inlinable public static var repliesByOrder: NodeFault { NodeFault(31) }
    /// A client matches replies by order, not by their ids.
    @inlinable public static var clientRepliesByOrder: NodeFault { NodeFault(32) }
    /// A folder is believed though a start that was seen is none of its, or its log ends earlier.
    @inlinable public static var foldersBelieved: NodeFault { NodeFault(45) }
    /// After a loss nobody is asked which identifiers have a profile elsewhere.
    @inlinable public static var forwardsForgotten: NodeFault { NodeFault(49) }
}

extension NodeFault {
    /// Every fault by its name; the place is the number.
    public static let names: [String] = [
        "nosync", "writeerror", "cutmiddle", "nochecksum", "skiplast", "twicelast", "keeptail",
        "lostlog",
        "ackfirst", "forgetsealed", "keepindex", "swapoutcomes", "ownclock", "revive",
        "keeptotals",
        "timefalls",
        "readsealed", "nofollow", "loseredirect", "silentabsorb", "markahead", "reclaimearly",
        "newmessageids", "mixspaces",
        "shiftresults", "okunknown", "okoverload", "silentdone", "nolinks", "dropcontested",
        "noorder",
        "replyorder", "clientorder",
        "hintabsent", "nogate", "norun",
        "endslate", "nolimit", "oldmember", "lasttrait", "unheard",
        "uncounted",
        "manynames", "typesbounded",
        "opengate",
        "anyfolder", "provcounts", "linkscount",
        "ignoredagain",
        "noforwards",
    ]

    /// The fault of that name; nil where none has it.
    public init?(name: String) {
        guard let number = Self.names.firstIndex(of: name) else { return nil }
        self.init(UInt8(number))
    }
}

/// Whether the fault is planted in the world of this thread.
@inlinable
public func planted(_ fault: NodeFault) -> Bool {
    kith_marked(UInt32(MarkBoard.markPlaces) + UInt32(fault.number)) != 0
}

extension MarkBoard {
    /// Plants a fault of the node in all that runs under `record`.
    public func plant(_ fault: NodeFault) {
        unsafe places[Self.markPlaces + Int(fault.number)] = 1
    }

    /// The same, of faults that another module names by the bits of a set.
    public func plant(bits: UInt64) {
        let first = Self.markPlaces + NodeFault.places
        unsafe places[first] = UInt32(truncatingIfNeeded: bits)
        unsafe places[first + 1] = UInt32(truncatingIfNeeded: bits >> 32)
    }

    /// This is the calling thread's board from here on, and must outlive it: for the threads of a
    /// real node.
    public func stay() { _ = unsafe kith_exchange_board(places) }

    /// The set that is planted on this thread.
    public static var plantedBits: UInt64 {
        let first = UInt32(markPlaces + NodeFault.places)
        return UInt64(kith_marked(first)) | UInt64(kith_marked(first + 1)) << 32
    }
}
#endif

extension Mark {
    /// Why a set of simulated runs need not come here; nil where it must.
    public var rareBecause: String? {
        switch self {
        case .absorbMalformed:
            "what reads it was written by the same program; tests of hostile bytes come here"
        case .absorbSwallowed, .absorbSwallowedBesideLife, .sealForgotten, .eventForgotten,
            .linkForgotten:
            "only erasing forgets, and no client can erase yet"
        case .ingestGivenUp:
            "only a chain of two hundred moves under the event's feet leads here"
        case .reclaimNoRoot:
            "seal and absorb unfile: only a record of an older format would be met"
        case .logFirstFrameTorn:
            "header and first frame are one write: only a tear between them leads here"
        case .logOldSegmentCut, .logSegmentsRemoved:
            "nothing cuts the log before there are snapshots"
        case .logSegmentMadeAgain:
            "a start removes it first: only a segment that could not be made in the same life leads here"
        case .logEntryTooLarge:
            "the group splits what it appends long before"
        case .cellAwaited:
            "a node uses its cells one after the other"
        case .folderInUse:
            "worlds start a node once; tests of processes come here"
        case .folderOfAnotherCluster:
            "worlds give each node its own folder; tests come here"
        case .folderOtherClass, .nodeEntryMisplaced, .peerOtherNodeAnswers, .peerGreetingRefused,
            .peerFileDiffers:
            "worlds have one cluster file; tests come here"
        case .peerQueueFull:
            "64 MiB or 65,536 requests: more than a world has"
        case .peerPartHalfDone:
            "a part in several messages that breaks between two of them"
        case .peerShortAnswer:
            "a log that fails between two pieces of a part"
        case .peerPartInPieces:
            "four MiB of operations in one round"
        case .connectionOtherCluster:
            "worlds have one cluster; tests come here"
        case .clientTooLargeForNode:
            "worlds have one limit; tests come here"
        case .clientTooMany:
            "more callers than a world has; tests come here"
        case .clientNodeStopping:
            "a node closes its connections at once"
        case .clientCancelled:
            "callers of a world are not; tests come here"
        default: nil
        }
    }

    /// Whether a set of simulated runs need not come here.
    public var isRare: Bool { rareBecause != nil }
}

extension Mark {
    /// Why a set of simulated runs need not come here; nil where it must.
    public var rareBecause: String? {
        switch self {
        case .absorbMalformed:
            "what reads it was written by the same program; tests of hostile bytes come here"
        case .absorbLoserGone, .forwardElsewhen, .reopenElsewhen:
            "a group has one driver, which hears what became of all it asked for: another's late "
                + "messages come with a change of leader, which one copy of the data has not"
        case .absorbWrongRoot, .driverBackToStart:
            "an absorb follows Forwards only, and brings the proof of the first: what comes by a hint "
                + "would lead here, and absorbs take none"
        case .driverRests:
            "a merge under way holds its group's mark at its seal, so that only a copy is stale whose "
                + "answer nobody waits for"
        case .groupWatchGone:
            "a node would have to start again in the middle of another's search, which has to begin "
                + "anew then; tests come here"
        case .dropContested, .sealContested:
            "a contested leaf lies in an account's profile: that ends by erasing only, and is sealed "
                + "by the link between two user ids only"
        case .traitDeletionGone, .traitDeletionEnded:
            "a profile full of deleted traits, or a value older than a deletion of 90 days ago: more "
                + "than a world's clients send; tests come here"
        case .sealTooLarge, .eventTraitRefused, .linkProfileTooLarge:
            "a profile of a MiB: more than a world's clients send"
        case .linkLedgerTooLarge:
            "thousands of forgotten leaves, or of seals that no mark has passed: more than a world has"
        case .linkSameRoot:
            "the root would have to end between the two finds and take the other end in its next life"
        case .logOverloaded:
            "64 MiB of entries that wait for the disk: more than a world has"
        case .logAppendAfterClose:
            "groups stop before their log is closed, and what they appended is in its queue by then"
        case .absorbSwallowed, .absorbSwallowedBesideLife, .sealForgotten, .eventForgotten,
            .linkForgotten, .mergedAgain:
            "only erasing forgets, and no client can erase yet"
        case .ingestGivenUp:
            "only a chain of two hundred moves under the event's feet leads here"
        case .reclaimNoRoot:
            "seal and absorb unfile: only a record of an older format would be met"
        case .logFirstFrameTorn:
            "header and first frame are one write: only a tear between them leads here"
        case .logOldSegmentCut, .logSegmentsRemoved:
            "nothing cuts the log before there are snapshots"
        case .logEntryTooLarge:
            "the group splits what it appends long before"
        case .cellAwaited:
            "a node uses its cells one after the other"
        case .folderInUse:
            "worlds start a node once; tests of processes come here"
        case .folderOtherWrong:
            "a node that can be reached is asked before anybody is told; tests of folders come here"
        case .logUnowned, .groupMalformed, .groupOtherGroup, .groupEntryUnknown,
            .logOfAnotherCluster:
            "worlds give a node no folder of which a part is another's; tests of folders come here"
        case .folderOtherClass, .nodeEntryMisplaced, .peerOtherNodeAnswers, .peerFileDiffers:
            "worlds have one cluster file; tests come here"
        case .groupMemoryFull:
            "a world's profiles fill no memory; tests of processes come here"
        case .connectionOtherCluster:
            "worlds have one cluster; tests come here"
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

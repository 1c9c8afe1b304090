// The branches that a search must come to: each has a name, and a line that says when it is taken.
//
// A mark stands in a branch that is rare but has a meaning; the common way has none.
// `kith simulate --seeds N` prints which of them a set of runs came to, and which never: such a
// one is a hole in the search, unless it says why not (`rareBecause`).
//
/// A branch that is counted where somebody counts (`MarkBoard`).
public enum Mark: UInt16, CaseIterable, Sendable {
    // MARK: Absorbing: step 2 of a merge, at the winner
    /// A second copy of an absorb that was taken.
    case absorbAlreadyTaken
    /// A second copy of an absorb that was declined.
    case absorbAlreadyDeclined
    /// A copy of an absorb from below the settled mark of its group.
    case absorbStale
    /// The ledger of an absorb does not decode, or names no seal.
    case absorbMalformed
    /// The winner is sealed itself: wait for it.
    case absorbAtSealed
    /// The winner has gone on: redirected to where it went.
    case absorbAtForward
    /// The leaf sealed into is free again: its home must hear of it first.
    case absorbReleases
    /// The message came to a root that does not hold the leaf sealed into.
    case absorbWrongRoot
    /// The winner was forgotten after the link was made; nothing of it is left.
    case absorbSwallowed
    /// The same, and the winner lives again.
    case absorbSwallowedBesideLife
    /// The winner has no room, and remembers that it said so.
    case absorbDeclined
    /// The same within one entry.
    case absorbDeclinedLocally
    /// The leaf sealed into has parted from the one that the link named.
    case absorbEndGone
    /// The winner has no record.
    case absorbIntoAbsent
    /// The winner's record holds a ledger and no facet.
    case absorbIntoEmpty
    /// The winner's own facet begins with the absorb.
    case absorbBeginsFacet
    /// The loser brought leaves that still have to be released.
    case absorbBringsReleases
    /// The record is not sealed at that version any more: nothing to send.
    case absorbLoserGone
    /// Entries of an absorbed set went, below a settled mark.
    case ledgerPruned
    /// A record without facets stays for what its ledger remembers.
    case ledgerKept
    /// A record went when nothing was left to remember.
    case ledgerGone
    /// A dropped profile held leaves besides its own: they must be released.
    case dropMember
    /// A dropped leaf was contested, and the ledger keeps that.
    case dropContested

    // MARK: Sealing, forwarding, reopening, releasing: at the loser
    /// The loser is no root any more.
    case sealMoved
    /// The loser does not hold its end of the link any more.
    case sealEndMoved
    /// The loser's end was forgotten after the event.
    case sealForgotten
    /// A link older than retention into an anonymous profile: void.
    case sealExpired
    /// The loser's end became contested since the find.
    case sealContested
    /// The loser grew since the find and fits no absorb.
    case sealTooLarge
    /// The loser has no facets: an attachment, not a merge.
    case sealOfAbsent
    /// A forward of another life of the record: nothing happens.
    case forwardElsewhen
    /// The winner had no room: the record is a root again.
    case reopened
    /// The same, of a record that its seal had begun.
    case reopenedEmpty
    /// A reopening of another life of the record: nothing happens.
    case reopenElsewhen
    /// A Forward of a log that was lost is there again.
    case restoreMade
    /// The same, over an older state.
    case restoreOverOlder
    /// A merge under way in a log that was lost begins anew.
    case restoreSealedAgain
    /// The record is that Forward, or was sealed again since.
    case restoreKnown
    /// A release of a leaf that has no record.
    case releaseOfAbsent
    /// A release of a leaf that is a root already.
    case releaseOfRoot
    /// A release of a record that is still sealed by that very seal.
    case releaseOfSealed
    /// A release of another life of the record: nothing happens.
    case releaseElsewhen
    /// A forward became a root again: its facet was dropped elsewhere.
    case released
    /// The duty to release went away with the ledger.
    case releaseGoneElsewhere

    // MARK: What the driver of a group's merges meets
    /// A round is full of bytes: the rest waits for the next.
    case driverRoundFull
    /// An absorb that came to nothing is sent once more.
    case driverAsksAgain
    /// The winner is still sealed after the wait.
    case driverWaitedInVain
    /// A group did not answer its part of a round.
    case driverSilence
    /// The winner declined: the loser will be reopened.
    case driverReopens
    /// The winner has moved: the absorb follows it.
    case driverRedirected
    /// The winner is sealed: the absorb waits for that.
    case driverWaits
    /// A redirect led astray: the absorb begins at the leaf sealed into again.
    case driverBackToStart
    /// The leaf sealed into must be released before the absorb.
    case driverReleasesFirst
    /// Stale or malformed: the merge sits some rounds out.
    case driverRests
    /// A release came before the forward of its leaf: again later.
    case driverReleaseTooEarly

    // MARK: Standing: where a message for a leaf may be acted on
    /// An event or a find met a sealed record.
    case standingSealed
    /// An event or a find met a forward.
    case standingMoved
    /// A hint led to a root without the leaf: start again at its home.
    case standingWrongHint
    /// The leaf was dropped here, and its home must hear of it.
    case standingReleased

    // MARK: Events
    /// The message is in the window.
    case eventDuplicate
    /// The same, at a root that took the leaf over: the window moved with it.
    case eventDuplicateAfterMerge
    /// The event is older than the time its leaf was forgotten at.
    case eventForgotten
    /// The identifier is contested: the event goes on to its next one.
    case eventContested
    /// The event alone would begin a profile that is past its retention.
    case eventExpiredOnArrival
    /// An event counts on a quarantine leaf.
    case eventQuarantined
    /// An event of a contested device counts at its owner.
    case eventOfOwner
    /// The profile is full: a trait is not taken.
    case eventTraitRefused
    /// An event of an import that was counted before drives its links again.
    case eventLinksAgain
    /// The oldest deletion of a full profile gave way to a new trait.
    case traitDeletionGone
    /// A deletion of more than 90 days ago no longer beat a value that is older still.
    case traitDeletionEnded
    /// An event counts under "(other)": its profile has no room for its name.
    case eventNameOther
    /// An event begins a new life of a record that waited with a ledger.
    case eventRevives
    /// The profile of both ends would be too large to be read.
    case linkProfileTooLarge
    /// The ledgers of both ends remember too much.
    case linkLedgerTooLarge
    /// A refusal is answered from memory.
    case linkKnownRefused

    // MARK: Links
    /// Both ends are in one profile already.
    case linkTogether
    /// Two answers of two moments name one root that holds not both: again.
    case linkSameRoot
    /// An end was forgotten after the event: no link.
    case linkForgotten
    /// Refused: an end is contested.
    case linkContested
    /// Refused: it would join two accounts.
    case linkTwoAccounts
    /// A device of another account: it will be contested.
    case linkMakesContested
    /// Refused: the union would hold too much.
    case linkLimit
    /// A refusal that is remembered nowhere, since the first end has no facet.
    case linkRefusedUnseen
    /// An outcome says that the world has moved: the link begins again.
    case linkAgain
    /// The link waits for its own merge.
    case linkWaited
    /// The record that the link waits for is not free in time.
    case linkWaitedInVain
    /// A link whose record came free begins where that was sealed into.
    case linkStartsFromSeal
    /// The other account's root moved before it could be marked.
    case contestMoved
    /// The two became one before the mark: settled.
    case contestTogether
    /// A device is contested from now on.
    case contestSet
    /// The root moved before a refusal could be remembered.
    case refuseMoved
    /// The link was refused for another event while this one was under way.
    case refuseOvertaken
    /// An event depends on one before it in its entry that has not settled: again.
    case runDependsInVain
    /// A refusal that was remembered already.
    case refuseAgain
    /// An absent identifier is of another group: no attaching in the event's entry.
    case attachTravels
    /// An absent identifier is left to the full link.
    case attachNotAllowed
    /// A merge in the seal's own entry did not bring the two ends together.
    case mergedAgain
    /// A merge in the seal's own entry met a winner that is no root.
    case mergedLater

    // MARK: Batches of events
    /// An event took more steps than one may.
    case ingestGivenUp
    /// An event was refused for want of room.
    case ingestOverloaded
    /// An event was refused because an earlier one was.
    case ingestRefusedBehind
    /// An event's fate is not known.
    case ingestUnknown
    /// A group answered less than it was asked.
    case ingestShortAnswer
    /// An event waits for an earlier one that shares an identifier.
    case ingestHeldBack
    /// An event was asked for in a run that did not stand.
    case ingestAskedInVain
    /// The same so often that it waits from now on.
    case ingestTriesOver
    /// An event waits for one of an earlier request of its connection.
    case ingestGated
    /// Counts of refusals were refused themselves: again.
    case ingestCountsAgain
    /// Refusals whose count may not be in the log are not told as certain.
    case ingestRefusedUncounted
    /// An event waits for a sealed record before it counts.
    case ingestPlaceWaits

    // MARK: Time
    /// A wall clock made a step of more than an hour that nobody confirms.
    case clockNotFollowed
    /// A node found itself more than an hour off the median of all clocks.
    case clockAstray
    /// A request was refused because of the node's clock.
    case clockRefuses
    /// A node did not start, since its clock was too far beyond what its folder had seen.
    case clockTooFarAtStart
    /// A node started more than an hour behind what its folder had seen: its events wait.
    case clockBehindAtStart
    /// The same, and that was accepted.
    case clockBehindAccepted

    // MARK: Expiry
    /// An overdue profile is dropped by the operation that met it.
    case expiryAtTouch
    /// A read found an overdue profile and answers as if it were gone.
    case expiryAtRead
    /// Reclaiming dropped an overdue profile.
    case expiryByReclaim
    /// Active since it was filed: filed for a later day.
    case reclaimRefiled
    /// A record without facets was examined.
    case reclaimLedger
    /// A filed record is no root.
    case reclaimNoRoot
    /// There is more to reclaim than one step takes.
    case reclaimContinued
    /// A read met a sealed record.
    case readSealed
    /// A read met a forward.
    case readMoved

    // MARK: Groups
    /// Too much waits for the log of this group.
    case groupOverloaded
    /// Asked of a group that has stopped.
    case groupStopped
    /// The log refused events: too full.
    case groupLogRefused
    /// What merges need was appended without the events that the log refused.
    case groupReserveUsed
    /// The log failed under an append.
    case groupLogFailed
    /// Several entries went into one append.
    case groupEntriesTogether
    /// Somebody waits for a sealed record.
    case groupWaits
    /// A wait ended: the record is free.
    case groupWaitOver
    /// A wait ended with the record still sealed.
    case groupWaitGivenUp
    /// A record is sealed into a group that does not answer: nobody waits for it.
    case groupStuck
    /// Too many merges wait: events are refused.
    case groupMergesFull
    /// Too many wait for sealed records.
    case groupWaitsFull
    /// A read logged the time at which a profile expired.
    case groupTimeLogged
    /// A find logged that a profile is past its retention.
    case groupTouched
    /// A later piece of a part failed after an earlier one was done.
    case groupPieceFailed
    /// A read ran out of time at a sealed record.
    case groupReadWaits
    /// The log of a group goes on above what a lost one may have had.
    case groupRisen
    /// A search for lost Forwards has no watch here (any more).
    case groupWatchGone
    /// Operations that are none were not logged.
    case groupMalformed
    /// Operations about another group's records were not logged.
    case groupOtherGroup
    /// An entry of the log that this program does not understand: the node does not start.
    case groupEntryUnknown
    /// A group's merges learn that another group's node is silent.
    case silenceNoted
    /// All groups that were silent answer again.
    case silenceOver
    /// A group logs the settled marks of all.
    case marksShared

    // MARK: The log
    /// There was no log, and one is made.
    case logMade
    /// The log of a folder that was used is gone: refused.
    case logMissing
    /// A segment that is needed is gone: refused.
    case logSegmentMissing
    /// A log with entries in a folder that does not say whose it is: refused.
    case logUnowned
    /// The log of a cluster with another name, number of groups or hash key: refused.
    case logOfAnotherCluster
    /// A later frame proves that bad bytes were durable once: refused.
    case logMiddleCorrupt
    /// Any damage inside a segment: refused.
    case logCorrupt
    /// A segment's header is damaged and the segment was in use: refused.
    case logHeaderCorrupt
    /// A torn tail was cut.
    case logTailTorn
    /// A torn tail was cut in a segment without a whole frame.
    case logFirstFrameTorn
    /// A segment in the making was torn: made again.
    case logSpareTorn
    /// A prepared segment was not in use yet: made again.
    case logSpareUnused
    /// A segment below the logged cut was still there: removed.
    case logOldSegmentCut
    /// Covered segments go.
    case logSegmentsRemoved
    /// The log went on in its next segment.
    case logSegmentRolled
    /// An append waited for the next segment to be made.
    case logSegmentAwaited
    /// The next segment could not be made: ingest stops.
    case logSegmentNotMade
    /// A half-made segment was begun again.
    case logSegmentMadeAgain
    /// The disk did not say how much room it has.
    case logRoomUnknown
    /// Ingest was refused to keep the last room.
    case logNearlyFull
    /// Something was appended from the last room.
    case logReserveUsed
    /// Too many bytes wait for the disk.
    case logOverloaded
    /// An entry is larger than a frame.
    case logEntryTooLarge
    /// An append after the log was closed.
    case logAppendAfterClose
    /// An append after the log failed.
    case logAppendAfterFailure
    /// A frame was full and another begun behind it.
    case logFrameFull
    /// Several entries in one frame.
    case logFrameShared
    /// The disk was handed over to an append that waited.
    case logHandedOver
    /// A write or a sync of the log failed.
    case logWriteFailed
    /// Frames are missing that were there when the log was closed.
    case logEndCorrupt
    /// Where a log was closed could not be stored.
    case logEndNotNoted
    /// A file of the log was removed or cut short by somebody else.
    case logTakenAway
    /// Others waited for a write that failed.
    case logFailedOthers

    // MARK: Durable cells, and the folder's identity
    /// One slot is damaged, the other one serves.
    case cellSecondCopy
    /// The two slots differ: a store was interrupted.
    case cellHalfStored
    /// Both slots are damaged: refused.
    case cellCorrupt
    /// A cell could not be written.
    case cellFailed
    /// Two uses of a cell at a time.
    case cellAwaited
    /// Another process has the data folder.
    case folderInUse
    /// A folder without namespaces.
    case folderNew
    /// A start waits for a node that must say what it has heard of this one.
    case folderWaits
    /// A start searches for Forwards that its log has lost.
    case forwardsSearched
    /// The search begins again: a node is silent, or has lost it.
    case forwardsAskedAgain
    /// A file of the folder was removed while the node ran.
    case folderTakenAway
    /// An empty folder that this start did not make: refused.
    case folderEmpty
    /// Another node has seen this one with another folder: this node ends.
    case folderOwnWrong
    /// Another node's folder is not the one that was seen before: refused.
    case folderOtherWrong
    /// The loss of a folder is meant: every other node is asked.
    case folderAsks
    /// The folder is another cluster's, or another node's.
    case folderOfAnotherCluster
    /// A namespace changed its class since.
    case folderOtherClass
    /// A node starts on a folder that was used before.
    case nodeStartedAgain
    /// The node answers already, at its address: refused.
    case nodeRunsAlready
    /// An entry of the log is of a group that is not led here, or out of order.
    case nodeEntryMisplaced
    /// One connection too many, with those that are about to end.
    case nodeConnectionsFull
    /// Events were refused, since the node's profiles fill its memory limit.
    case groupMemoryFull
    /// Somebody asked for more than its status while it replayed its log.
    case nodeAskedWhileStarting
    /// A connection that had not greeted was closed for another.
    case placesStrangersFull
    /// An idle client was closed for another.
    case placesClientsFull
    /// A client found no place, since all others had requests in work.
    case placesClientsBusy
    /// One connection of a node too many: the longest idle one was closed.
    case placesNodeFull
    /// A client owed something for too long.
    case nodeClientOverdue
    /// The log failed and the node ends.
    case nodeStoppedByLog
    /// The folder could not remember what it belongs to.
    case nodeFolderNotWritten

    // MARK: Between nodes
    /// A node that did not answer is not asked for a while.
    case peerNotTried
    /// No time was left when another node was to be asked.
    case peerNoTimeLeft
    /// Too much waits to be sent to another node.
    case peerQueueFull
    /// As much as may be is sent and unanswered.
    case peerWindowFull
    /// Another node answered with an error.
    case peerRefused
    /// A connection ended with requests in flight.
    case peerBrokenInFlight
    /// A connection ended, or none came, with requests not sent.
    case peerBrokenUnsent
    /// Another node did not take the connection in time.
    case peerConnectSilent
    /// Another node refused the connection, or broke it off.
    case peerConnectRefused
    /// It did not answer the time before either.
    case peerStillSilent
    /// Nor yet: requests do not wait for it any longer, the attempt goes on.
    case peerNotWaitedFor
    /// It greeted this node: tried again at once.
    case peerTriedByGreeting
    /// Another node answers at that address.
    case peerOtherNodeAnswers
    /// It refused the greeting.
    case peerGreetingRefused
    /// Its cluster file says something else.
    case peerFileDiffers
    /// A node that starts asks what was heard of it.
    case peerAskedByStart
    /// Bytes from another node are no frame.
    case peerBadFrame
    /// A reply came after its deadline.
    case peerLateReply
    /// Silent for too long: the connection is given up.
    case peerGivenUp
    /// A request that was sent was not answered in time.
    case peerTimedOut
    /// A request was not even sent in time.
    case peerTimedOutUnsent
    /// A part of a round was not answered.
    case peerPartUnanswered
    /// A later message of a part was not answered after an earlier one was.
    case peerPartHalfDone
    /// Another node answered a part in part.
    case peerShortAnswer
    /// A part takes several messages.
    case peerPartInPieces
    /// Another node's read ran out of time at a sealed record.
    case peerReadWaits
    /// Another node reads here while this one stops.
    case peerReadWhileStopping

    // MARK: Connections of clients
    /// Bytes of a client are no frame.
    case connectionBadFrame
    /// A client's frame is above the limit.
    case connectionTooLarge
    /// A client's first frame is no hello.
    case connectionNotHello
    /// A client means another cluster.
    case connectionOtherCluster
    /// A client's request does not decode.
    case connectionMalformed
    /// A client names no space.
    case connectionBadSpace
    /// A client's frames wait for its earlier ones.
    case connectionQueueFull
    /// Replies wait for a client that does not read.
    case connectionRepliesWait
    /// A large frame waits for room.
    case connectionBudgetWaits
    /// A client went while it was written to.
    case connectionGone
    /// An event of a batch was refused when it was read.
    case connectionEventRefused
    /// As many requests of a connection as may be are in work.
    case connectionFlightsFull
    /// A long answer had to be made again once there was room for it.
    case connectionLongReply
    /// A read went to a root by a hint, and the leaf is not there.
    case routerHintStale
    /// A read went by a hint to a node that is silent, and to the leaf's home then.
    case routerHintSilent
    /// Some groups answered a round, some did not.
    case routerHalfSilent
    /// A read went over three pointers or more.
    case routerReadHops

    // MARK: Clients
    /// A request that was sent goes out once more.
    case clientSentAgain
    /// A request that was not sent is tried once more.
    case clientTriedAgain
    /// The next node of the list is next.
    case clientFellBack
    /// No node of the list answers.
    case clientNobodyAnswers
    /// A connection ended with requests in flight.
    case clientBrokenInFlight
    /// A request is larger than a frame.
    case clientTooLarge
    /// A request is larger than what this node takes.
    case clientTooLargeForNode
    /// Too many requests wait.
    case clientTooMany
    /// A reply came after its caller had gone.
    case clientLateReply
    /// The node is shutting down: another one is asked.
    case clientNodeStopping
    /// The node refused the whole connection.
    case clientConnectionRefused
    /// Bytes of the node are no frame.
    case clientBadFrame
    /// Silent for too long: the connection is given up.
    case clientSilentNode
    /// A request that was sent was not answered in time.
    case clientTimedOut
    /// A request was not even sent in time.
    case clientTimedOutUnsent
    /// A caller was cancelled.
    case clientCancelled
    /// An address did not answer: the next one.
    case clientAddressSkipped

    // MARK: States that must sometimes be reached, as a world sees them
    /// Three records sealed one into the next, or more.
    case worldChainOfThree
    /// A node died while a record of its own was sealed.
    case worldSealedAtCrash
    /// A node died while a record of another node was sealed into one of its own.
    case worldWinnerDied
    /// All nodes were down at once with a merge under way.
    case worldAllDown
    /// A node came back with a sealed record.
    case worldRestartSealed
    /// A torn tail was cut and the node served again.
    case worldTornThenServed

    /// The name as reports print it: group and branch.
    public var name: String {
        let text = "\(self)"
        guard let place = text.firstIndex(where: \.isUppercase) else { return text }
        return text[..<place] + "." + text[place].lowercased() + text[text.index(after: place)...]
    }

    /// The mark of that name.
    public init?(name: String) {
        guard let mark = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = mark
    }
}

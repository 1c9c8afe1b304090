/// What can go wrong in a run. The names are those of `kith simulate --faults`; the help says what
/// happens. Where a kind lasts, it lasts as long as the fault says, or until all is healed
/// (`lastsUntilHealed`).
public enum FaultKind: String, CaseIterable, Sendable {
    // Network: between two hosts, a node and another or the clients.
    case delaySpike = "delay-spike"
    case jitter
    case slowLink = "slow-link"
    case clog
    case oneWayPartition = "one-way-partition"
    case partition
    case isolation
    case clientPartition = "client-partition"
    case reset
    case resetMidFrame = "reset-mid-frame"
    case halfOpen = "half-open"
    case bitFlip = "bit-flip"
    case connectRefused = "connect-refused"
    case lostAccept = "lost-accept"
    case staleBytes = "stale-bytes"
    // Process.
    case crash
    case kill
    case crashAtOperation = "crash-at-operation"
    case crashBeforeSync = "crash-before-sync"
    case crashAll = "crash-all"
    case restartStorm = "restart-storm"
    case pause
    case stop
    case tightBudgets = "tight-budgets"
    case roughStart = "rough-start"
    case deafClient = "deaf-client"
    // Process, network and time, at a step of a merge that the run waits for.
    case crashInMerge = "crash-in-merge"
    case cutInMerge = "cut-in-merge"
    case jumpInMerge = "jump-in-merge"
    // Disk.
    case tornWrite = "torn-write"
    case lostWrites = "lost-writes"
    case reorderedWrites = "reordered-writes"
    case syncError = "sync-error"
    case writeError = "write-error"
    case readError = "read-error"
    case fullDisk = "full-disk"
    case slowDisk = "slow-disk"
    case cellRot = "cell-rot"
    case unknownRoom = "unknown-room"
    // Folder: a node's data folder becomes another; the right one is put back.
    case emptyFolder = "empty-folder"
    case olderFolder = "older-folder"
    case foreignFolder = "foreign-folder"
    case copiedFolder = "copied-folder"
    // The same, and the other one stays: that is meant, and what is lost is nothing.
    case newFolder = "new-folder"
    case restoredFolder = "restored-folder"
    // Time.
    case skew
    case drift
    case jumpForward = "jump-forward"
    case jumpBack = "jump-back"
    case freeze
    case swing
    // Beyond what one copy of the data can survive: to be detected, never answered wrongly. The
    // disk is put back when all is healed.
    case bitRot = "bit-rot"
    case lostLog = "lost-log"
    case lostSegment = "lost-segment"
    case headerRot = "header-rot"
    case cellLost = "cell-lost"

    /// What part of the world it is about.
    public enum Group: String, CaseIterable, Sendable {
        case network, process, merge, disk, folder, time, beyond
    }

    /// What part of the world it is about.
    public var group: Group {
        switch self {
        case .delaySpike, .jitter, .slowLink, .clog, .oneWayPartition, .partition, .isolation,
            .clientPartition, .reset, .resetMidFrame, .halfOpen, .bitFlip, .connectRefused,
            .lostAccept, .staleBytes:
            .network
        case .crash, .kill, .crashAtOperation, .crashBeforeSync, .crashAll, .restartStorm, .pause,
            .stop, .tightBudgets, .roughStart, .deafClient:
            .process
        case .crashInMerge, .cutInMerge, .jumpInMerge: .merge
        case .tornWrite, .lostWrites, .reorderedWrites, .syncError, .writeError, .readError,
            .fullDisk, .slowDisk, .cellRot, .unknownRoom:
            .disk
        case .emptyFolder, .olderFolder, .foreignFolder, .copiedFolder, .newFolder,
            .restoredFolder:
            .folder
        case .skew, .drift, .jumpForward, .jumpBack, .freeze, .swing: .time
        case .bitRot, .lostLog, .lostSegment, .headerRot, .cellLost: .beyond
        }
    }

    /// One line.
    public var help: String {
        switch self {
        case .delaySpike: "all that leaves one host for another takes up to seconds"
        case .jitter: "delays between two hosts vary, up to many seconds"
        case .slowLink: "a few KiB a second between two hosts"
        case .clog: "nothing leaves a host for anybody, then all of it"
        case .oneWayPartition: "nothing from one node reaches another; the way back is open"
        case .partition: "nothing passes between two nodes"
        case .isolation: "nothing passes between a node and anybody"
        case .clientPartition: "nothing passes between a node and the clients"
        case .reset: "the connections between two hosts break"
        case .resetMidFrame: "a connection breaks in the middle of what it carries"
        case .halfOpen: "one end of each connection between two hosts is gone, without a word"
        case .bitFlip: "a bit of what is on the way changes"
        case .connectRefused: "connections between two hosts break, and one takes no new ones"
        case .lostAccept: "connections between two hosts break; one end never hears of the next"
        case .staleBytes: "what a node sent before it crashed arrives after it is back"
        case .crash: "power loss; the seed keeps any part of what was not synced"
        case .kill: "the process dies; its files stay as they are"
        case .crashAtOperation: "power loss right before the n-th operation of the disk"
        case .crashBeforeSync: "power loss between a write and its sync"
        case .crashAll: "power loss at all nodes at once"
        case .restartStorm: "power loss, and again while it recovers, several times"
        case .pause: "the process stands still, up to minutes"
        case .stop: "a clean stop, and a start"
        case .tightBudgets: "a node's queues and memory budgets are tiny"
        case .roughStart: "power loss, or a failing disk, while a node starts for the first time"
        case .deafClient: "a client asks a node again and again, and reads none of the answers"
        case .crashInMerge: "power loss or a stop at a node when a merge is at a step of the seed's"
        case .cutInMerge: "the nodes of a merge that is at a step are cut off from each other"
        case .jumpInMerge: "a leader's clock goes 91 days ahead when a merge is at a step"
        case .tornWrite: "power loss; of each write that was not synced the first bytes survive"
        case .lostWrites: "power loss; nothing survives that was not synced"
        case .reorderedWrites: "power loss; of what was not synced the later writes survive"
        case .syncError: "a sync fails, and what it should have synced is lost"
        case .writeError: "a write fails half-way"
        case .readError: "reads fail when a node starts: it must refuse, and start when they work"
        case .fullDisk: "no room on the disk, then room again"
        case .slowDisk: "each operation of a disk takes up to a second"
        case .cellRot: "a bit changes in one of the two copies of what a folder remembers"
        case .unknownRoom: "a disk does not say how much room it has, or fails to list its files"
        case .emptyFolder:
            "a node starts with an empty folder, which must be refused, then with its own again"
        case .olderFolder:
            "a node starts with an older copy of its folder, which others know to be older, then "
                + "with its own again"
        case .foreignFolder:
            "a node starts with a copy of another node's folder, which must be refused, then with "
                + "its own again"
        case .copiedFolder:
            "a second process of a node starts elsewhere, with a copy of its folder; the node or "
                + "others know better, so it must end, and the node must not"
        case .newFolder: "a node of which others know all loses its folder, is started with --new"
        case .restoredFolder:
            "a node's folder becomes a copy that lacks nothing but starts, and it is started with "
                + "--restored"
        case .skew: "a node's wall clock is wrong by up to a minute, until all is healed"
        case .drift: "a node's wall clock goes too fast, or too slow, for a while"
        case .jumpForward: "a node's wall clock goes 91 days ahead, until all is healed"
        case .jumpBack: "a node's wall clock goes up to a day back, until all is healed"
        case .freeze: "a node's wall clock stands still for a while"
        case .swing: "a node's wall clock goes ahead by up to 91 days and back, again and again"
        case .bitRot: "a bit in the middle of a log changes: the node must refuse to start"
        case .lostLog: "the files of a log are gone: the node must refuse to start"
        case .lostSegment:
            "a file of a log is gone, the next one is there: the node must refuse to start"
        case .headerRot: "the head of a log's file changes: the node must refuse to start"
        case .cellLost:
            "both copies of what a folder remembers change: the node must refuse to start"
        }
    }
}

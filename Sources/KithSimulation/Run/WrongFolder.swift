internal import KithServer
internal import KithWire

/// A data folder that a node has instead of its own, and what the others must know to refuse it.
///
/// With one copy of the data only two can tell that a folder is not what it was: the node itself,
/// where it finds a folder that is there and empty, or that says of whom it is, and another node
/// that has seen a start which is not among the folder's, or a log that went further. Where
/// neither can, the folder is not started with: what it lacks would be lost by hand.
struct WrongFolder {
    let fault: Fault
    /// The node's own, as it was left.
    let right: SimulatedDisk
    /// The folder is that of another node.
    var isForeign: Bool { fault.kind == .foreignFolder }
    /// What the wrong one holds; nil for nothing.
    let content: FolderWord?
    /// How it is started with; nil as always.
    let use: FolderUse?
    /// The lives that served with it.
    var lives = 0

    /// Whether the node sees it without help.
    var isKnownAtHome: Bool {
        isForeign || use == .asFound(mayMake: false) && content == nil
    }

    /// Whether what another node has heard of its own folder tells the two apart.
    func isRefused(by heard: NodeWord) -> Bool {
        guard let content else { return heard.start.number > 0 }
        return content.isRefused(by: heard)
    }
}

extension FolderWord {
    /// Whether what another node has heard of the folder's node says that this is not its folder:
    /// a start that is not among these, or a log that went further.
    func isRefused(by heard: NodeWord) -> Bool {
        guard heard.start.number > 0 else { return false }
        guard let own = news.words.first, starts.contains(heard.start) else { return true }
        return heard.ends.contains { end in
            own.ends.first { $0.group == end.group }.map { $0.index < end.index } ?? false
        }
    }
}

internal import KithWire

/// A second process of a node: a copy of its folder, started elsewhere while the node itself runs,
/// stands still or is down. Touched on the simulation's thread only.
final class FolderCopy: @unchecked Sendable {
    let fault: Fault
    let place: SimulatedNode
    /// What the copy holds.
    let content: FolderWord
    /// The node itself answers it, and has all the time since its present life began.
    var isAnswered = false
    /// The lives that it has had.
    var lives = 0

    /// One that was never started.
    init(_ fault: Fault, _ place: SimulatedNode, _ content: FolderWord) {
        self.fault = fault
        self.place = place
        self.content = content
    }
}

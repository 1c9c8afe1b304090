import KithBytes
package import KithWire

extension NodeSilence {
    /// A sentence without its end: the node, what it does, and why.
    package var text: String {
        let does =
            switch conduct {
            case .doesNotAnswer: "does not answer"
            case .refuses: "refuses"
            case .isStarting: "is starting"
            }
        let text = "node \(node.rawValue) \(does)"
        return reason.isEmpty ? text : "\(text): \(Words.printable(reason))"
    }
}

internal import KithWire

extension Hello {
    /// Why a node of that cluster does not serve who greets so; nil where it does.
    func refusal(by clusterName: String) -> (error: ErrorReply, reason: StrangerNews.Reason)? {
        guard versions.overlaps(ProtocolVersion.supported) else {
            let text =
                "this node speaks versions \(ProtocolVersion.supported.lowerBound) to "
                + "\(ProtocolVersion.supported.upperBound), the client "
                + "\(versions.lowerBound) to \(versions.upperBound)"
            return (ErrorReply(code: .unsupportedVersion, text: text), .otherVersion)
        }
        guard self.clusterName.isEmpty || self.clusterName == clusterName else {
            let text = "this node is of cluster \"\(clusterName)\""
            return (ErrorReply(code: .wrongCluster, text: text), .otherCluster)
        }
        return nil
    }
}

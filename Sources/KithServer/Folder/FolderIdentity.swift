internal import KithBytes
internal import KithPorts
internal import KithStorage

/// What a data folder remembers of its cluster, from its first start on: name, number of groups and
/// hash key decide where every record lies, so they never change. Shard to group follows from the
/// number of groups. The classes of namespaces, which a file may add to, are in `FolderNamespaces`.
///
///     version u8 (2) · groups u16 · hash key 16 · node u16 · name bytes16
///     · count u16, id u16 each: all nodes
struct FolderIdentity: Equatable {
    var name: String
    var groups: UInt16
    var hashKey: [UInt8]
    var node: NodeID
    /// The ids of all nodes, ascending.
    var nodes: [NodeID]

    static let file = FolderFile(path: "identity")

    init(_ settings: NodeSettings) {
        name = settings.configuration.name
        groups = UInt16(settings.configuration.groups)
        hashKey = settings.configuration.hashKey.bytes
        node = settings.nodeID
        nodes = settings.configuration.nodes.map(\.id)
    }

    init(decoding bytes: [UInt8]) throws(ByteError) {
        var reader = unsafe ByteReader(bytes.span.bytes)
        let version = try reader.u8()
        guard version == 2 else { throw .unknownTag(version, offset: 0) }
        groups = try reader.u16()
        hashKey = try reader.take(16).copied()
        node = NodeID(try reader.u16())
        let text = try reader.bytes16(limit: 255)
        guard let name = text.text() else { throw .malformed(offset: reader.offset) }
        self.name = name
        nodes = []
        for _ in 0..<(try reader.u16()) { nodes.append(NodeID(try reader.u16())) }
        guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
    }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.u8(2)
        writer.u16(groups)
        writer.raw(hashKey)
        writer.u16(node.rawValue)
        writer.text16(name)
        writer.u16(UInt16(nodes.count))
        for node in nodes { writer.u16(node.rawValue) }
        return writer.bytes
    }

    /// Of what decides where every record of the cluster lies: name, groups and hash key, under
    /// that key. In each segment of the log, so that a log says by itself whose it is.
    static func digest(of configuration: ClusterConfiguration) -> UInt64 {
        var writer = ByteWriter()
        writer.u16(UInt16(configuration.groups))
        writer.text16(configuration.name)
        let bytes = writer.bytes
        return unsafe SipHash64.hash(bytes.span.bytes, key: configuration.hashKey)
    }

    /// Judges the file by the folder's identity: refuses one that differs. False where the folder
    /// has none yet. Changes nothing.
    static func check(
        _ settings: NodeSettings, disk: any Disk, loop: any Loop
    ) async throws(NodeError) -> Bool {
        let found = try await file.load(disk, loop) { bytes throws(ByteError) in
            try FolderIdentity(decoding: bytes)
        }
        guard let found else { return false }
        if let difference = found.difference(from: FolderIdentity(settings)) {
            mark(.folderOfAnotherCluster)
            throw difference
        }
        return true
    }

    /// Has the folder remember what it belongs to; durable when it returns.
    static func store(
        _ settings: NodeSettings, disk: any Disk, loop: any Loop
    ) async throws(NodeError) {
        try await file.store(FolderIdentity(settings).encoded, disk, loop)
    }

    private func difference(from file: FolderIdentity) -> NodeError? {
        if name != file.name {
            return .otherCluster(key: "name", folder: "\"\(name)\"", file: "\"\(file.name)\"")
        }
        if groups != file.groups {
            return .otherCluster(key: "groups", folder: "\(groups)", file: "\(file.groups)")
        }
        if hashKey != file.hashKey { return .otherHashKey }
        if node != file.node {
            return .otherCluster(
                key: "node", folder: "\(node.rawValue)", file: "\(file.node.rawValue)")
        }
        if nodes != file.nodes {
            return .otherCluster(
                key: "nodes", folder: Self.list(nodes), file: Self.list(file.nodes))
        }
        return nil
    }

    private static func list(_ nodes: [NodeID]) -> String {
        nodes.map { "\($0.rawValue)" }.joined(separator: ", ")
    }
}

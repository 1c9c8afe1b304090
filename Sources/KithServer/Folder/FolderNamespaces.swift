// The class of every namespace that a cluster file of this data folder ever had. The class is part
// of a leaf id, so a namespace that changes it would leave all its identifiers behind under ids
// that nobody asks for. A new namespace is added before the node serves; one that is gone from the
// file stays here, so that it cannot come back with another class.
//
//   version u8 (1) · count u16 · count × { name bytes16 · class u8 }     by ascending name
//
// A cell of its own beside the folder's identity, which never changes and has no room for it. A
// folder that was used and is without it is refused. Not here, since they may change: `limit`,
// `normalise` and `from`, which judge what comes in, and `retention`, whose clock and length every
// entry of the log carries.

internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithStorage

/// The namespaces of a data folder and their classes.
struct FolderNamespaces: Equatable {
    private var classes: [(name: String, class: IdentifierClass)] = []

    /// Namespaces that a folder remembers, over all its cluster files.
    static let namesMax = 512
    /// With the bytes of the encoding at most.
    static let file = FolderFile(
        path: "namespaces", valueBytes: 3 + namesMax * (2 + IdentityRules.nameBytesMax + 1))

    /// What the cluster file says.
    init(_ rules: IdentityRules) {
        for namespace in rules.namespaces { add(namespace.name, namespace.identifierClass) }
    }

    init(decoding bytes: [UInt8]) throws(ByteError) {
        var reader = unsafe ByteReader(bytes.span.bytes)
        let version = try reader.u8()
        guard version == 1 else { throw .unknownTag(version, offset: 0) }
        let count = Int(try reader.u16())
        guard count <= Self.namesMax else { throw .malformed(offset: reader.offset) }
        for _ in 0..<count {
            let text = try reader.bytes16(limit: IdentityRules.nameBytesMax)
            let offset = reader.offset
            let tag = try reader.u8()
            guard let name = text.text(), !name.isEmpty else { throw .malformed(offset: offset) }
            guard let identifierClass = IdentifierClass(rawValue: tag) else {
                throw .unknownTag(tag, offset: offset)
            }
            add(name, identifierClass)
        }
        guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
    }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.u8(1)
        writer.u16(UInt16(classes.count))
        for (name, identifierClass) in classes {
            writer.text16(name)
            writer.u8(identifierClass.rawValue)
        }
        return writer.bytes
    }

    static func == (one: FolderNamespaces, other: FolderNamespaces) -> Bool {
        one.classes.elementsEqual(other.classes) { $0 == $1 }
    }

    /// Keeps the first class of a name. O(namespaces).
    private mutating func add(_ name: String, _ identifierClass: IdentifierClass) {
        guard self[name] == nil else { return }
        let place = classes.firstIndex { name < $0.name } ?? classes.count
        classes.insert((name, identifierClass), at: place)
    }

    private subscript(name: String) -> IdentifierClass? {
        classes.first { $0.name == name }?.class
    }

    // MARK: At start

    /// Judges the file by what the folder remembers, and returns what it is to remember from now
    /// on; nil where that is no news. Changes nothing.
    static func check(
        _ settings: NodeSettings, isKnown: Bool, disk: any Disk, loop: any Loop
    ) async throws(NodeError) -> FolderNamespaces? {
        let wanted = FolderNamespaces(settings.configuration.identity)
        let folder = try await file.load(disk, loop) { bytes throws(ByteError) in
            try FolderNamespaces(decoding: bytes)
        }
        guard let folder else {
            if isKnown { throw .identity(.corrupt(path: file.path)) }
            mark(.folderNew)
            return wanted
        }
        let both = try folder.joined(by: wanted)
        return both == folder ? nil : both
    }

    /// Both, where no namespace has two classes and there is room.
    private func joined(by file: FolderNamespaces) throws(NodeError) -> FolderNamespaces {
        var both = self
        for (name, wanted) in file.classes {
            if let known = self[name], known != wanted {
                mark(.folderOtherClass)
                throw .otherCluster(
                    key: "identity.namespaces.\(name).class", folder: "\(known.rawValue)",
                    file: "\(wanted.rawValue)")
            }
            both.add(name, wanted)
        }
        guard both.classes.count <= Self.namesMax else {
            throw .identity(
                .tooLarge(byteCount: both.encoded.count, limit: Self.file.valueBytes))
        }
        return both
    }

    /// Has the folder remember them; durable when it returns.
    func store(disk: any Disk, loop: any Loop) async throws(NodeError) {
        try await Self.file.store(encoded, disk, loop)
    }
}

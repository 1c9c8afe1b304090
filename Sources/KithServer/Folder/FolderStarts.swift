internal import KithBytes
internal import KithPorts
internal import KithStorage
internal import KithWire

// Which starts a data folder has had. Another node that remembers a start which is not among them,
// or a log that went further than this one, knows that the folder is not the one it was: it is new,
// older, or a copy that went its own way.
//
//   version u8 (1) · count u16 · { group u16, floor u64 } each · StartList
//
// A cell of its own, stored once a start and before anybody is told of it.

/// The starts of a data folder, and where its groups have to begin.
struct FolderStarts: Equatable {
    /// Nil before the first start.
    var list: StartList?
    /// The log of each group goes on above this, ascending by group: what a lost log had in use
    /// elsewhere, and some.
    var floors: [NodeWord.GroupEnd] = []

    /// With the bytes of the encoding at most.
    static let file = FolderFile(
        path: "starts",
        valueBytes: 1 + 2 + 10 * PeerLimits.endsMax + 10 + 8 * StartList.startsMax)
    /// Added to the greatest index that anybody has heard of: others hear of an index within a
    /// second, and no log writes so many entries in a second.
    static let unheardEntriesMax: UInt64 = 1 << 20

    init() {}

    init(decoding bytes: [UInt8]) throws(ByteError) {
        var reader = unsafe ByteReader(bytes.span.bytes)
        let version = try reader.u8()
        guard version == 1 else { throw .unknownTag(version, offset: 0) }
        let count = Int(try reader.u16())
        guard count <= PeerLimits.endsMax else { throw .malformed(offset: 1) }
        for _ in 0..<count {
            floors.append(
                NodeWord.GroupEnd(
                    group: GroupID(try reader.u16()), index: LogIndex(try reader.u64())))
        }
        list = try StartList(decoding: &reader)
        guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
    }

    var encoded: [UInt8] {
        guard let list else { preconditionFailure("a folder that was never started") }
        var writer = ByteWriter()
        writer.u8(1)
        writer.u16(UInt16(floors.count))
        for floor in floors {
            writer.u16(floor.group.rawValue)
            writer.u64(floor.index.rawValue)
        }
        list.encode(into: &writer)
        return writer.bytes
    }

    // MARK: Starting

    /// Adds a start.
    mutating func begin(_ id: UInt64) {
        let number = (list?.number ?? 0) + 1
        let ids = (list?.ids ?? []) + [id]
        list = StartList(number: number, ids: Array(ids.suffix(StartList.startsMax)))
    }

    /// Takes over what others have heard of this node in another folder: its starts become this
    /// one's, and its groups begin above all that they had.
    mutating func adopt(_ words: [NodeWord]) {
        var number = list?.number ?? 0
        var ids = list?.ids ?? []
        for word in words where word.start.number > 0 {
            number = max(number, word.start.number)
            if !ids.contains(word.start.id) { ids.append(word.start.id) }
        }
        if !ids.isEmpty {
            ids = Array(ids.suffix(StartList.startsMax))
            list = StartList(number: max(number, UInt64(ids.count)), ids: ids)
        }
        for end in words.flatMap(\.ends) where end.index > .zero {
            let (sum, isOver) = end.index.rawValue.addingReportingOverflow(Self.unheardEntriesMax)
            let floor = LogIndex(isOver ? end.index.rawValue : sum)
            if let place = floors.firstIndex(where: { $0.group == end.group }) {
                floors[place].index = max(floors[place].index, floor)
            } else {
                floors.append(NodeWord.GroupEnd(group: end.group, index: floor))
            }
        }
        floors.sort { $0.group < $1.group }
    }

    // MARK: On the disk

    /// What the folder remembers; nil where it has none. Changes nothing.
    static func load(disk: any Disk, loop: any Loop) async throws(NodeError) -> FolderStarts? {
        try await file.load(disk, loop) { bytes throws(ByteError) in
            try FolderStarts(decoding: bytes)
        }
    }

    /// Durable when it returns.
    func store(disk: any Disk, loop: any Loop) async throws(NodeError) {
        try await Self.file.store(encoded, disk, loop)
    }
}

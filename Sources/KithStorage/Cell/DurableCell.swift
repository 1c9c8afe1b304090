// A small value that survives every crash: a vote, or what a data folder remembers of its cluster.
//
//   file      slot A │ slot B          each `slotBytes` long
//   slot      0  magic     u32  "KCEL"
//             4  version   u16  1
//             6  reserved  u16  0
//             8  sequence  u64  grows by one a store
//            16  length    u32
//            20  value
//                crc32c    u32  of everything before it in the slot
//
// A store writes and syncs the worse slot first and then the other. So at any moment one slot is
// whole; once a store has returned both hold its value: one damaged slot can neither lose a value
// nor bring back an older one, which for a vote would mean voting twice.

internal import KithBytes
public import KithPorts

/// Why a cell could not be read or written.
public enum CellError: Error, Equatable, Sendable {
    /// Neither slot can be read, and the file is not empty.
    case corrupt(path: String)
    /// The value is larger than the cell.
    case tooLarge(byteCount: Int, limit: Int)
    /// Written by another version of the format.
    case unsupportedVersion(UInt16, path: String)
    /// A read failed; the cell is as it was.
    case disk(DiskError)
    /// A write or a sync failed, now or earlier. Which value is stored is not known; the cell takes
    /// no more, and the node must stop.
    case failed(DiskError)
}

/// A file that holds one value of a bounded size and replaces it atomically.
public actor DurableCell {
    /// The largest value of the largest cell.
    public static let valueBytesMax = 1 << 20
    private static let magic: UInt32 = 0x4C45_434B
    private static let version: UInt16 = 1
    private static let headerBytes = 20

    public nonisolated let loop: any Loop
    public nonisolated let path: String
    /// The largest value of this cell.
    public nonisolated let valueBytes: Int
    private nonisolated let disk: any Disk
    private nonisolated let slotBytes: Int

    private var file: (any DiskFile)?
    private var slots = [Slot.empty, .empty]
    private var isLoaded = false
    private var isNameSynced = false
    private var failure: DiskError?
    private var isBusy = false
    private var turn: [CheckedContinuation<Void, Never>] = []

    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    private enum Slot: Equatable {
        case empty
        case value(sequence: UInt64, [UInt8])
        case damaged

        /// Greater is better to keep.
        var rank: UInt64 { if case .value(let sequence, _) = self { sequence } else { 0 } }
    }

    /// A cell at `path` for values up to `valueBytes`, which must be the same at every start: it
    /// decides where the second slot is. Touches nothing yet. One cell a path.
    public init(disk: any Disk, path: String, loop: any Loop, valueBytes: Int = 4000) {
        precondition(valueBytes > 0 && valueBytes <= Self.valueBytesMax, "\(valueBytes) bytes")
        self.disk = disk
        self.path = path
        self.loop = loop.forActor()
        self.valueBytes = valueBytes
        let used = Self.headerBytes + valueBytes + LogFormat.checksumBytes
        // Slots start at sectors of their own, so that writing one cannot tear the other.
        self.slotBytes = (used + 4095) / 4096 * 4096
    }

    /// The value stored last, or `nil` where none was ever stored.
    ///
    /// A store that did not return before a crash may be seen or not; once seen it is durable.
    public func load() async throws(CellError) -> [UInt8]? {
        await takeTurn()
        defer { passTurn() }
        try await readSlots()
        return newest?.value
    }

    /// Replaces the value. Returns when it is durable in both slots. Calls take turns; who needs
    /// them in an order waits for each. Costs two syncs.
    public func store(_ value: [UInt8]) async throws(CellError) {
        guard value.count <= valueBytes else {
            throw .tooLarge(byteCount: value.count, limit: valueBytes)
        }
        await takeTurn()
        defer { passTurn() }
        try await readSlots()
        let worse = slots[0].rank <= slots[1].rank ? 0 : 1
        try await write(
            value, sequence: (newest?.sequence ?? 0) &+ 1, to: [worse, 1 - worse])
    }

    /// Closes the file, after stores that are under way.
    public func close() async {
        await takeTurn()
        defer { passTurn() }
        await file?.close()
        file = nil
        isLoaded = false
    }

    // MARK: One at a time

    private func takeTurn() async {
        await withCheckedContinuation { continuation in
            if isBusy {
                mark(.cellAwaited)
                turn.append(continuation)
            } else {
                isBusy = true
                continuation.resume()
            }
        }
    }

    private func passTurn() {
        guard !turn.isEmpty else {
            isBusy = false
            return
        }
        turn.removeFirst().resume()
    }

    // MARK: Slots

    private var newest: (sequence: UInt64, value: [UInt8], slot: Int)? {
        let slot = slots[0].rank >= slots[1].rank ? 0 : 1
        guard case .value(let sequence, let value) = slots[slot] else { return nil }
        return (sequence, value, slot)
    }

    /// Reads both slots, once. Where they differ a store was interrupted, perhaps by a sync that
    /// failed, so that the newer value may be in the page cache only: it is written again before
    /// anybody relies on it, its own slot first, since the other one may be the only one on the
    /// disk.
    private func readSlots() async throws(CellError) {
        if let failure { throw .failed(failure) }
        guard !isLoaded else { return }
        for (slot, bytes) in try await readBytes().enumerated() {
            slots[slot] = try decode(bytes)
        }
        guard slots != [.damaged, .damaged] else {
            mark(.cellCorrupt)
            throw .corrupt(path: path)
        }
        if let newest, slots[0] != slots[1] {
            mark(slots.contains(.damaged) ? .cellSecondCopy : .cellHalfStored)
            try await write(
                newest.value, sequence: newest.sequence, to: [newest.slot, 1 - newest.slot])
        }
        isLoaded = true
    }

    private func readBytes() async throws(CellError) -> [[UInt8]] {
        do throws(DiskError) {
            guard try await disk.exists(path) else { return [] }
            let open = try await disk.open(path, create: false, lane: .other)
            file = open
            return [
                try await open.read(at: 0, count: slotBytes),
                try await open.read(at: UInt64(slotBytes), count: slotBytes),
            ]
        } catch {
            throw .disk(error)
        }
    }

    private func write(
        _ value: [UInt8], sequence: UInt64, to order: [Int]
    ) async throws(CellError) {
        let bytes = encode(value, sequence: sequence)
        do throws(DiskError) {
            let file = try await openForWriting()
            for slot in order {
                try await file.overwrite(
                    bytes, at: UInt64(slot * slotBytes), ofSize: UInt64(2 * slotBytes),
                    sync: true)
                slots[slot] = .value(sequence: sequence, value)
            }
        } catch {
            mark(.cellFailed)
            failure = error
            throw .failed(error)
        }
    }

    private func openForWriting() async throws(DiskError) -> any DiskFile {
        let size = UInt64(2 * slotBytes)
        let open =
            if let file { file } else { try await disk.open(path, create: true, lane: .other) }
        if try await open.size() < size { try await open.extendWithZeros(to: size) }
        if !isNameSynced {
            let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
            try await disk.syncDirectory(folder)
            isNameSynced = true
        }
        file = open
        return open
    }

    private func encode(_ value: [UInt8], sequence: UInt64) -> [UInt8] {
        var writer = ByteWriter(
            capacity: Self.headerBytes + value.count + LogFormat.checksumBytes)
        writer.u32(Self.magic)
        writer.u16(Self.version)
        writer.u16(0)
        writer.u64(sequence)
        writer.bytes32(value)
        writer.u32(CRC32C.checksum(writer.bytes))
        return writer.bytes
    }

    private func decode(_ bytes: [UInt8]) throws(CellError) -> Slot {
        guard bytes.contains(where: { $0 != 0 }) else { return .empty }
        let span = unsafe bytes.span.bytes
        var reader = ByteReader(span)
        let version: UInt16
        let slot: Slot
        do throws(ByteError) {
            guard try reader.u32() == Self.magic else { return .damaged }
            version = try reader.u16()
            try reader.skip(2)
            let sequence = try reader.u64()
            let value = try reader.bytes32(limit: valueBytes).copied()
            let covered = span.extracting(0..<reader.offset)
            guard try reader.u32() == CRC32C.checksum(covered) else { return .damaged }
            slot = .value(sequence: sequence, value)
        } catch {
            return .damaged
        }
        guard version == Self.version else {
            throw .unsupportedVersion(version, path: path)
        }
        return slot
    }
}

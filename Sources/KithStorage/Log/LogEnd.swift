internal import KithBytes
internal import KithPorts

// Where the log ended when it was last closed cleanly.
//
//     file `log/end`, a durable cell: version u8 (1) · segment u64 · offset u64 · sequence u64
//
// A torn write and bytes that somebody zeroed afterwards look alike: behind the last frame there is
// none. After a clean close nothing was being written, so whatever is missing up to here is damage.
//
// It is stored only when the last frame is synced, and a log never loses a frame that was durable
// (old segments go from the front), so what it says stays true whatever comes later: it is a lower
// bound. No start erases it, and a crash at any moment leaves either this end or an earlier one,
// both of which were reached.

/// The last frame of a log that was closed.
struct LogEnd: Equatable {
    /// The segment with the last frame.
    var segment: SegmentID
    /// Where that frame ends in it.
    var offset: UInt64
    /// Its sequence.
    var sequence: LogSequence

    static let path = LogFormat.folder + "/end"
    private static let version: UInt8 = 1
    private static let valueBytes = 25

    static func cell(_ disk: any Disk, _ loop: any Loop) -> DurableCell {
        DurableCell(disk: disk, path: path, loop: loop, valueBytes: valueBytes)
    }

    /// What the log was closed with; nil where it never was.
    static func load(_ disk: any Disk, _ loop: any Loop) async throws(LogError) -> LogEnd? {
        let cell = cell(disk, loop)
        let bytes: [UInt8]?
        do throws(CellError) {
            bytes = try await cell.load()
            await cell.close()
        } catch .disk(let error) {
            throw .disk(error)
        } catch .failed(let error) {
            throw .failed(error)
        } catch {
            throw .end(error)
        }
        guard let bytes else { return nil }
        do throws(ByteError) {
            var reader = unsafe ByteReader(bytes.span.bytes)
            guard try reader.u8() == version else { throw .malformed(offset: 0) }
            let end = LogEnd(
                segment: SegmentID(try reader.u64()), offset: try reader.u64(),
                sequence: LogSequence(try reader.u64()))
            guard reader.isAtEnd else { throw .malformed(offset: reader.offset) }
            return end
        } catch {
            throw .end(.corrupt(path: path))
        }
    }

    /// Durable when it returns. The frame must be.
    func store(_ disk: any Disk, _ loop: any Loop) async throws(CellError) {
        var writer = ByteWriter()
        writer.u8(Self.version)
        writer.u64(segment.rawValue)
        writer.u64(offset)
        writer.u64(sequence.rawValue)
        let cell = Self.cell(disk, loop)
        try await cell.store(writer.bytes)
        await cell.close()
    }
}

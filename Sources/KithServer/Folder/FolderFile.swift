internal import KithBytes
internal import KithPorts
internal import KithStorage

/// One of the small files of a data folder, in a durable cell: read at a start, written whole. The
/// first byte of its value is the version of its format; another is refused by name.
struct FolderFile {
    let path: String
    /// Bytes of the value at most.
    var valueBytes = 4000

    /// What the file says; nil where the folder has none. Changes nothing.
    func load<Value>(
        _ disk: any Disk, _ loop: any Loop, _ decode: ([UInt8]) throws(ByteError) -> Value
    ) async throws(NodeError) -> Value? {
        let cell = DurableCell(disk: disk, path: path, loop: loop, valueBytes: valueBytes)
        let bytes: [UInt8]?
        do throws(CellError) {
            bytes = try await cell.load()
            await cell.close()
        } catch {
            throw .identity(error)
        }
        guard let bytes else { return nil }
        do throws(ByteError) {
            return try decode(bytes)
        } catch .unknownTag(let version, offset: 0) {
            throw .identity(.unsupportedVersion(UInt16(version), path: path))
        } catch {
            throw .identity(.corrupt(path: path))
        }
    }

    /// Replaces what it says; durable when it returns.
    func store(_ bytes: [UInt8], _ disk: any Disk, _ loop: any Loop) async throws(NodeError) {
        let cell = DurableCell(disk: disk, path: path, loop: loop, valueBytes: valueBytes)
        do throws(CellError) {
            try await cell.store(bytes)
            await cell.close()
        } catch {
            throw .identity(error)
        }
    }
}

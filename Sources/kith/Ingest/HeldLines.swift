// Lines that are to be sent again at the end of an import, since what they depend on may stand
// behind them: those older than retention, and those with a link that was void by age. They lie in
// a file without a name, which nobody else can open and which ends with the process.
//
//     file u32 · line u64 · flags u8 (1 taken, 2 unnamed, 4 named here) · length u32 · as many bytes
//
// One writer and then one reader, in order: a pass takes all lines out and puts back what is left.

import Foundation
import Glibc
import KithBytes

/// A line that is kept.
struct HeldLine: Equatable {
    var place: LinePlace
    /// It was taken: only its links are to be driven.
    var isTaken: Bool
    /// It has no message id.
    var isUnnamed: Bool
    /// Its message id was assigned here.
    var isAssigned: Bool
    /// The event.
    var bytes: [UInt8]
}

/// The lines that are kept.
final class HeldLines {
    /// Bytes of the file. What is under way when it is full is kept beyond it.
    static let bytesMax = 1 << 30
    private static let headBytes = 17
    /// Bytes of one read or write.
    private static let chunkBytes = 256 << 10

    private let descriptor: Int32
    /// By default the constant above.
    private let bytesMax: Int
    /// Bytes of the file; what is behind is in `pending`.
    private var written = 0
    private var pending: [UInt8] = []
    /// Lines that were not handed out, and of them those that were taken.
    private(set) var count = 0
    private(set) var takenCount = 0
    /// The first line that was ever kept here, by its place in the input.
    private(set) var firstPlace: LinePlace?
    /// Why the file took no more. What is under way by then is kept in memory.
    private(set) var failure: InputError?

    /// Opens a file in `folder`, by default that for temporary ones.
    init(bytesMax: Int = HeldLines.bytesMax, in folder: String? = nil) throws(InputError) {
        self.bytesMax = bytesMax
        let folder = folder ?? ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        var template = Array((folder + "/kith-ingest-XXXXXX").utf8CString)
        // mkstemp makes it of mode 0600.
        descriptor = template.withUnsafeMutableBufferPointer { name in
            guard let base = name.baseAddress else { return -1 }
            let descriptor = mkstemp(base)
            if descriptor >= 0 {
                unlink(base)
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            }
            return descriptor
        }
        guard descriptor >= 0 else {
            throw InputError(
                "no file for lines to send again in \(folder): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    /// Whether no more than what is under way is to be kept.
    var isFull: Bool { failure != nil || written + pending.count >= bytesMax }

    /// Why, in words.
    var fullness: String {
        failure?.description ?? "\(Words.bytes(UInt64(bytesMax))) of lines to send again"
    }

    /// Keeps a line.
    func append(_ line: HeldLine) {
        var writer = ByteWriter(capacity: Self.headBytes + line.bytes.count)
        writer.u32(UInt32(line.place.file))
        writer.u64(UInt64(line.place.line))
        writer.u8((line.isTaken ? 1 : 0) | (line.isUnnamed ? 2 : 0) | (line.isAssigned ? 4 : 0))
        writer.bytes32(line.bytes.span.bytes)
        pending += writer.bytes
        count += 1
        if line.isTaken { takenCount += 1 }
        firstPlace = firstPlace.map { min($0, line.place) } ?? line.place
        if pending.count >= Self.chunkBytes, failure == nil { write() }
    }

    private func write() {
        var offset = 0
        while offset < pending.count {
            let count = pending.withUnsafeBytes {
                pwrite(
                    descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset,
                    off_t(written + offset))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                failure = InputError("lines to send again: \(String(cString: strerror(errno)))")
                return
            }
            offset += count
        }
        written += pending.count
        pending.removeAll(keepingCapacity: true)
    }

    /// Hands all lines to `body` in their order. What cannot be read is still counted after it.
    func forEach(_ body: (HeldLine) async -> Void) async throws(InputError) {
        var buffer: [UInt8] = []
        /// Where the first line of the buffer that was not handed out begins.
        var start = 0
        var offset = 0
        while true {
            if let (line, end) = try Self.line(buffer, from: start) {
                start = end
                count -= 1
                if line.isTaken { takenCount -= 1 }
                await body(line)
                continue
            }
            buffer.removeSubrange(..<start)
            start = 0
            if offset < written {
                offset += try read(into: &buffer, at: offset)
            } else if !pending.isEmpty {
                buffer += pending
                pending = []
            } else {
                guard buffer.isEmpty else { throw InputError("lines to send again: cut short") }
                return
            }
        }
    }

    private func read(into buffer: inout [UInt8], at offset: Int) throws(InputError) -> Int {
        var chunk = [UInt8](repeating: 0, count: min(Self.chunkBytes, written - offset))
        while true {
            let count = chunk.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress, $0.count, off_t(offset))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw InputError("lines to send again: \(String(cString: strerror(errno)))")
            }
            buffer += chunk.prefix(count)
            return count
        }
    }

    /// The line that begins at `start` and where it ends; nil where the rest is to be read.
    private static func line(
        _ buffer: [UInt8], from start: Int
    ) throws(InputError) -> (HeldLine, Int)? {
        var reader = ByteReader(buffer.span.bytes.extracting(start..<buffer.count))
        guard reader.remaining >= headBytes else { return nil }
        do {
            let file = Int(try reader.u32())
            let place = LinePlace(file: file, line: Int(truncatingIfNeeded: try reader.u64()))
            let flags = try reader.u8()
            let count = Int(try reader.u32())
            guard reader.remaining >= count else { return nil }
            let bytes = try reader.take(count).copied()
            return (
                HeldLine(
                    place: place, isTaken: flags & 1 != 0, isUnnamed: flags & 2 != 0,
                    isAssigned: flags & 4 != 0, bytes: bytes),
                start + reader.offset
            )
        } catch {
            throw InputError("lines to send again: \(error)")
        }
    }
}

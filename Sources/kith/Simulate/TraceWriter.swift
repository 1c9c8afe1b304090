import Glibc
import KithSimulation

/// Writes a trace to a file, a line a step: step, virtual nanoseconds, kind, lane or subject,
/// detail. Each line is in the file before the next step, so that a trap leaves the last ones. Used
/// by one thread at a time.
final class TraceWriter: @unchecked Sendable {
    private let file: UnsafeMutablePointer<FILE>
    /// Why the file is not whole; nil where it is.
    private(set) var failure: Failure?

    /// Bytes of a line that are written at once.
    private static let bufferBytes = 1 << 16

    /// Why something cannot be written.
    struct Failure: Error {
        /// An error number.
        let code: Int32
        /// It in words.
        var text: String { String(cString: strerror(code)) }
    }

    /// Makes the file, or empties it.
    init(_ path: String) throws(Failure) {
        guard let file = fopen(path, "we") else { throw Failure(code: errno) }
        setvbuf(file, nil, _IOLBF, Self.bufferBytes)
        self.file = file
    }

    /// Writes one line; after a failure, none.
    func take(_ record: TraceRecord, _ lane: String) {
        guard failure == nil else { return }
        let subject = lane.isEmpty ? "\(record.subject)" : lane
        let what = record.text.isEmpty ? "\(record.detail)" : record.text
        let line = "\(record.step)\t\(record.nanoseconds)\t\(record.kind)\t\(subject)\t\(what)\n"
        if fputs(line, file) == EOF { failure = Failure(code: errno) }
    }

    /// Closes the file.
    func finish() {
        if fclose(file) == EOF, failure == nil { failure = Failure(code: errno) }
    }
}

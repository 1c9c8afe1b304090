import Glibc
import KithSimulation

/// Writes a trace to a file, a line a step: step, virtual nanoseconds, kind, lane or subject,
/// detail.
final class TraceWriter {
    private let file: UnsafeMutablePointer<FILE>

    /// Nil where the file cannot be made.
    init?(_ path: String) {
        guard let file = fopen(path, "w") else { return nil }
        self.file = file
    }

    /// Writes one line.
    func take(_ record: TraceRecord, _ lane: String) {
        let subject = lane.isEmpty ? "\(record.subject)" : lane
        let what = record.text.isEmpty ? "\(record.detail)" : record.text
        fputs("\(record.step)\t\(record.nanoseconds)\t\(record.kind)\t\(subject)\t\(what)\n", file)
    }

    /// Writes what is left.
    func finish() { fclose(file) }
}

/// The bar that `kith ingest` draws on a terminal.
///
///     ██████████░░░░░░░░░░  52 %   148,002 events   74,100/s   2.1 s left   3 refused
package struct IngestProgress: Sendable {
    /// Characters of the bar: with it, the line of a million events fits into 80.
    private static let width = 18
    /// Seconds from one drawing to the next, at least.
    package static let secondsMin = 0.1

    package var bytesDone: UInt64 = 0
    /// Nil where the input is not a file, so that no end is known.
    package var bytesTotal: UInt64?
    package var events = 0
    package var refused = 0
    package var seconds = 0.0

    package init(bytesTotal: UInt64?) {
        self.bytesTotal = bytesTotal
    }

    /// The line as it stands.
    package var line: String {
        var parts: [String] = []
        var left: String?
        if let bytesTotal {
            let part = bytesTotal == 0 ? 1 : min(1, Double(bytesDone) / Double(bytesTotal))
            let filled = Int(part * Double(Self.width))
            parts.append(
                String(repeating: "█", count: filled)
                    + String(repeating: "░", count: Self.width - filled)
                    + Words.padded("\(Int(part * 100)) %", to: 6, isRight: true))
            if part > 0, part < 1 { left = Words.seconds(seconds * (1 - part) / part) + " left" }
        }
        parts.append("\(Words.grouped(events)) " + (events == 1 ? "event" : "events"))
        if seconds > 0 { parts.append("\(Words.grouped(Int(Double(events) / seconds)))/s") }
        if let left { parts.append(left) }
        parts.append("\(Words.grouped(refused)) refused")
        return parts.joined(separator: "   ")
    }
}

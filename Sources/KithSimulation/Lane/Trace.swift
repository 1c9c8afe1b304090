/// What one line of a simulation's trace is about.
public enum TraceKind: UInt8, Sendable {
    /// A job ran. Subject: the lane's number. Detail: jobs left in that lane.
    case lane = 1
    /// A timer fired. Subject: who set it. Detail: the time it was due.
    case timer = 2
    /// Something arrived over the network. Subject: the stream. Detail: the time it was due.
    case delivery = 3
    /// The bytes that arrived. Subject: the stream. Detail: count and CRC-32C.
    case bytes = 4
    /// Something that the program under test or a checker wrote down. Subject: FNV-1a of the text.
    case note = 5
    /// The disk did something. Subject and detail are the disk's own.
    case disk = 6
}

/// One line of a trace. Two runs that differ differ first in one of these.
public struct TraceRecord: Equatable, Sendable, CustomStringConvertible {
    /// Jobs run and events fired before and including this one.
    public let step: Int
    /// Virtual time.
    public let nanoseconds: UInt64
    /// What the line is about; says what the next two mean.
    public let kind: TraceKind
    /// Who it is about.
    public let subject: UInt64
    /// What about it.
    public let detail: UInt64
    /// The text of a note, else empty.
    public let text: String

    /// One line: step, time, kind, subject, detail, text.
    public var description: String {
        "\(step) \(nanoseconds) \(kind) \(subject) \(detail)\(text.isEmpty ? "" : " " + text)"
    }
}

/// A running 64-bit hash over a trace. It depends on every record and on their order, and on
/// nothing that differs between two processes of one build: no address, no `hashValue`.
struct TraceHash {
    private var state: UInt64 = 0x6b69_7468_5f74_7263

    /// About a nanosecond: one multiplication a word, since this is paid at every step.
    mutating func mix(_ kind: TraceKind, _ subject: UInt64, _ detail: UInt64, at time: UInt64) {
        absorb(UInt64(kind.rawValue) ^ (subject << 8))
        absorb(detail)
        absorb(time)
    }

    private mutating func absorb(_ word: UInt64) {
        let turned = (state << 23) | (state >> 41)
        state = (turned ^ word) &* 0x9e37_79b9_7f4a_7c15
    }

    /// The hash so far, with all bits mixed.
    var value: UInt64 { SplitMix64.mixed(state) }
}

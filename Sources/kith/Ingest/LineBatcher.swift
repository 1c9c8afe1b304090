// From lines to the payloads of `Ingest`. Pure: what files and the wall clock say comes in.
//
//   line ─▶ JSON? ─▶ CBOR ─▶ message id, stamp ─▶ item ─▶ payload of at most `itemsMax`, `bytesMax`
//             └─ no, or too large ─▶ an item that says so, which the node counts
//
// A line without a message id gets one here: then a batch whose answer was lost can be sent again,
// and what was stored of it counts once. One that is so large that there is no room for an id is
// not sent again.

package import KithBytes
import KithWire

/// Where a line is.
package struct LinePlace: Hashable, Comparable, Sendable {
    /// Place of the file among those that are read.
    package var file: Int
    /// From 1.
    package var line: Int

    package init(file: Int, line: Int) {
        self.file = file
        self.line = line
    }

    package static func < (a: Self, b: Self) -> Bool {
        a.file != b.file ? a.file < b.file : a.line < b.line
    }
}

/// Which sending of a line this is.
package enum LinePass: Sendable {
    /// What becomes of it is counted at once: with the event clock, or where no more can be kept.
    case only
    /// What is expired, or has a link void by age, is kept and sent again.
    case first
    /// Sent again, to be kept again where that came to nothing.
    case again
    /// Sent again for the last time: what becomes of it is counted.
    case last
}

/// A batch that is ready to be sent, and what its answer will be about.
package struct LineBatch: Sendable {
    package var payload: [UInt8]
    /// By item.
    package var places: [LinePlace]
    /// Why a line was no JSON, by item.
    package var notes: [Int: String]
    /// Names that came twice in an event, by item.
    package var repeated: [Int: JSONTranscoder.RepeatedNames] = [:]
    /// Items that are not events: sent again, they could count twice.
    package var refused: Set<Int>
    /// Events without a message id: sent again, they could count twice.
    package var unnamed: Set<Int>
    /// Events that were given a message id here.
    package var assigned: Set<Int>
    /// Where the bytes of each item are in `payload`.
    package var ranges: [Range<Int>]
    /// Items that were taken before: only their links are driven.
    package var taken: Set<Int> = []
    /// Which sending of its lines this is.
    package var pass = LinePass.only
    /// Bytes of all files that were read up to here.
    package var bytesTaken: UInt64
    /// The greatest event time of all lines up to here; nil with the wall clock.
    package var stamp: LogTime?
}

extension LineBatch {
    /// The bytes of an item.
    func event(_ item: Int) -> [UInt8] { Array(payload[ranges[item]]) }
}

/// Gathers lines into batches.
package struct LineBatcher: Sendable {
    /// What the node and the command line ask for.
    package struct Settings: Sendable {
        package var space: String
        package var eventBytesMax: Int
        /// Events of one batch.
        package var itemsMax = 1_000
        /// Events of the first batch: what is no file of events shows in a few.
        package var firstItemsMax = 100
        /// Bytes at which a batch is full.
        package var bytesMax = 256 << 10
        /// Whether items carry the stamps of the event clock.
        package var isStamped = false
        /// Begins the message ids that are assigned here: not the same in two runs.
        package var runID: String

        package init(space: String, eventBytesMax: Int, runID: String) {
            self.space = space
            self.eventBytesMax = eventBytesMax
            self.runID = runID
        }
    }

    /// Bytes of the member's name, and of the heads of the name, its value and a longer map.
    private static let messageIDRoom = 24

    private let settings: Settings
    private var writer: IngestBatchWriter
    private var transcoder = JSONTranscoder()
    private var event = ByteWriter()
    private var places: [LinePlace] = []
    private var notes: [Int: String] = [:]
    private var repeated: [Int: JSONTranscoder.RepeatedNames] = [:]
    private var refused: Set<Int> = []
    private var unnamed: Set<Int> = []
    private var assigned: Set<Int> = []
    private var ranges: [Range<Int>] = []
    private var assignedCount = 0
    private var isFirst = true
    /// Whether lines may be kept and sent again.
    package var isProvisional = false
    /// The greatest event time so far.
    private var stamp = LogTime(0)
    private var hasStamp = false

    package init(_ settings: Settings) {
        self.settings = settings
        writer = IngestBatchWriter(
            space: settings.space, hasStamps: settings.isStamped, capacity: settings.bytesMax)
    }

    package var isEmpty: Bool { writer.count == 0 }

    /// Whether the batch is to be sent before more is added.
    package var isFull: Bool {
        writer.count
            >= (isFirst ? min(settings.firstItemsMax, settings.itemsMax) : settings.itemsMax)
            || writer.byteCount >= settings.bytesMax
    }

    /// The greatest event time of all lines so far; nil where no line had one.
    package var greatestTime: LogTime? { hasStamp ? stamp : nil }

    /// Adds a line, or nothing for one of blanks only. `line` is nil for one that was too long to
    /// keep. `arrival` is the wall clock in milliseconds since 1970.
    package mutating func add(_ line: RawSpan?, at place: LinePlace, arrival: Int64) {
        guard let line else { return refuse(.tooLarge, at: place) }
        guard !Self.isBlank(line) else { return }
        event.removeAll()
        do throws(JSONError) {
            try transcoder.append(line, to: &event)
        } catch {
            notes[places.count] = "\(error), at byte \(error.offset + 1)"
            return refuse(.invalidJSON, at: place)
        }
        let peek = EventPeek(
            event.bytes.span.bytes, arrival: settings.isStamped ? arrival : nil)
        if let time = peek.time {
            stamp = max(stamp, LogTime(time))
            hasStamp = true
        }
        guard event.count <= settings.eventBytesMax else { return refuse(.tooLarge, at: place) }
        if let names = transcoder.repeated { repeated[places.count] = names }
        if peek.isMap, !peek.hasMessageID, !assignMessageID() { unnamed.insert(places.count) }
        writer.append(
            isProvisional ? .provisional : .event, stamp: settings.isStamped ? stamp : nil,
            bytes: event.bytes)
        ranges.append((writer.byteCount - event.count)..<writer.byteCount)
        places.append(place)
    }

    /// Gives the event an id, and says whether there was room for it. Without room the node assigns
    /// one, at every arrival another.
    private mutating func assignMessageID() -> Bool {
        let id = "\(settings.runID)-\(assignedCount)"
        assignedCount += 1
        guard event.count + id.utf8.count + Self.messageIDRoom <= settings.eventBytesMax else {
            return false
        }
        let before = event
        do {
            try EventPeek.append(name: "messageId", text: id, to: &event)
            assigned.insert(places.count)
            return true
        } catch {
            event = before
            return false
        }
    }

    private mutating func refuse(_ kind: IngestItemKind, at place: LinePlace) {
        refused.insert(places.count)
        writer.append(kind, stamp: settings.isStamped ? stamp : nil)
        ranges.append(writer.byteCount..<writer.byteCount)
        places.append(place)
    }

    /// Takes the batch out; the next one begins.
    package mutating func take(bytesTaken: UInt64) -> LineBatch {
        let batch = LineBatch(
            payload: writer.payload, places: places, notes: notes, repeated: repeated,
            refused: refused,
            unnamed: unnamed, assigned: assigned, ranges: ranges,
            pass: isProvisional ? .first : .only,
            bytesTaken: bytesTaken,
            stamp: settings.isStamped && hasStamp ? stamp : nil)
        writer.removeAll()
        places.removeAll(keepingCapacity: true)
        notes = [:]
        repeated = [:]
        refused = []
        unnamed = []
        assigned = []
        ranges.removeAll(keepingCapacity: true)
        isFirst = false
        return batch
    }

    /// A batch of lines that were kept, at least one.
    static func batch(
        again lines: [HeldLine],
        space: String, isLast: Bool, bytesTaken: UInt64
    ) -> LineBatch {
        var writer = IngestBatchWriter(space: space)
        var batch = LineBatch(
            payload: [], places: lines.map(\.place), notes: [:], refused: [], unnamed: [],
            assigned: [], ranges: [], pass: isLast ? .last : .again, bytesTaken: bytesTaken)
        for (item, line) in lines.enumerated() {
            if line.isTaken { batch.taken.insert(item) }
            if line.isUnnamed, !line.isTaken { batch.unnamed.insert(item) }
            if line.isAssigned, !line.isTaken { batch.assigned.insert(item) }
            writer.append(
                line.isTaken ? .links : isLast ? .last : .provisionalAgain, bytes: line.bytes)
            batch.ranges.append((writer.byteCount - line.bytes.count)..<writer.byteCount)
        }
        batch.payload = writer.payload
        return batch
    }

    private static func isBlank(_ line: RawSpan) -> Bool {
        for place in 0..<line.byteCount {
            switch line[place] {
            case 0x20, 0x09, 0x0d: continue
            default: return false
            }
        }
        return true
    }
}

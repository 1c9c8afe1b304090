// What a load run asks of a node: request N as a frame, and what a reply to it means. Requests are
// functions of their number, so the run keeps numbers and never bytes.

import KithBytes
import KithClient
import KithWire

/// The requests of a load run.
protocol LoadWork: Sendable {
    /// Events of request `number`.
    func events(ofRequest number: Int) -> Int

    /// The id of request `number`, whole; below 2⁶² and above the hello's.
    func requestID(of number: Int) -> UInt64

    /// Appends request `number` as a frame; where `items` are given, only those of its events.
    func append(
        _ number: Int, items: [Int]?, requestID: UInt64, to writer: inout ByteWriter)

    /// Counts what `reply` says of the request, and returns the events that must be sent again.
    /// Throws where it is no answer to it. `isLast`: nothing is sent again any more.
    func judge(
        _ reply: Frame, _ number: Int, items: [Int]?, isLast: Bool, _ tally: inout LoadTally
    ) throws(ByteError) -> LoadVerdict
}

/// What is left of a request after its reply.
enum LoadVerdict {
    case done
    /// The events to send again, and after how many milliseconds at least.
    case again(items: [Int], millis: UInt32)
}

/// Batches of events. Some are made before the clock starts; those beyond that budget are made when
/// they are sent, which costs the load generator about 0.2 µs an event.
struct IngestLoad: LoadWork {
    /// Memory for batches that are made before the clock starts.
    static let preparedBytesMax = 512 << 20

    let workload: Workload
    let settings: BenchSettings
    let version: UInt8
    private var prepared: [[UInt8]] = []

    init(_ workload: Workload, _ settings: BenchSettings, version: UInt8) {
        self.workload = workload
        self.settings = settings
        self.version = version
        var writer = ByteWriter()
        var byteCount = 0
        while prepared.count < settings.requests ?? .max {
            writer.removeAll(keepingCapacity: true)
            make(prepared.count, &writer)
            byteCount += writer.count
            guard byteCount <= Self.preparedBytesMax else { break }
            // A copy of exactly its size.
            prepared.append(Array(writer.bytes[...]))
        }
    }

    /// How many events were made before the clock starts.
    var preparedEvents: Int { prepared.indices.reduce(0) { $0 + events(ofRequest: $1) } }

    func events(ofRequest number: Int) -> Int { settings.events(ofRequest: number) }

    /// The ids of whole batches follow from their numbers, so that a frame is finished beforehand.
    func requestID(of number: Int) -> UInt64 { UInt64(number) + 2 }

    func append(
        _ number: Int, items: [Int]?, requestID: UInt64, to writer: inout ByteWriter
    ) {
        if let items {
            var whole = ByteWriter()
            workload.append(batch: number, count: events(ofRequest: number), to: &whole)
            let open = Array(0..<events(ofRequest: number))
            let payload =
                IngestRun.subset(whole.bytes, keeping: items, of: open) ?? whole.bytes
            FrameWriter.write(
                FrameHeader(type: .ingest, requestID: requestID, version: version),
                payload: payload, into: &writer)
        } else if number < prepared.count {
            writer.raw(prepared[number])
        } else {
            make(number, &writer)
        }
    }

    private func make(_ number: Int, _ writer: inout ByteWriter) {
        let header = FrameHeader(
            type: .ingest, requestID: requestID(of: number), version: version)
        let mark = FrameWriter.begin(header, into: &writer)
        workload.append(batch: number, count: events(ofRequest: number), to: &writer)
        FrameWriter.end(mark, into: &writer)
    }

    func judge(
        _ reply: Frame, _ number: Int, items: [Int]?, isLast: Bool, _ tally: inout LoadTally
    ) throws(ByteError) -> LoadVerdict {
        guard reply.type == .ingestReply else {
            throw .unknownTag(reply.type.rawValue, offset: 0)
        }
        let message = try IngestReply(decoding: reply.payload)
        let count = items?.count ?? events(ofRequest: number)
        guard message.results.count == count else { throw .malformed(offset: 0) }
        tally.count(message.silentNodes)
        var again: [Int] = []
        for (place, result) in message.results.enumerated() {
            if result == .ok {
                tally.ok += 1
            } else if result.wantsRetry, !isLast {
                if result == .unknown {
                    tally.retriedUnknown += 1
                } else {
                    tally.retriedOverloaded += 1
                }
                again.append(items?[place] ?? place)
            } else {
                tally.count(result)
            }
        }
        return again.isEmpty ? .done : .again(items: again, millis: message.retryAfterMillis)
    }
}

/// Linearizable reads of visitors' profiles, drawn as the events of the same seed are. Their frames
/// are all of one size and are made before the clock starts.
struct GetLoad: LoadWork {
    /// How many different reads there are; they repeat in turn, far apart.
    static let readsMax = 1 << 20

    private let workload: Workload
    private let count: Int
    private let frameBytes: Int
    /// One frame after the other.
    private let frames: [UInt8]

    init(_ workload: Workload, requests: Int?, version: UInt8) {
        self.workload = workload
        count = min(requests ?? Self.readsMax, Self.readsMax)
        var writer = ByteWriter()
        for (number, visitor) in workload.reads(count).enumerated() {
            FrameWriter.write(
                Self.read(ofVisitor: visitor, workload), requestID: UInt64(number) + 2,
                version: version, into: &writer)
        }
        frames = writer.bytes
        frameBytes = frames.count / count
    }

    func events(ofRequest number: Int) -> Int { 1 }

    func requestID(of number: Int) -> UInt64 { UInt64(number % count) + 2 }

    func append(
        _ number: Int, items: [Int]?, requestID: UInt64, to writer: inout ByteWriter
    ) {
        let start = number % count * frameBytes
        writer.raw(frames.span.bytes.extracting(start..<(start + frameBytes)))
    }

    /// The read of one visitor.
    func read(ofVisitor visitor: Int) -> Get { Self.read(ofVisitor: visitor, workload) }

    private static func read(ofVisitor visitor: Int, _ workload: Workload) -> Get {
        Get(
            space: workload.settings.space, namespace: "anonymous_id",
            value: workload.visitorID(visitor), deadlineMillis: LoadRun.silenceMillisMax)
    }

    func judge(
        _ reply: Frame, _ number: Int, items: [Int]?, isLast: Bool, _ tally: inout LoadTally
    ) throws(ByteError) -> LoadVerdict {
        guard reply.type == .profile else { throw .unknownTag(reply.type.rawValue, offset: 0) }
        if try ProfileReply(decoding: reply.payload).profile == nil {
            tally.notFound += 1
        } else {
            tally.ok += 1
        }
        return .done
    }
}

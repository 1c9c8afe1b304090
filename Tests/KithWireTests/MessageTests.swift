import Foundation
import KithBytes
import KithCore
import Testing

@testable import KithWire

@Suite struct MessageTests {
    @Test(arguments: Sample.all + Sample.further)
    func `a message survives the round trip`(_ sample: Sample) throws {
        #expect(try sample.recode(sample.payload) == sample.payload)
    }

    @Test(arguments: Sample.all + Sample.further)
    func `every truncation of a message throws`(_ sample: Sample) {
        for count in 0..<sample.payload.count {
            // The opaque maps have no end of their own: only an empty one is too short.
            if sample.type == .statsReply || sample.type == .statusReply, count > 0 { continue }
            #expect(throws: ByteError.self, "\(count) bytes") {
                try sample.recode(Array(sample.payload[..<count]))
            }
        }
    }

    @Test(arguments: Sample.all + Sample.further)
    func `bytes left over are malformed`(_ sample: Sample) {
        guard sample.type != .statsReply, sample.type != .statusReply else { return }

        #expect(throws: ByteError.self) { try sample.recode(sample.payload + [0]) }
    }

    @Test(arguments: Sample.all)
    func `mutated payloads decode or throw, and allocate no more than they bring`(
        _ sample: Sample
    ) throws {
        let seed: UInt64 = 20_240_601
        var random = SeededGenerator(state: seed)
        let before = try Self.addressSpacePeakKiB()

        let siblings = Sample.all.count { $0.type == sample.type }
        for round in 0..<(50_000 / siblings) {
            let bytes = random.mutated(sample.payload)
            if let recoded = try? sample.recode(bytes), recoded != bytes {
                Issue.record("seed \(seed) round \(round): decoding is not exact")
            }
        }

        // A length of all ones that were believed would be 4 GiB or more.
        let growth = try Self.addressSpacePeakKiB() - before
        #expect(growth < 2 << 20, "the address space grew by \(growth) KiB")
    }

    /// The greatest size that the process's address space has had, touched or not.
    static func addressSpacePeakKiB() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmPeak:") })
        return try #require(line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) })
    }

    @Test func `a count above the batch's limit is refused before its items are read`() {
        let payload = Sample.plainBatch.payload

        #expect(throws: ByteError.tooLong(length: 3, limit: 2)) {
            _ = try IngestView(
                decoding: payload.span.bytes, limits: WireLimits(batchEventsMax: 2))
        }
    }

    @Test func `a result count that the payload cannot hold is refused`() {
        var writer = ByteWriter()
        writer.u16(0)
        writer.u32(0)
        writer.u32(.max)

        #expect(throws: ByteError.truncated(needed: Int(UInt32.max), available: 0)) {
            try IngestReply(decoding: writer.bytes.span.bytes)
        }
    }

    @Test func `a token of too many groups is refused`() {
        var writer = ByteWriter()
        writer.u16(257)

        #expect(throws: ByteError.tooLong(length: 257, limit: 256)) {
            try IngestReply(decoding: writer.bytes.span.bytes)
        }
    }

    @Test(arguments: [[(1, 5), (1, 6)], [(2, 5), (1, 6)]] as [[(UInt16, UInt64)]])
    func `a token's groups ascend`(_ entries: [(UInt16, UInt64)]) {
        var writer = ByteWriter()
        writer.u16(UInt16(entries.count))
        for entry in entries {
            writer.u16(entry.0)
            writer.u64(entry.1)
        }
        writer.u32(0)
        writer.u32(0)

        #expect(throws: ByteError.malformed(offset: 0)) {
            try IngestReply(decoding: writer.bytes.span.bytes)
        }
    }

    @Test func `a token keeps the higher index of each group in ascending order`() {
        var token = Sample.token((3, 9), (1, 4))

        token.merge(Sample.token((1, 2), (2, 8), (3, 10)))

        #expect(token == Sample.token((1, 4), (2, 8), (3, 10)))
        #expect(token.index(of: GroupID(2)) == LogIndex(8))
        #expect(token.index(of: GroupID(7)) == nil)
    }

    @Test func `a batch is walked without a copy of its events`() throws {
        let payload = Sample.plainBatch.payload
        let view = try IngestView(decoding: payload.span.bytes)
        var kinds: [IngestItemKind] = []
        var isInside: [Bool] = []

        var items = view.items
        while let item = try items.next() {
            kinds.append(item.kind)
            isInside.append(
                payload.withUnsafeBytes { whole in
                    item.bytes.withUnsafeBytes { part in
                        part.isEmpty
                            || whole.baseAddress! <= part.baseAddress!
                                && part.baseAddress! < whole.baseAddress! + whole.count
                    }
                })
        }

        #expect(view.space == "default")
        #expect(view.count == 3)
        #expect(kinds == [.event, .invalidJSON, .tooLarge])
        #expect(isInside == [true, true, true])
    }

    @Test func `a batch that is emptied keeps its space and its stamps`() throws {
        var batch = Sample.stampedBatch
        let once = batch.payload

        batch.removeAll()
        batch.append(stamp: LogTime(1_700_000_000_000), bytes: Sample.event)

        #expect(batch.payload == once)
        #expect(batch.count == 1)
        #expect(batch.byteCount == once.count)
    }

    @Test func `an item costs what the writer says`() {
        var batch = IngestBatchWriter(space: "s", hasStamps: true)
        let before = batch.byteCount

        batch.append(stamp: LogTime(1), bytes: [1, 2, 3])

        #expect(batch.byteCount - before == batch.itemByteCount(3))
    }

    @Test func `the longest answer to a batch has the bytes that are said, and fits a frame`() {
        let limits = WireLimits()
        let count = Int(limits.batchEventsMax)
        let text = String(repeating: "x", count: WireLimits.noteTextBytesMax)
        let note = EventNote(
            position: 0, .ignored(.limit, namespace: nil, at: .path(0), count: .max))
        var token = SessionToken()
        for group in 0..<WireLimits.tokenGroupsMax {
            token.raise(GroupID(UInt16(group)), to: LogIndex(.max))
        }
        let longest = IngestReply(
            token: token, results: Array(repeating: .rejected(.invalidJSON), count: count),
            silentNodes: (1...64).map {
                NodeSilence(
                    NodeID($0),
                    reason: String(repeating: "x", count: WireLimits.silenceBytesMax + 1))
            },
            shortNodes: (1...64).map { ShortNode(NodeID($0), .disk) },
            notes: Array(repeating: note, count: EventBatch.notesMax), notesLeftOut: .max,
            names: NoteNames(
                namespaces: [text],
                paths: Array(repeating: text, count: WireLimits.noteTextsMax - 1)))

        #expect(longest.encoded().count == IngestReply.bytesMax(itemCount: count))
        #expect(IngestReply.bytesMax(itemCount: count) < Int(limits.frameBytesMax))
    }

    @Test func `what an item usually has is a result and three notes`() {
        func byteCount(_ notes: [EventNote.About]) -> Int {
            IngestReply(
                token: SessionToken(), results: [.rejected(.noIdentifier)],
                notes: notes.map { EventNote(position: 0, $0) }
            ).encoded().count
        }
        let notes: [EventNote.About] = [
            .ignored(.empty, namespace: nil, at: .previousID, count: 1), .timeMoved, .noMessageID,
        ]
        let names = 4 + 1 + 2

        #expect(byteCount(notes) - byteCount([]) - names + 2 == IngestReply.usualItemBytes)
    }

    @Test(arguments: [
        EventNote.About.linkRefused(.limit, namespace: 1), .linkVoid(.age, namespace: 255),
        .ignored(.empty, namespace: 1, at: .externalIDs, count: 1),
        .ignored(.empty, namespace: 0, at: .path(1), count: 1), .isNull(at: .path(65_533)),
        .wrongKind(.beginning(of: 1, steps: 1), .isArray),
        .wrongKind(.beginning(of: 0, steps: 1), .isArray),
        .wrongKind(.beginning(of: 3, steps: 0), .isArray),
    ])
    func `a note of what has no name is malformed`(about: EventNote.About) {
        let sent = IngestReply(
            token: SessionToken(), results: [.ok], notes: [EventNote(position: 0, about)],
            names: NoteNames(namespaces: ["a"], paths: ["b"])
        ).encoded()

        #expect(throws: ByteError.self) { try IngestReply(decoding: sent.span.bytes) }
    }

    @Test func `an error's text is cut at a character`() throws {
        let text = String(repeating: "é", count: 2000)

        let sent = ErrorReply(code: .internalError, text: "x" + text).encoded()
        let received = try ErrorReply(decoding: sent.span.bytes)

        #expect(received.text.utf8.count == WireLimits.errorTextBytesMax - 1)
        #expect(("x" + text).hasPrefix(received.text))
    }

    @Test(
        arguments: [
            (1...1, 1...1, 1), (1...3, 1...2, 2), (2...5, 1...9, 5), (1...2, 3...4, nil),
        ] as [(ClosedRange<UInt8>, ClosedRange<UInt8>, UInt8?)])
    func `the version chosen is the highest that both speak`(
        _ theirs: ClosedRange<UInt8>, _ ours: ClosedRange<UInt8>, _ chosen: UInt8?
    ) {
        let hello = Hello(versions: theirs, clusterName: "", role: .client, software: "")

        #expect(hello.chosenVersion(among: ours) == chosen)
    }

    @Test func `text that is no UTF-8 is malformed`() {
        #expect(throws: ByteError.malformed(offset: 2)) {
            try ErrorReply(decoding: ([1, 0, 1, 0, 0xff, 0, 0, 0, 0] as [UInt8]).span.bytes)
        }
    }

    @Test func `a code of a later version keeps its number`() throws {
        let sent = ErrorReply(code: ErrorCode(rawValue: 900), text: "new").encoded()

        #expect(try ErrorReply(decoding: sent.span.bytes).code.description == "error 900")
    }
}

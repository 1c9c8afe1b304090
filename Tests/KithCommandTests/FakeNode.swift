// A node that answers as a test tells it to: what a real one does only at bad moments, it does at
// the wanted one. Speaks the protocol over one connection at a time, on a thread of its own.

import Foundation
import Glibc
import KithBytes
import KithCore
import Synchronization
import Testing

@testable import KithWire

/// A scripted node on a port of this machine.
final class FakeNode: Sendable {
    /// What it does with a batch that has arrived.
    enum Reaction: Sendable {
        /// Answers so for every event.
        case answer(IngestResult)
        /// Ends the connection without an answer, and takes the next one.
        case hangUp
        /// Ends the connection without an answer, and takes no other.
        case vanish
        /// Says nothing, and goes on reading.
        case keepSilent
        /// Refuses the batch as a whole.
        case refuse(ErrorCode)
        /// Answers so for every event that is sent for the first time, and tells of a link that was
        /// void by age; refuses what is sent again.
        case takeOnce(IngestResult, isVoid: Bool)
    }

    let port: UInt16
    private let listener: Int32
    private let limits: WireLimits
    /// What it answers to `stats` and `status`, and as the profile of everybody.
    private let map: [UInt8]?
    private let state: Mutex<(script: [Reaction], batches: [[UInt8]])>

    var address: String { "127.0.0.1:\(port)" }

    /// Listens. The reactions are to one batch after the other; all later ones are taken. `map` is
    /// what it says to who asks.
    init(
        _ script: [Reaction], limits: WireLimits = WireLimits(), map: [UInt8]? = nil
    ) throws {
        state = Mutex((script, []))
        self.map = map
        self.limits = limits
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && getsockname(listener, $0, &size) == 0
                    && listen(listener, 16) == 0
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        try #require(isListening, "cannot listen: \(errno)")
        let thread = Thread { [weak self] in
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0, let node = self else { break }
                let goesOn = node.serve(descriptor)
                close(descriptor)
                if !goesOn { break }
            }
            close(listener)
        }
        thread.start()
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    /// The messages that arrived, each the events of one batch; null for a line that is no event.
    var batches: [[CBORValue]] {
        state.withLock { state in
            state.batches.map { payload in
                var events: [CBORValue] = []
                do {
                    let view = try IngestView(decoding: payload.span.bytes)
                    var items = view.items
                    while let item = try items.next() {
                        let bytes = item.bytes
                        events.append(item.kind.isEvent ? try CBORValue(decoding: bytes) : .null)
                    }
                } catch {
                    Issue.record("a batch that does not decode: \(error)")
                }
                return events
            }
        }
    }

    /// The kinds of the items that arrived, by batch.
    var kinds: [[IngestItemKind]] {
        state.withLock { state in
            state.batches.map { payload in
                var kinds: [IngestItemKind] = []
                do {
                    let view = try IngestView(decoding: payload.span.bytes)
                    var items = view.items
                    while let item = try items.next() { kinds.append(item.kind) }
                } catch {
                    Issue.record("a batch that does not decode: \(error)")
                }
                return kinds
            }
        }
    }

    /// Answers what comes over one connection; false when the node is to be gone.
    private func serve(_ descriptor: Int32) -> Bool {
        var decoder = FrameDecoder()
        decoder.frameBytesMax = WireLimits().frameBytesMax
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { return true }
            decoder.append(Array(chunk[..<count]))
            do {
                while let frame = try decoder.next() {
                    var writer = ByteWriter()
                    if let end = answer(frame, into: &writer) { return end }
                    let sent = writer.bytes.withUnsafeBytes {
                        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                    }
                    guard sent == writer.count else { return true }
                }
            } catch {
                Issue.record("the client sent no frame: \(error)")
                return true
            }
        }
    }

    /// Writes the answer, or says that the connection ends, and whether there is to be another.
    private func answer(_ frame: Frame, into writer: inout ByteWriter) -> Bool? {
        let id = frame.requestID
        switch frame.type {
        case .hello:
            FrameWriter.write(
                HelloReply(
                    clusterName: "fake", nodeID: NodeID(1), limits: limits, retentionClock: .wall,
                    groups: 1), requestID: id, into: &writer)
        case .ping: FrameWriter.write(Pong(), requestID: id, into: &writer)
        case .ingest:
            let payload = frame.payload.withUnsafeBytes { Array($0) }
            let reaction = state.withLock { state in
                state.batches.append(payload)
                return state.script.isEmpty ? .answer(.ok) : state.script.removeFirst()
            }
            switch reaction {
            case .hangUp: return true
            case .vanish: return false
            case .keepSilent: break
            case .refuse(let code):
                FrameWriter.write(
                    ErrorReply(code: code, text: "as the test says"), requestID: id, into: &writer)
            case .takeOnce(let result, let isVoid):
                answerOnce(payload, result, isVoid, id, into: &writer)
            case .answer(let result):
                // A payload that does not decode is reported where `batches` is read.
                let count = (try? IngestView.itemCount(of: payload)) ?? 0
                FrameWriter.write(
                    IngestReply(
                        token: SessionToken(), results: Array(repeating: result, count: count)),
                    requestID: id, into: &writer)
            }
        case .stats where map != nil:
            FrameWriter.write(StatsReply(map: map ?? []), requestID: id, into: &writer)
        case .status where map != nil:
            FrameWriter.write(StatusReply(map: map ?? []), requestID: id, into: &writer)
        case .get where map != nil:
            FrameWriter.write(ProfileReply(profile: map), requestID: id, into: &writer)
        default: return true
        }
        return nil
    }

    private func answerOnce(
        _ payload: [UInt8], _ result: IngestResult, _ isVoid: Bool, _ id: UInt64,
        into writer: inout ByteWriter
    ) {
        do {
            let view = try IngestView(decoding: payload.span.bytes)
            var items = view.items
            guard let first = try items.next() else { return }
            guard first.kind == .provisional else {
                return FrameWriter.write(
                    ErrorReply(code: .unavailable, text: "as the test says"), requestID: id,
                    into: &writer)
            }
            let notes = (0..<view.count).map {
                EventNote(position: UInt32($0), .linkVoid(.age, namespace: 0))
            }
            FrameWriter.write(
                IngestReply(
                    token: SessionToken(), results: Array(repeating: result, count: view.count),
                    notes: isVoid ? notes : [],
                    names: isVoid ? NoteNames(namespaces: ["device_id"], paths: []) : .none),
                requestID: id, into: &writer)
        } catch {
            Issue.record("a batch that does not decode: \(error)")
        }
    }
}

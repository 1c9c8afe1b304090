// Lines that are sent again at the end of an import: the file that they are kept in, and what
// becomes of them where it takes no more, without a node or with one that is none.

import Foundation
import Glibc
import KithBytes
import KithClient
import KithCore
import KithPorts
import KithRuntime
import KithWire
import Synchronization
import Testing

@testable import kith

@Suite struct HeldLinesTests {
    private static func line(_ number: Int, isTaken: Bool = false, byteCount: Int = 100) -> HeldLine
    {
        HeldLine(
            place: LinePlace(file: 3, line: number), isTaken: isTaken, isUnnamed: number % 2 == 0,
            isAssigned: number % 3 == 0,
            bytes: Array(repeating: UInt8(number % 251), count: byteCount))
    }

    /// Everything that `lines` hands out.
    private static func all(_ lines: HeldLines) async throws -> [HeldLine] {
        var handed: [HeldLine] = []
        try await lines.forEach { handed.append($0) }
        return handed
    }

    @Test(arguments: [0, 1, 100, 10_000])
    func `what is kept comes back in order, and is counted until then`(count: Int) async throws {
        let lines = try HeldLines()
        let kept = (0..<count).map { Self.line($0, isTaken: $0 % 5 == 0) }
        for line in kept { lines.append(line) }
        #expect(lines.count == count && lines.takenCount == (count + 4) / 5)
        #expect(!lines.isFull)

        #expect(try await Self.all(lines) == kept)
        #expect(lines.count == 0 && lines.takenCount == 0)
    }

    @Test func `the file has no name, and nobody else may read it`() throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("kith-held-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let lines = try HeldLines(in: folder.path)
        for number in 0..<10_000 { lines.append(Self.line(number)) }

        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
        }
        #expect(open.contains { $0.hasPrefix(folder.path) && $0.hasSuffix("(deleted)") })
    }

    @Test func `it is full at its bound, and takes what is under way beyond it`() async throws {
        let lines = try HeldLines(bytesMax: 1_000)
        var kept: [HeldLine] = []
        while !lines.isFull {
            kept.append(Self.line(kept.count))
            lines.append(kept[kept.count - 1])
        }
        #expect(kept.count == 9)
        for _ in 0..<5 {
            kept.append(Self.line(kept.count))
            lines.append(kept[kept.count - 1])
        }

        #expect(lines.failure == nil)
        #expect(lines.fullness == "1000 B of lines to send again")
        #expect(try await Self.all(lines) == kept)
    }

    @Test func `without a folder it says which`() {
        let error = #expect(throws: InputError.self) { try HeldLines(in: "/nowhere/at/all") }
        #expect(
            error?.description
                == "no file for lines to send again in /nowhere/at/all: No such file or directory")
    }

    /// Time as the machine has it, and as much later as the test says.
    private final class LaterClock: Clock {
        private let clock = LinuxClock()
        private let later = Atomic<UInt64>(0)

        func pass(seconds: UInt64) { later.add(seconds * 1_000_000_000, ordering: .relaxed) }
        func wallTime() -> LogTime { clock.wallTime() }
        func monotonicNanoseconds() -> UInt64 {
            clock.monotonicNanoseconds() + later.load(ordering: .relaxed)
        }
        func bootNanoseconds() -> UInt64 { clock.bootNanoseconds() }
        func sleep(nanoseconds: UInt64, on loop: any Loop) async throws {
            try await clock.sleep(nanoseconds: nanoseconds, on: loop)
        }
    }

    private static let old = #"{"type":"page","anonymousId":"a","timestamp":"2020-01-01"}"#
    private static let now = #"{"type":"page","anonymousId":"a"}"#

    /// An ingest on threads of its own: a test that waits for it holds up no other.
    private final class Ingest: Sendable {
        private let outcome = Mutex<IngestRun.Outcome?>(nil)
        private let done = DispatchSemaphore(value: 0)

        init(
            _ file: String, into node: FakeNode, clock: any Clock = LinuxClock(),
            change: @escaping @Sendable (inout IngestRun.Settings) -> Void = { _ in }
        ) {
            Thread.detachNewThread {
                do {
                    let outcome = try Runtime.run(loopCount: 2) { runtime in
                        await HeldLinesTests.run(file, node, clock, runtime, change)
                    }
                    self.outcome.withLock { $0 = outcome }
                } catch {
                    Issue.record("\(error)")
                }
                self.done.signal()
            }
        }

        /// Waits for its end.
        func end() throws -> IngestRun.Outcome {
            #expect(done.wait(timeout: .now() + .seconds(60)) == .success, "it does not end")
            return try #require(outcome.withLock { $0 })
        }
    }

    private static func run(
        _ file: String, _ node: FakeNode, _ clock: any Clock, _ runtime: Runtime,
        _ change: @Sendable (inout IngestRun.Settings) -> Void
    ) async -> IngestRun.Outcome {
        let client = Client(
            addresses: [NodeAddress(host: "127.0.0.1", port: node.port)], options: ClientOptions(),
            network: runtime.network, clock: runtime.clock, loop: runtime.loops[0])
        var settings = IngestRun.Settings(
            names: [file], space: "default", window: 4, errorsShownMax: 20, isQuiet: true,
            patience: 5)
        change(&settings)
        let feed = BatchFeed(
            names: settings.names,
            settings: LineBatcher.Settings(
                space: "default", eventBytesMax: 32 << 10, runID: "run"),
            clock: clock, loop: runtime.loops[1])
        let run = IngestRun(
            settings, clients: [client], feed: feed, console: Console(), clock: clock,
            loop: runtime.loops[0])
        return await withTaskGroup(of: Void.self) { group in
            group.addTask { await client.run() }
            let outcome = await run.run(isEventClock: false)
            await client.close()
            return outcome
        }
    }

    private static func file(_ lines: [String]) throws -> String {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("kith-lines-" + UUID().uuidString).path
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    private static func wait(until isTrue: () -> Bool) {
        let end = Date().addingTimeInterval(20)
        while !isTrue(), Date() < end { usleep(10_000) }
    }

    @Test func `ten seconds without a line send old lines of a stream again`() throws {
        let node = try FakeNode([.answer(.expiredOnArrival), .answer(.ok)])
        let clock = LaterClock()
        let pipe = Pipe()
        let name = "/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)"
        let ingest = Ingest(name, into: node, clock: clock)
        pipe.fileHandleForWriting.write(Data((Self.old + "\n").utf8))
        Self.wait { node.batches.count == 1 }
        clock.pass(seconds: 8)
        // Longer than the feed waits for a byte.
        usleep(500_000)
        #expect(node.batches.count == 1, "it was sent again too early")

        clock.pass(seconds: 2)
        Self.wait { node.batches.count == 2 }
        #expect(node.batches.count == 2 && node.batches.last == node.batches.first)
        // The stream goes on, and old lines are kept again.
        pipe.fileHandleForWriting.write(Data((Self.now + "\n").utf8))
        Self.wait { node.batches.count == 3 }
        try pipe.fileHandleForWriting.close()

        let outcome = try ingest.end()
        #expect(outcome.tally.accepted == 2 && outcome.tally.total == 2)
        #expect(outcome.errors.isEmpty, "\(outcome.errors)")
        #expect(node.batches.count == 3)
    }

    @Test(arguments: [IngestResult.ok, .expiredOnArrival])
    func `what a silence leaves is kept until the end, and then counted once`(
        end: IngestResult
    ) throws {
        // At the silence, for what came behind it, at the end, and for the last time.
        let node = try FakeNode(
            [.expiredOnArrival, .expiredOnArrival, .ok, end, end].map { .answer($0) })
        let clock = LaterClock()
        let pipe = Pipe()
        let name = "/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)"
        let ingest = Ingest(name, into: node, clock: clock)
        pipe.fileHandleForWriting.write(Data((Self.old + "\n").utf8))
        Self.wait { node.batches.count == 1 }
        usleep(500_000)
        clock.pass(seconds: 10)
        Self.wait { node.batches.count == 2 }
        // Nothing came since: there is nobody new whom it could be about.
        usleep(500_000)
        clock.pass(seconds: 30)
        usleep(500_000)
        #expect(node.kinds == [[.provisional], [.provisionalAgain]])

        pipe.fileHandleForWriting.write(Data((Self.now + "\n").utf8))
        Self.wait { node.batches.count == 3 }
        try pipe.fileHandleForWriting.close()

        let outcome = try ingest.end()
        let isTaken = end == .ok
        #expect(
            node.kinds.dropFirst(2)
                == [[.provisional], [.provisionalAgain]] + (isTaken ? [] : [[.last]]))
        #expect(outcome.tally.accepted == (isTaken ? 2 : 1))
        #expect(outcome.tally.expiredOnArrival == (isTaken ? 0 : 1))
        #expect(outcome.tally.total == 2 && outcome.errors.isEmpty, "\(outcome.errors)")
    }

    @Test(arguments: [false, true])
    func `where the patience ends between two sendings, what is left is told apart`(
        isVoid: Bool
    ) throws {
        let node = try FakeNode(
            Array(
                repeating: .takeOnce(isVoid ? .ok : .expiredOnArrival, isVoid: isVoid), count: 1_000
            ))
        let file = try Self.file(Array(repeating: Self.old, count: 1_500))
        defer { unlink(file) }

        let outcome = try Ingest(file, into: node) { $0.patience = 0 }.end()

        let tally = outcome.tally
        #expect(tally.total == 1_500 && tally.expiredOnArrival == 0 && tally.linksVoid.isEmpty)
        if isVoid {
            #expect(tally.accepted == 1_500 && tally.linksLeft == 1_500)
        } else {
            #expect(tally.unsent == 1_000 && tally.leftProvisional == 500)
        }
        #expect(
            outcome.errors.contains("stopped: from \(file):1 on, lines may not be stored"),
            "\(outcome.errors)")
    }

    @Test func `beyond the bound lines are counted as they come, and that is told once`() throws {
        let node = try FakeNode(Array(repeating: .answer(.expiredOnArrival), count: 1_000))
        // Many more than are under way at a time: those were sent to be sent again, and are.
        let count = 40_000
        let file = try Self.file(Array(repeating: Self.old, count: count))
        defer { unlink(file) }

        let outcome = try Ingest(file, into: node) { $0.heldLinesBytesMax = 100_000 }.end()

        #expect(outcome.tally.expiredOnArrival == count && outcome.tally.total == count)
        #expect(outcome.errors.count == 1)
        let told = try #require(outcome.errors.first)
        #expect(
            told.hasPrefix("97.7 KiB of lines to send again; old lines after \(file):")
                && told.hasSuffix(" are not sent again"), "\(told)")
        // Twice more those that were kept: nothing is taken, and then for the last time.
        let sent = node.batches.reduce(0) { $0 + $1.count }
        #expect(sent > count && sent < 3 * count, "\(sent)")
        #expect((sent - count) % 2 == 0, "\(sent)")
    }

    @Test func `without a file for them lines are counted as they come, and that is told`() throws {
        let node = try FakeNode(Array(repeating: .answer(.expiredOnArrival), count: 1_000))
        let file = try Self.file(Array(repeating: Self.old, count: 50))
        defer { unlink(file) }

        let outcome = try Ingest(file, into: node) { $0.heldFolder = "/nowhere" }.end()

        #expect(outcome.tally.expiredOnArrival == 50 && outcome.tally.total == 50)
        #expect(
            outcome.errors == [
                "no file for lines to send again in /nowhere: No such file or directory; old lines "
                    + "are not sent again"
            ])
        #expect(node.batches.count == 1)
    }
}

/// The same through the built program.
@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct HeldLinesProcessTests {
    private static let old = #"{"type":"page","anonymousId":"a","timestamp":"2020-01-01"}"#

    /// The disk is full, as far as the program can tell: it may write files of 16 blocks.
    @Test func `where the file takes no more, each line is counted once, and that is told`()
        throws
    {
        let node = try FakeNode(Array(repeating: .answer(.expiredOnArrival), count: 1_000))
        let program = try #require(Built.program)
        let lines = Array(repeating: Self.old, count: 10_000).joined(separator: "\n")

        let result = try Run(
            [
                "-c", "ulimit -f 16; exec \"$0\" \"$@\"", program, "ingest", "-", "--json",
                "--node", node.address,
            ], input: lines, program: "/bin/sh"
        ).end()

        #expect(result.code == 1, "\(result.error)")
        let summary = try JSONTranscoder.tree(Array(result.output.utf8))
        #expect(summary["expiredOnArrival"] == 10_000 && summary["events"] == 10_000)
        guard case .array(let errors)? = summary["errors"] else {
            Issue.record("no errors in \(summary)")
            return
        }
        // Of the input, and of the pass that cannot keep them either.
        #expect(errors.count == 2)
        for told in ["old lines after (standard input):", "the rest is sent for the last time"] {
            #expect(
                result.error.contains("lines to send again: File too large; \(told)"),
                "\(result.error)")
        }
        // Those that were kept come again, out of memory too.
        #expect(node.batches.reduce(0) { $0 + $1.count } > 10_000)
    }

    @Test func `a temporary folder that cannot be written is told, and nothing is lost`() throws {
        let node = try FakeNode(Array(repeating: .answer(.expiredOnArrival), count: 10))

        let result = try Run(
            ["ingest", "-", "--json", "--node", node.address], input: Self.old,
            variables: ["TMPDIR": "/proc"]
        ).end()

        #expect(result.code == 1)
        #expect(
            result.error.contains("no file for lines to send again in /proc: ")
                && result.error.contains("; old lines are not sent again"), "\(result.error)")
        let summary = try JSONTranscoder.tree(Array(result.output.utf8))
        #expect(summary["expiredOnArrival"] == 1 && summary["events"] == 1)
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func `a signal tells what was kept apart, and says where it stopped`(_ signal: Int32) throws {
        let node = try FakeNode([.answer(.expiredOnArrival)])
        let pipe = Pipe()
        let ingest = try Run(
            ["ingest", "-", "--json", "--node", node.address], openInput: pipe)
        pipe.fileHandleForWriting.write(Data((Self.old + "\n").utf8))
        while node.batches.isEmpty { usleep(10_000) }

        ingest.signal(signal)
        let result = ingest.end()

        #expect(result.code == 130)
        let summary = try JSONTranscoder.tree(Array(result.output.utf8))
        // The node has not counted it, and it is what comes next.
        #expect(summary["expiredOnArrival"] == 0 && summary["leftProvisional"] == 1)
        #expect(summary["events"] == 1 && summary["stoppedAt"] == "(standard input):1")
        #expect(result.error.contains("stopped at (standard input):1"), "\(result.error)")
        try pipe.fileHandleForWriting.close()
    }

    /// `timeout` sends its signal to the process, and then to the group that the process is in.
    @Test(arguments: [SIGINT, SIGTERM])
    func `one signal that comes twice within a moment is one`(_ signal: Int32) throws {
        let node = try FakeNode([.keepSilent])
        let pipe = Pipe()
        let ingest = try Run(
            ["ingest", "-", "--json", "--patience", "2", "--node", node.address], openInput: pipe)
        pipe.fileHandleForWriting.write(Data((Self.old + "\n").utf8))
        while node.batches.isEmpty { usleep(10_000) }

        ingest.signal(signal)
        // The first one is taken by then: two at once may be one to the kernel.
        usleep(20_000)
        ingest.signal(signal)
        usleep(300_000)
        #expect(ingest.process.isRunning, "it waits for what is under way")

        ingest.signal(signal)
        let result = ingest.end()
        #expect(result.code == 128 + signal)
        #expect(result.error.contains("ended at once"), "\(result.error)")
        try pipe.fileHandleForWriting.close()
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func `a second signal ends it at once, and that is said`(_ signal: Int32) throws {
        let node = try FakeNode([.keepSilent])
        let pipe = Pipe()
        let ingest = try Run(
            ["ingest", "-", "--json", "--node", node.address], openInput: pipe)
        pipe.fileHandleForWriting.write(Data((Self.old + "\n").utf8))
        while node.batches.isEmpty { usleep(10_000) }
        let began = Date()
        ingest.signal(signal)
        // The first one is taken by then: two at once may be one to the kernel.
        usleep(300_000)
        #expect(ingest.process.isRunning, "it waits for what is under way")

        ingest.signal(signal)
        let result = ingest.end()

        #expect(Date().timeIntervalSince(began) < 5)
        #expect(result.code == 128 + signal)
        #expect(result.output.isEmpty)
        #expect(
            result.error.contains(
                "ended at once; what was under way may or may not be stored"), "\(result.error)")
        try pipe.fileHandleForWriting.close()
    }
}

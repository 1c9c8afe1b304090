// What `kith ingest` tells people and programs when nodes go away at a bad moment, and what it
// sends again then.

import Foundation
import Glibc
import KithBytes
import KithWire
import Testing
import kith

@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct IngestProcessTests {
    private static func ingest(
        _ node: FakeNode, _ lines: [String], _ options: String...
    ) throws -> (code: Int32, summary: CBORValue, error: String) {
        let result = try Run(
            ["ingest", "-", "--json", "--patience", "1", "--node", node.address] + options,
            input: lines.joined(separator: "\n")
        ).end()
        return (result.code, try JSONTranscoder.tree(Array(result.output.utf8)), result.error)
    }

    private static let page = #"{"type":"page","userId":"u"}"#

    @Test func `an event whose fate is not known stays so when the node is gone for good`() throws {
        let node = try FakeNode([.vanish])

        let result = try Self.ingest(node, [Self.page, Self.page])

        #expect(result.code == 4)
        #expect(node.batches.count == 1)
        let lines = result.error.split(separator: "\n")
        let told = lines.filter { $0.hasSuffix("trying for up to 1 s") }
        #expect(told.count == 1, "\(result.error)")
        #expect(result.summary["unknown"] == 2)
        #expect(result.summary["overloaded"] == 0)
        #expect(result.summary["unsent"] == 0)
    }

    @Test func `an event that a node had no room for is no unsent one, and neither is unknown`()
        throws
    {
        let overloaded = try FakeNode(Array(repeating: .answer(.overloaded), count: 100))
        let refusing = try FakeNode(Array(repeating: .refuse(.shuttingDown), count: 100))

        let first = try Self.ingest(overloaded, [Self.page])
        let second = try Self.ingest(refusing, [Self.page])

        #expect(first.code == 1)
        #expect(first.summary["overloaded"] == 1)
        #expect(first.summary["unsent"] == 0)
        #expect(first.summary["unknown"] == 0)
        #expect(second.code == 4)
        #expect(second.summary["overloaded"] == 0)
        #expect(second.summary["unsent"] == 1)
        #expect(second.summary["unknown"] == 0)
    }

    @Test func `after a lost answer events are sent again and refused lines are not`() throws {
        let node = try FakeNode([.hangUp])

        let result = try Self.ingest(node, [Self.page, "no json", Self.page])

        let batches = node.batches
        #expect(batches.map(\.count) == [3, 2])
        #expect(batches.last == [batches[0][0], batches[0][2]])
        #expect(result.code == 1)
        #expect(result.summary["accepted"] == 2)
        #expect(result.summary["rejectedByReason"] == ["invalid_json": 1])
    }

    @Test func `after a lost answer an event that could count twice is not sent again`() throws {
        var limits = WireLimits()
        limits.eventBytesMax = 60
        let node = try FakeNode([.hangUp], limits: limits)
        // There is no room for an id in the second.
        let lines = [#"{"a":"x"}"#, #"{"a":"\#(String(repeating: "x", count: 40))"}"#]

        let result = try Self.ingest(node, lines)

        let batches = node.batches
        #expect(batches.map(\.count) == [2, 1])
        #expect(batches[0][0]["messageId"] != nil)
        #expect(batches[0][1]["messageId"] == nil)
        #expect(result.code == 1)
        #expect(result.summary["accepted"] == 1)
        #expect(result.summary["unknown"] == 1)
    }

    private static func namedPipe(_ folder: URL) throws -> String {
        let path = folder.appendingPathComponent("events").path
        try #require(mkfifo(path, 0o600) == 0, "errno \(errno)")
        return path
    }

    @Test func `events come from a named pipe`() throws {
        let node = try TestNode()
        let path = try Self.namedPipe(node.folder)
        let script = #"printf '%s\n' "$1" "$1" > "$0""#
        let writer = try Run(["-c", script, path, Self.page], program: "/bin/sh")

        let ingest = try Run(["ingest", path, "--json", "--node", node.address])
        let guardian = DispatchWorkItem { [process = ingest.process] in process.signal(SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(30), execute: guardian)
        let result = ingest.end()
        guardian.cancel()

        #expect(result.code == 0, "\(result.error)")
        #expect(try JSONTranscoder.tree(Array(result.output.utf8))["accepted"] == 2)
        if result.code != 0 { writer.signal(SIGKILL) }
        #expect(writer.end().code == 0, "what it wrote was read to its end")
    }

    /// Who opens one to look waits for somebody who writes, and leaves them alone with the rest.
    @Test func `a named pipe is not opened before it is read`() throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("kith-pipe-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = try Self.namedPipe(folder)

        // Nobody listens there, and nobody writes into the pipe.
        let ingest = try Run(["ingest", path, "--patience", "1", "--node", "127.0.0.1:1"])
        let guardian = DispatchWorkItem { [process = ingest.process] in process.signal(SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(30), execute: guardian)
        let result = ingest.end()
        guardian.cancel()

        #expect(result.code == 4, "\(result.error)")
    }

    @Test func `an ingest from an open pipe ends by itself when the cluster is gone`() throws {
        let node = try TestNode()
        let pipe = Pipe()
        let ingest = try Run(
            ["ingest", "-", "--patience", "1", "--node", node.address], openInput: pipe)
        try pipe.fileHandleForWriting.write(contentsOf: Data((Self.page + "\n").utf8))
        // Waits for the first event to be in, which is why no time is told here.
        while try node.stats()["events"]?["accepted"] != 1 {}

        node.crash()
        try pipe.fileHandleForWriting.write(contentsOf: Data((Self.page + "\n").utf8))
        let result = ingest.end()

        #expect(result.code == 4)
        #expect(result.output.contains("accepted"), "\(result.output)")
        #expect(result.error.contains("no node answers at \(node.address)"), "\(result.error)")
        try pipe.fileHandleForWriting.close()
    }
}

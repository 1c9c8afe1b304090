import Foundation
import Testing
import kith

/// Three processes, one of which comes back with another data folder than it had.
@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct FolderProcessTests {
    private static func events(_ stem: String) -> String {
        (0..<60).map {
            #"{"type":"identify","userId":"\#(stem)-\#($0)","anonymousId":"a-\#(stem)-\#($0)","messageId":"\#(stem)\#($0)"}"#
        }.joined(separator: "\n")
    }

    /// Three nodes that hold events and have heard of each other.
    private static func cluster() throws -> TestCluster {
        let cluster = try TestCluster(3)
        try ingest(cluster, "one")
        Thread.sleep(forTimeInterval: 2.5)
        return cluster
    }

    private static func ingest(_ cluster: TestCluster, _ stem: String) throws {
        let result = try cluster.kith(1, "ingest", "-", "--quiet", input: events(stem))
        #expect(result.code == 0, "\(result.error)")
    }

    /// A node that listens ends by itself, and says why.
    private static func expectRefusal(_ run: Run, _ word: String) {
        let end = run.end()
        #expect(end.code == 1)
        #expect(end.error.contains(word), "\(end.error)")
    }

    @Test func `an empty folder is refused, and begins anew where that is meant`() throws {
        let cluster = try Self.cluster()
        #expect(cluster.stop(2) == 0)
        let data = cluster.data(2)
        try FileManager.default.moveItem(
            at: data, to: cluster.folder.appendingPathComponent("lost"))

        // Not there: made anew, and refused by the others.
        Self.expectRefusal(try cluster.serve(2, data: data), "data folder")
        // There and empty, as a mount point is.
        try FileManager.default.removeItem(at: data)
        try FileManager.default.createDirectory(at: data, withIntermediateDirectories: false)
        Self.expectRefusal(try cluster.serve(2, data: data), "is its disk mounted?")
        #expect(try FileManager.default.contentsOfDirectory(atPath: data.path).isEmpty)
        let status = try cluster.kith(1, "status").output
        #expect(status.contains("down"), "\(status)")

        try cluster.start(2, "--new")
        Thread.sleep(forTimeInterval: 1.5)
        try Self.ingest(cluster, "two")
        #expect(try cluster.kith(2, "get", "user_id:two-7").code == 0)
        #expect(cluster.stop(2) == 0)
        try cluster.start(2)
    }

    @Test func `an older folder is refused, and taken where that is meant`() throws {
        let cluster = try Self.cluster()
        #expect(cluster.stop(2) == 0)
        let copy = cluster.folder.appendingPathComponent("copy")
        try FileManager.default.copyItem(at: cluster.data(2), to: copy)
        try cluster.start(2)
        Thread.sleep(forTimeInterval: 1.5)
        try Self.ingest(cluster, "two")
        Thread.sleep(forTimeInterval: 1.5)
        #expect(cluster.stop(2) == 0)
        try FileManager.default.removeItem(at: cluster.data(2))
        try FileManager.default.copyItem(at: copy, to: cluster.data(2))

        Self.expectRefusal(try cluster.serve(2, data: cluster.data(2)), "--restored")
        #expect(
            try cluster.kith(1, "status", "--json").output
                .contains("it was started, and did not come up: its own log says why"))

        try cluster.start(2, "--restored")
        Thread.sleep(forTimeInterval: 1.5)
        #expect(try cluster.kith(3, "get", "user_id:one-7").code == 0)
        try Self.ingest(cluster, "two")
        #expect(try cluster.kith(3, "get", "user_id:two-7").code == 0)
    }

    @Test func `a copy at another port does not run beside its original`() throws {
        let cluster = try Self.cluster()
        let copy = cluster.folder.appendingPathComponent("copy")
        try FileManager.default.copyItem(at: cluster.data(2), to: copy)

        Self.expectRefusal(try cluster.serve(2, data: copy, "--port", "0"), "runs already")

        try Self.ingest(cluster, "two")
    }

    @Test func `a node whose folder is removed acknowledges nothing more, and ends`() throws {
        let cluster = try TestCluster(1)
        try Self.ingest(cluster, "one")
        try FileManager.default.removeItem(at: cluster.data(1))

        let result = try cluster.kith(
            1, "ingest", "-", "--quiet", "--patience", "1", input: Self.events("two"))
        #expect(result.code != 0, "\(result.output)")
        let end = try #require(cluster.wait(1))
        #expect(end.code == 1)
        #expect(end.error.contains("was removed, moved or cut short while the node ran"))
    }

    @Test func `a foreign folder is refused`() throws {
        let cluster = try Self.cluster()
        #expect(cluster.stop(2) == 0)
        #expect(cluster.stop(3) == 0)

        Self.expectRefusal(try cluster.serve(2, data: cluster.data(3)), "its node is 3")
    }
}

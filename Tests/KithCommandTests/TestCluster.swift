import Foundation
import Glibc
import KithBytes
import Testing
import kith

/// A cluster of several nodes, a process each, in a folder of its own, removed at the end.
final class TestCluster {
    let folder: URL
    let ports: [UInt16]
    private var runs: [Run?]
    private let configPath: String
    private let descriptorsMax: Int?

    /// Starts `count` nodes. `settings` are members of the cluster file beside its nodes. With at
    /// most `descriptorsMax` descriptors each, where that is given.
    init(
        _ count: Int, settings: String = #""replicas": 1"#, descriptorsMax: Int? = nil
    ) throws {
        self.descriptorsMax = descriptorsMax
        folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("kith-cluster-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        ports = try Self.freePorts(count)
        runs = Array(repeating: nil, count: count)
        let nodes = ports.enumerated().map { place, port in
            #"{"id": \#(place + 1), "host": "127.0.0.1", "port": \#(port)}"#
        }
        configPath = folder.appendingPathComponent("cluster.json").path
        let text = #"{"name": "test", \#(settings), "nodes": [\#(nodes.joined(separator: ","))]}"#
        try Data(text.utf8).write(to: URL(fileURLWithPath: configPath))
        // A first start waits for the others.
        for number in 1...count { try begin(number) }
        for number in 1...count { try awaitServing(number) }
    }

    deinit {
        for number in 1...runs.count { crash(number) }
        // Leftovers in a temporary folder do no harm.
        try? FileManager.default.removeItem(at: folder)
    }

    var count: Int { ports.count }
    func address(_ number: Int) -> String { "127.0.0.1:\(ports[number - 1])" }
    /// All addresses, the node of that number first.
    func addresses(from number: Int = 1) -> String {
        (0..<count).map { address(($0 + number - 1) % count + 1) }.joined(separator: ",")
    }

    /// The data folder of a node.
    func data(_ number: Int) -> URL { folder.appendingPathComponent("node-\(number)") }

    /// Runs a node on any folder, and does not wait.
    func serve(_ number: Int, data: URL, _ more: String...) throws -> Run {
        try Run(
            ["serve", "--config", configPath, "--node", "\(number)", "--data", data.path] + more)
    }

    /// Starts a node and waits until it listens.
    func start(_ number: Int, _ more: String...) throws {
        try begin(number, more)
        try awaitServing(number)
    }

    private func begin(_ number: Int, _ more: [String] = []) throws {
        runs[number - 1] = try Run(
            [
                "serve", "--config", configPath, "--node", "\(number)", "--data",
                data(number).path,
            ] + more, descriptorsMax: descriptorsMax)
    }

    private func awaitServing(_ number: Int) throws {
        guard let run = runs[number - 1], run.line() == nil else { return }
        runs[number - 1] = nil
        throw TestNodeError(text: run.end().error)
    }

    /// Ends a node as a crash does.
    func crash(_ number: Int) {
        runs[number - 1]?.signal(SIGKILL)
        runs[number - 1]?.process.waitUntilExit()
        runs[number - 1] = nil
    }

    /// Stops a node cleanly; its exit code.
    func stop(_ number: Int) -> Int32? {
        runs[number - 1]?.signal(SIGTERM)
        defer { runs[number - 1] = nil }
        return runs[number - 1]?.end().code
    }

    /// Stops a node cleanly, and gives what it said.
    func end(_ number: Int) -> (code: Int32, output: String, error: String)? {
        runs[number - 1]?.signal(SIGTERM)
        defer { runs[number - 1] = nil }
        return runs[number - 1]?.end()
    }

    /// Waits until a node has ended by itself, and gives what it said.
    func wait(_ number: Int) -> (code: Int32, output: String, error: String)? {
        defer { runs[number - 1] = nil }
        return runs[number - 1]?.end()
    }

    /// Has a node stand still, or go on.
    func signal(_ number: Int, _ signal: Int32) { runs[number - 1]?.signal(signal) }

    /// The process of a node that runs.
    func process(_ number: Int) throws -> Int32 {
        try #require(runs[number - 1]).process.processIdentifier
    }

    /// Runs a client command against one node, to its end.
    func kith(
        _ node: Int, _ arguments: String..., input: String? = nil
    ) throws -> (code: Int32, output: String, error: String) {
        try Run(arguments + ["--node", address(node)], input: input).end()
    }

    /// The totals, as that node tells them.
    func stats(_ node: Int) throws -> CBORValue {
        try JSONTranscoder.tree(Array(try kith(node, "stats", "--json").output.utf8))
    }

    /// The path of a new file with `text`.
    func file(_ name: String, _ text: String) throws -> String {
        let url = folder.appendingPathComponent(name)
        try Data(text.utf8).write(to: url)
        return url.path
    }

    /// Ports that nobody listens on at this moment: nodes must know each other's before they start.
    private static func freePorts(_ count: Int) throws -> [UInt16] {
        var descriptors: [Int32] = []
        defer { for descriptor in descriptors { close(descriptor) } }
        return try (0..<count).map { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            descriptors.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isBound = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
                }
            }
            try #require(isBound, "no free port: \(errno)")
            return UInt16(bigEndian: address.sin_port)
        }
    }
}

import Glibc
import KithPorts
import Synchronization
import Testing

@testable import KithRuntime

/// Runs `body` with running loops, which end with it.
func withLoops<R>(
    _ count: Int = 1, _ body: ([EventLoop]) async throws -> R
) async throws -> R {
    let loops = try (0..<count).map { try EventLoop(name: "test-loop-\($0)") }
    defer {
        for loop in loops { loop.stop() }
        for loop in loops { loop.join() }
    }
    return try await body(loops)
}

/// An actor pinned to a loop, which writes down what it is told.
actor Recorder {
    let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    private(set) var values: [Int] = []

    init(loop: EventLoop) { self.loop = loop }

    func append(_ value: Int) { values.append(value) }

    /// Appends to another actor without awaiting it: legal on the same loop only.
    func appendInline(_ value: Int, to other: Recorder) -> Int {
        preconditionIsolated()
        return other.assumeIsolated { other in
            other.values.append(value)
            return other.values.count
        }
    }

    /// Appends from outside without awaiting: legal on the actor's loop only.
    nonisolated func appendHere(_ value: Int) -> Int {
        assumeIsolated { recorder in
            recorder.values.append(value)
            return recorder.values.count
        }
    }

    /// `appendInline`, after having been on another loop and come back.
    func appendInline(_ value: Int, to other: Recorder, after distant: Recorder) async -> Int {
        await distant.append(value)
        return appendInline(value, to: other)
    }

    /// Calls another actor again and again; how many turns of this actor's loop that took.
    func call(_ other: Recorder, _ count: Int) async -> UInt64 {
        let before = loop.turn
        for value in 0..<count {
            await other.append(value)
            values.append(value)
        }
        return loop.turn - before
    }

    /// Suspends by way of a nonisolated function; whether that happened on the loop.
    func waitThere() async -> Bool { await isWaitOnLoop(loop) }

    /// Runs `body` as a part of this actor.
    func run<R: Sendable>(
        _ body: @Sendable (isolated Recorder) async throws -> R
    ) async rethrows -> R {
        try await body(self)
    }
}

/// Whether a suspension in a nonisolated function stays on the loop of its caller.
func isWaitOnLoop(_ loop: EventLoop) async -> Bool {
    await suspend { continuation in
        continuation.resume(returning: loop.isCurrent)
    } onCancel: {
    }
}

/// Waits until `condition` holds; false if it does not within twenty seconds.
func eventually(_ loop: EventLoop, _ condition: () -> Bool) async throws -> Bool {
    for _ in 0..<20_000 {
        if condition() { return true }
        try await LinuxClock().sleep(nanoseconds: 1_000_000, on: loop)
    }
    return false
}

/// A pair of connected streams: the client's end on the first loop, the server's on the last.
func connectedPair(_ loops: [EventLoop]) async throws -> (client: LinuxStream, server: LinuxStream)
{
    let network = LinuxNetwork()
    let listener = try await network.listen(host: "127.0.0.1", port: 0, loops: [loops.last!])
    let client = try await network.connect(
        host: "127.0.0.1", port: listener.port, loop: loops[0])
    let server = try #require(try await listener.accept())
    await listener.close()
    return (try #require(client as? LinuxStream), try #require(server as? LinuxStream))
}

/// A blocking client socket of the plain kind, for what the port does not offer.
func plainClient(port: UInt16, isBlocking: Bool = true) -> Int32 {
    let kind = SOCK_STREAM.rawValue | (isBlocking ? 0 : SOCK_NONBLOCK.rawValue)
    let raw = socket(AF_INET, Int32(kind), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    _ = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    return raw
}

/// The names of this process's threads.
func threadNames() -> [String] {
    guard let directory = opendir("/proc/self/task") else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let id = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        let raw = open("/proc/self/task/\(id)/comm", O_RDONLY)
        if raw < 0 { continue }
        defer { close(raw) }
        var name = [UInt8](repeating: 0, count: 32)
        let count = read(raw, &name, 32)
        names.append(String(decoding: name.prefix(max(0, count - 1)), as: UTF8.self))
    }
    return names
}

/// A small generator, so that a failing run can be repeated from its seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// A number that tasks and threads share.
final class SharedCount: Sendable {
    private let number = Atomic<Int>(0)
    var value: Int { number.load(ordering: .relaxed) }
    func increment() { number.add(1, ordering: .relaxed) }
}

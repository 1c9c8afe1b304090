import KithPorts
import Testing

@testable import KithSimulation

/// A value that tasks of one simulation share. `@unchecked Sendable`: one thread.
final class Shared<Value>: @unchecked Sendable {
    var value: Value
    init(_ value: Value) { self.value = value }
}

/// An actor pinned to a lane, with state to touch, so that no call to it can be optimised away.
actor Counter {
    let lane: Lane
    private(set) var total = 0

    init(on lane: Lane) { self.lane = lane }

    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    @discardableResult
    func add(_ amount: Int) -> Int {
        total += amount
        return total
    }

    /// Adds here, then in each counter of `others` in turn.
    func add(_ amount: Int, through others: ArraySlice<Counter>) async {
        total += amount
        if let next = others.first { await next.add(amount, through: others.dropFirst()) }
        total += 0
    }

    /// Steps that the world took during a call to `other`.
    func stepsOfCall(to other: Counter) async -> Int {
        let before = lane.simulator.stepCount
        total += await other.add(1)
        return lane.simulator.stepCount - before
    }

    /// Reads `other` without a call, which is right only on the same loop.
    func peek(at other: Counter) -> Int {
        other.preconditionIsolated()
        total += 1
        return other.assumeIsolated { $0.total }
    }
}

/// Reads exactly `count` bytes; fewer when the stream ends.
func readAll(_ stream: any ByteStream, count: Int) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
        let more = try await stream.read(atMost: count - bytes.count)
        if more.isEmpty { break }
        bytes += more
    }
    return bytes
}

/// The error that `body` throws, if it is a network error.
func networkError(_ body: () async throws -> Void) async -> NetworkError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? NetworkError
    }
}

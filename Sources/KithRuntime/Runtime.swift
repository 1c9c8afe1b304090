// A whole process's worth of ports, and the order in which they go down: the network's resolver,
// then the disk (which finishes what it has begun and hands the results to the loops), then the
// loops (whose sleepers and sockets wake with errors, and whose ready jobs still run).

internal import CLinux
internal import KithPorts
internal import Synchronization

/// The ports of a node or a client, made of Linux. Must be shut down.
public final class Runtime: Sendable {
    /// The event loops; at least one.
    public let loops: [EventLoop]
    /// The disk below the data folder; nil for a program that keeps nothing.
    public let disk: LinuxDisk?
    public let network = LinuxNetwork()
    public let clock = LinuxClock()
    public let randomness = SystemRandomness()

    /// How many processors this process may use.
    public static var processorCount: Int { Int(kith_processor_count()) }

    /// Starts the threads: `loopCount` loops, and two for the disk if there is a data folder.
    /// Throws `SystemError` or `DiskError`.
    public init(
        loopCount: Int = Runtime.processorCount, dataFolder: String? = nil
    ) throws {
        precondition(loopCount > 0, "a runtime has at least one loop, not \(loopCount)")
        disk = try dataFolder.map { try LinuxDisk(root: $0) }
        var loops: [EventLoop] = []
        do {
            for index in 0..<loopCount { loops.append(try EventLoop(name: "kith-loop-\(index)")) }
        } catch {
            for loop in loops { loop.stop() }
            disk?.stop()
            throw error
        }
        self.loops = loops
    }

    /// Ends everything in order and returns when all threads have ended. Blocks; not from a loop.
    public func shutDown() {
        network.stop()
        disk?.stop()
        for loop in loops { loop.stop() }
        for loop in loops { loop.join() }
    }

    /// Runs `body` as the root task on the first loop, blocks the calling thread until it returns,
    /// and shuts down. This is `main`: the result is the exit code.
    public static func run<Value: Sendable>(
        loopCount: Int = Runtime.processorCount, dataFolder: String? = nil,
        _ body: @escaping @Sendable (Runtime) async -> Value
    ) throws -> Value {
        let runtime = try Runtime(loopCount: loopCount, dataFolder: dataFolder)
        let result = Mutex<Value?>(nil)
        let done = Semaphore()
        runtime.loops[0].start {
            let value = await body(runtime)
            result.withLock { $0 = value }
            done.signal()
        }
        done.wait()
        runtime.shutDown()
        guard let value = result.withLock({ $0 }) else {
            preconditionFailure("the root task ended without a result")
        }
        return value
    }
}

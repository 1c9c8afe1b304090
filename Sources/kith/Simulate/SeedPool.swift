import Foundation
import KithSimulation

/// Runs seeds on several threads, a world each, and hands the results over in the order of the
/// seeds.
final class SeedPool: @unchecked Sendable {
    private let request: SimulationRequest
    private let condition = NSCondition()
    private var next: UInt64?
    private var results: [UInt64: SeedResult] = [:]
    private var isStopping = false

    /// Bytes of stack of a thread.
    private static let stackBytes = 16 << 20
    /// Results that wait for that of an earlier seed, for each thread.
    private static let aheadMax: UInt64 = 64

    /// The processors of this machine.
    static var cores: Int { ProcessInfo.processInfo.activeProcessorCount }

    init(_ request: SimulationRequest) {
        self.request = request
        next = request.seeds.lowerBound
    }

    /// Calls `take` with each result, on the caller's thread. Ends after the first seed that
    /// fails, unless the request says to go on.
    func run(_ take: (SeedResult) -> Void) {
        let count = min(request.jobs, request.seeds.count)
        for _ in 0..<count {
            let thread = Thread { [self] in work() }
            thread.stackSize = Self.stackBytes
            thread.start()
        }
        var wanted = request.seeds.lowerBound
        while true {
            let result = wait(for: wanted)
            take(result)
            if wanted == request.seeds.upperBound || !result.isOk && !request.isKeepingGoing {
                condition.withLock {
                    isStopping = true
                    condition.broadcast()
                }
                return
            }
            wanted += 1
        }
    }

    private func wait(for seed: UInt64) -> SeedResult {
        condition.lock()
        defer { condition.unlock() }
        while true {
            if let result = results.removeValue(forKey: seed) {
                printed = seed
                condition.broadcast()
                return result
            }
            condition.wait()
        }
    }

    /// The last seed that was handed over.
    private var printed: UInt64?

    private func takeSeed() -> UInt64? {
        condition.lock()
        defer { condition.unlock() }
        while let seed = next, !isStopping {
            let first = printed ?? request.seeds.lowerBound
            if seed - first > Self.aheadMax * UInt64(request.jobs) {
                condition.wait()
                continue
            }
            next = seed == request.seeds.upperBound ? nil : seed + 1
            return seed
        }
        return nil
    }

    private func work() {
        while let seed = takeSeed() {
            var options = request.options
            options.seed = seed
            let result = Self.run(options, isTwice: request.isTwice, trace: request.trace)
            condition.withLock {
                results[seed] = result
                condition.broadcast()
            }
        }
    }

    /// Runs one seed on this thread.
    static func run(
        _ options: RunOptions, isTwice: Bool, trace: TraceWriter?
    ) -> SeedResult {
        SeedAlarm.begin(options.seed)
        defer { SeedAlarm.end() }
        let clock = ContinuousClock()
        let begin = clock.now
        let report = ClusterRun.run(options, onTrace: trace.map { writer in writer.take })
        let duration = begin.duration(to: clock.now)
        trace?.finish()
        let seconds =
            Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
        let secondHash = isTwice ? ClusterRun.run(options).hash : nil
        return SeedResult(report: report, secondHash: secondHash, seconds: seconds)
    }
}

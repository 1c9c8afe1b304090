import KithBytes
import KithPorts
import Synchronization
import Testing

@testable import KithRuntime

struct TimerTests {
    @Test func `timers fire in the order of their deadlines, whatever the order of setting`()
        async throws
    {
        try await withLoops { loops in
            let recorder = Recorder(loop: loops[0])
            let last = OneShot<Void>()
            let start = monotonicNanoseconds()

            for milliseconds in [30, 5, 15, 5] {
                let deadline = start + UInt64(milliseconds) * 1_000_000
                _ = loops[0].schedule(at: deadline) { _ in
                    if recorder.appendHere(milliseconds) == 4 { last.resolve(()) }
                }
            }
            await last.value()

            #expect(await recorder.values == [5, 5, 15, 30])
        }
    }

    @Test(arguments: [0, 1, 1_500_000, 3_000_000] as [UInt64])
    func `a sleep is never shorter than asked`(nanoseconds: UInt64) async throws {
        try await withLoops { loops in
            let clock = LinuxClock()
            let before = clock.monotonicNanoseconds()

            try await clock.sleep(nanoseconds: nanoseconds, on: loops[0])

            #expect(clock.monotonicNanoseconds() - before >= nanoseconds)
        }
    }

    @Test func `cancelling a sleep ends it at once and leaves no timer`() async throws {
        try await withLoops { loops in
            let loop = loops[0]
            let clock = LinuxClock()
            let before = clock.monotonicNanoseconds()

            await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do {
                        try await clock.sleep(nanoseconds: .max, on: loop)
                        return false
                    } catch {
                        return error is CancellationError
                    }
                }
                #expect((try? await eventually(loop) { loop.timerCount >= 1 }) == true)
                group.cancelAll()
                #expect(await group.next() == true)
            }

            #expect(clock.monotonicNanoseconds() - before < 60_000_000_000)
            #expect(loop.timerCount == 0)
        }
    }

    @Test func `a cancelled task does not even begin to sleep`() async throws {
        try await withLoops { loops in
            let loop = loops[0]
            let isThrown = await withTaskGroup(of: Bool.self) { group in
                group.cancelAll()
                group.addTask {
                    do {
                        try await LinuxClock().sleep(nanoseconds: .max, on: loop)
                        return false
                    } catch { return true }
                }
                return await group.next()
            }
            #expect(isThrown == true)
        }
    }

    @Test func `a timer set from outside shortens the loop's sleep`() async throws {
        try await withLoops { loops in
            let far = loops[0].schedule(at: .max) { _ in }
            let fired = OneShot<LoopTimer.Outcome>()

            _ = loops[0].schedule(at: monotonicNanoseconds() + 1_000_000) { fired.resolve($0) }

            #expect(await fired.value() == .fired)
            #expect(loops[0].cancel(far))
            #expect(!loops[0].cancel(far))
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func `the heap agrees with a sorted list`(seed: UInt64) {
        var generator = SeededGenerator(state: seed)
        var heap = TimerHeap()
        var model: [LoopTimer] = []
        for _ in 0..<2000 {
            switch UInt8.random(in: 0..<4, using: &generator) {
            case 0, 1:
                let timer = LoopTimer(deadline: .random(in: 0..<50, using: &generator)) { _ in }
                heap.insert(timer)
                // Behind all of the same deadline: the order in which they were set.
                let place = model.firstIndex { $0.deadline > timer.deadline } ?? model.count
                model.insert(timer, at: place)
            case 2:
                guard let victim = model.randomElement(using: &generator) else { continue }
                let removals = [heap.remove(victim), heap.remove(victim)]
                #expect(removals == [true, false], "seed \(seed)")
                model.removeAll { $0 === victim }
            default:
                let now = UInt64.random(in: 0..<50, using: &generator)
                let expected = model.first.flatMap { $0.deadline <= now ? $0 : nil }
                let due = heap.popDue(now)
                #expect(due === expected, "seed \(seed)")
                if expected != nil { model.removeFirst() }
            }
            heap.checkInvariants()
            #expect(heap.count == model.count, "seed \(seed)")
        }
    }

    @Test func `the clocks make sense`() {
        let clock = LinuxClock()
        let first = clock.monotonicNanoseconds()
        #expect(clock.monotonicNanoseconds() >= first)
        // The year 2020 and later.
        #expect(clock.wallTime().rawValue > 1_577_836_800_000)
    }

    @Test func `random numbers differ`() {
        let random = SystemRandomness()
        #expect(Set((0..<100).map { _ in random.nextUInt64() }).count == 100)
    }
}

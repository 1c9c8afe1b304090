import KithPorts
import Synchronization
import Testing

@testable import KithRuntime

struct EventLoopTests {
    @Test func `actors of one loop may call each other without awaiting`() async throws {
        try await withLoops { loops in
            let first = Recorder(loop: loops[0])
            let second = Recorder(loop: loops[0])

            let count = await first.appendInline(7, to: second)

            #expect(count == 1)
            #expect(await second.values == [7])
        }
    }

    @Test func `isolation still holds after a visit to another loop`() async throws {
        try await withLoops(2) { loops in
            let near = Recorder(loop: loops[0])
            let sibling = Recorder(loop: loops[0])
            let far = Recorder(loop: loops[1])

            for value in 0..<200 {
                let count = await near.appendInline(value, to: sibling, after: far)
                #expect(count == value + 1)
            }

            #expect(await far.values == Array(0..<200))
        }
    }

    @Test func `a root task on the loop counts as isolated`() async throws {
        try await withLoops { loops in
            let recorder = Recorder(loop: loops[0])
            let loop = loops[0]
            let seen = OneShot<Int>()

            loop.start {
                loop.preconditionIsolated()
                await recorder.append(1)
                seen.resolve(recorder.appendHere(2))
            }

            #expect(await seen.value() == 2)
        }
    }

    @Test func `only the loop's own thread is isolated`() async throws {
        try await withLoops(2) { loops in
            let recorder = Recorder(loop: loops[0])
            let (near, far) = (loops[0], loops[1])

            #expect(near.isIsolatingCurrentContext() == false)
            let inside = await recorder.run { _ in
                [near.isIsolatingCurrentContext(), far.isIsolatingCurrentContext()]
            }
            #expect(inside == [true, false])
        }
    }

    @Test func `calls between actors of one loop do not go through its queue`() async throws {
        try await withLoops { loops in
            let loop = loops[0]
            let first = Recorder(loop: loop)
            let second = Recorder(loop: loop)
            let turns = OneShot<UInt64>()

            // More calls than jobs in a turn: if each were a job, turns would pass.
            loop.start { turns.resolve(await first.call(second, 10 * EventLoop.jobsPerTurnMax)) }

            #expect(await turns.value() == 0)
        }
    }

    @Test func `a wait begins and ends on the caller's loop`() async throws {
        try await withLoops { loops in
            let loop = loops[0]
            let recorder = Recorder(loop: loop)
            let wasCurrent = await recorder.waitThere()
            #expect(wasCurrent)
        }
    }

    @Test func `claiming the isolation of another loop traps`() async {
        await #expect(processExitsWith: .failure) {
            let near = Recorder(loop: try EventLoop())
            let far = Recorder(loop: try EventLoop())
            await near.run { _ in far.preconditionIsolated() }
        }
    }

    @Test func `assuming an actor of another loop traps`() async {
        await #expect(processExitsWith: .failure) {
            let near = Recorder(loop: try EventLoop())
            let far = Recorder(loop: try EventLoop())
            _ = await near.appendInline(1, to: far)
        }
    }

    @Test func `jobs from one sender run in order`() async throws {
        try await withLoops { loops in
            let recorder = Recorder(loop: loops[0])
            let done = OneShot<Void>()
            let count = 10_000

            for value in 0..<count {
                loops[0].start {
                    _ = recorder.appendHere(value)
                    if value == count - 1 { done.resolve(()) }
                }
            }
            await done.value()

            #expect(await recorder.values == Array(0..<count))
        }
    }

    @Test func `children of a task on the loop run in order and on it`() async throws {
        try await withLoops { loops in
            let loop = loops[0]
            let recorder = Recorder(loop: loop)
            let done = OneShot<Void>()

            loop.start {
                await withTaskGroup(of: Void.self) { group in
                    for value in 0..<1000 {
                        group.addTask {
                            loop.preconditionIsolated()
                            await recorder.append(value)
                        }
                    }
                }
                done.resolve(())
            }
            await done.value()

            #expect(await recorder.values == Array(0..<1000))
        }
    }

    @Test func `timers fire although jobs never run out`() async throws {
        try await withLoops { loops in
            let loop = loops[0]
            let ends = SharedCount()
            let done = OneShot<Void>()

            loop.start {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<2 {
                        group.addTask {
                            while ends.value == 0 { await Task.yield() }
                        }
                    }
                    group.addTask {
                        try? await LinuxClock().sleep(nanoseconds: 2_000_000, on: loop)
                        ends.increment()
                    }
                }
                done.resolve(())
            }

            await done.value()
        }
    }

    @Test func `many threads may send to a loop at once`() async throws {
        try await withLoops(3) { loops in
            let target = Recorder(loop: loops[0])
            let senders = [Recorder(loop: loops[1]), Recorder(loop: loops[2])]

            await withTaskGroup(of: Void.self) { group in
                for sender in senders {
                    group.addTask {
                        await sender.run { _ in
                            for value in 0..<2000 { await target.append(value) }
                        }
                    }
                }
            }

            #expect(await target.values.count == 4000)
        }
    }

    @Test func `stopping ends the thread and wakes sleepers`() async throws {
        let loop = try EventLoop(name: "kith-ending")
        let recorder = Recorder(loop: loop)
        let ended = OneShot<Bool>()
        loop.start {
            await recorder.append(1)
            do {
                try await LinuxClock().sleep(nanoseconds: 3_600_000_000_000, on: loop)
                ended.resolve(false)
            } catch {
                ended.resolve(error is CancellationError)
            }
        }
        let isAsleep = try await withLoops { loops in
            try await eventually(loops[0]) { loop.timerCount == 1 }
        }
        #expect(isAsleep)
        #expect(threadNames().contains("kith-ending"))

        loop.stop()
        loop.join()

        #expect(await ended.value())
        #expect(!threadNames().contains("kith-ending"))
    }

    @Test func `joining twice and stopping twice is harmless`() throws {
        let loop = try EventLoop()
        loop.stop()
        loop.join()
        loop.stop()
        loop.join()
        #expect(loop.isIsolatingCurrentContext() == false)
    }
}

import Glibc
import KithPorts
import Testing

@testable import KithRuntime

struct RuntimeTests {
    @Test func `a runtime runs its root task on the first loop and returns its result`() throws {
        let result = try Runtime.run(loopCount: 2) { runtime in
            runtime.loops[0].preconditionIsolated()
            let far = Recorder(loop: runtime.loops[1])
            await far.append(41)
            return await far.values[0] + 1
        }
        #expect(result == 42)
    }

    @Test func `shutting down ends the root task's leftovers`() throws {
        let ended = OneShot<Bool>()
        let runtime = try Runtime(loopCount: 1)
        let loop = runtime.loops[0]
        let clock = runtime.clock
        loop.start {
            do {
                try await clock.sleep(nanoseconds: .max, on: loop)
                ended.resolve(false)
            } catch { ended.resolve(true) }
        }
        runtime.shutDown()
        runtime.shutDown()
    }

    @Test func `a data folder that cannot be made is an error`() {
        #expect(throws: DiskError.self) { try Runtime(dataFolder: "/dev/null/data") }
    }
}

@Suite(.timeLimit(.minutes(1))) struct SignalTests {
    @Test func `each signal to stop is heard`() async {
        await #expect(processExitsWith: .success) {
            let loop = try EventLoop()
            let watch = try SignalWatch(loop: loop)

            kill(getpid(), SIGTERM)
            guard await watch.next() == .terminate else { exit(3) }
            // Heard again while somebody waits, and while the process is already stopping.
            async let second = watch.next()
            kill(getpid(), SIGTERM)
            guard await second == .terminate else { exit(4) }
            exit(0)
        }
    }

    @Test func `control-C is told from a request to terminate`() async {
        await #expect(processExitsWith: .success) {
            // A background job of a shell starts with this signal ignored.
            signal(SIGINT, SIG_DFL)
            let watch = try SignalWatch(loop: try EventLoop())
            kill(getpid(), SIGINT)
            exit(await watch.next() == .interrupt ? 0 : 3)
        }
    }

    @Test func `an ignored control-C stays ignored`() async {
        await #expect(processExitsWith: .success) {
            signal(SIGINT, SIG_IGN)
            let watch = try SignalWatch(loop: try EventLoop())
            kill(getpid(), SIGINT)
            kill(getpid(), SIGTERM)
            exit(await watch.next() == .terminate ? 0 : 3)
        }
    }

    @Test func `after closing, the signal has its usual meaning`() async {
        await #expect(processExitsWith: .signal(SIGTERM)) {
            let watch = try SignalWatch(loop: try EventLoop())
            watch.close()
            guard await watch.next() == nil else { exit(3) }
            kill(getpid(), SIGTERM)
            // The signal may land on another thread: give it the process's life to arrive.
            while true { sched_yield() }
        }
    }
}

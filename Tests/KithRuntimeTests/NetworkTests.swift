import Glibc
import KithPorts
import Synchronization
import Testing

@testable import KithRuntime

struct NetworkTests {
    static let megabyte = 1 << 20

    /// Bytes that differ from place to place.
    static func pattern(_ count: Int) -> [UInt8] {
        // The period shares no factor with any buffer size, so a shifted copy never looks right.
        let period = (0..<10_007).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + period.count)
        while bytes.count < count { bytes += period }
        return Array(bytes.prefix(count))
    }

    @Test(arguments: [1, 2])
    func `ten megabytes come back from an echo unchanged`(loopCount: Int) async throws {
        try await withLoops(loopCount) { loops in
            let (client, server) = try await connectedPair(loops)
            let sent = Self.pattern(10 * Self.megabyte)
            let near = Recorder(loop: loops[0])
            let far = Recorder(loop: loops.last!)

            let received = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                group.addTask {
                    try await far.run { _ in
                        while true {
                            // An odd size, so that reads and writes never line up.
                            let bytes = try await server.read(atMost: 60_001)
                            if bytes.isEmpty { return [] }
                            try await server.write(bytes)
                        }
                    }
                }
                group.addTask {
                    try await near.run { _ in try await client.write(sent) }
                    return []
                }
                group.addTask {
                    try await near.run { _ in
                        var all: [UInt8] = []
                        while all.count < sent.count {
                            all += try await client.read(atMost: 100_000)
                        }
                        client.close()
                        return all
                    }
                }
                var longest: [UInt8] = []
                while let bytes = try await group.next() {
                    if bytes.count > longest.count { longest = bytes }
                }
                return longest
            }

            #expect(received == sent)
        }
    }

    @Test func `a peer that does not read stops its writer`() async throws {
        try await withLoops { loops in
            let (client, server) = try await connectedPair(loops)
            let chunk = Self.pattern(Self.megabyte)
            let chunks = 64
            let written = SharedCount()

            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for _ in 0..<chunks {
                        try await client.write(chunk)
                        written.increment()
                    }
                    client.close()
                }
                let isStopped = try await eventually(loops[0]) {
                    client.socket.state.withLock { $0.writing.waiter != nil }
                }
                #expect(isStopped)
                #expect(written.value < chunks)

                var total = 0
                while true {
                    let bytes = try await server.read(atMost: 1_000_000)
                    if bytes.isEmpty { break }
                    total += bytes.count
                }
                #expect(total == chunks * chunk.count)
                try await group.waitForAll()
            }
        }
    }

    @Test func `nothing is read from the kernel before somebody asks`() async throws {
        try await withLoops { loops in
            let (client, server) = try await connectedPair(loops)
            try await client.write([1, 2, 3, 4])

            #expect(try await server.read(atMost: 3) == [1, 2, 3])
            #expect(try await server.read(atMost: 3) == [4])
        }
    }

    @Test func `a half-closed peer can still be answered`() async throws {
        try await withLoops { loops in
            let listener = try await LinuxNetwork().listen(
                host: "127.0.0.1", port: 0, loops: loops)
            let raw = plainClient(port: listener.port)
            defer { close(raw) }
            let server = try #require(try await listener.accept())
            _ = send(raw, [10, 20] as [UInt8], 2, 0)
            shutdown(raw, Int32(SHUT_WR))

            let first = try await server.read(atMost: 100)
            #expect(first == [10, 20])
            #expect(try await server.read(atMost: 100) == [])
            #expect(try await server.read(atMost: 100) == [])
            try await server.write([30])

            var answer = [UInt8](repeating: 0, count: 4)
            #expect(recv(raw, &answer, 4, 0) == 1)
            #expect(answer[0] == 30)
        }
    }

    @Test func `the end that arrives with the last bytes is not missed`() async throws {
        try await withLoops { loops in
            for _ in 0..<50 {
                let (client, server) = try await connectedPair(loops)
                try await client.write([1])
                client.close()
                #expect(try await server.read(atMost: 100) == [1])
                #expect(try await server.read(atMost: 100) == [])
            }
        }
    }

    @Test func `a broken connection is a reset, and stays one`() async throws {
        try await withLoops { loops in
            let listener = try await LinuxNetwork().listen(
                host: "127.0.0.1", port: 0, loops: loops)
            let raw = plainClient(port: listener.port)
            let server = try #require(try await listener.accept())
            // Closing with a linger of zero sends a reset.
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(raw, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
            close(raw)

            let expected = NetworkError.reset(message: "Connection reset by peer")
            await #expect(throws: expected) { try await server.read(atMost: 1) }
            await #expect(throws: expected) { try await server.read(atMost: 1) }
            await #expect(throws: expected) { try await server.write([1]) }
        }
    }

    @Test func `writing to a closed peer is an error and not a signal`() async throws {
        try await withLoops { loops in
            let (client, server) = try await connectedPair(loops)
            client.close()
            await #expect(throws: NetworkError.self) {
                for _ in 0..<1000 { try await server.write([UInt8](repeating: 1, count: 1000)) }
            }
        }
    }

    @Test func `a refused connection names the address`() async throws {
        try await withLoops { loops in
            let network = LinuxNetwork()
            let listener = try await network.listen(host: "127.0.0.1", port: 0, loops: loops)
            let port = listener.port
            await listener.close()

            let expected = NetworkError.unreachable(
                address: "127.0.0.1:\(port)", message: "Connection refused")
            await #expect(throws: expected) {
                try await network.connect(host: "127.0.0.1", port: port, loop: loops[0])
            }
        }
    }

    @Test func `an unknown host is named`() async throws {
        try await withLoops { loops in
            let network = LinuxNetwork(connectNanoseconds: 200_000_000)
            do {
                _ = try await network.connect(
                    host: "no-such-host.invalid", port: 7101, loop: loops[0])
                Issue.record("a host that cannot exist was reached")
            } catch NetworkError.unreachable(let address, let message) {
                #expect(address == "no-such-host.invalid:7101")
                #expect(!message.isEmpty)
            }
            network.stop()
        }
    }

    @Test func `a name is resolved`() async throws {
        try await withLoops { loops in
            let network = LinuxNetwork()
            defer { network.stop() }
            let listener = try await network.listen(host: "127.0.0.1", port: 0, loops: loops)
            let stream = try await network.connect(
                host: "localhost", port: listener.port, loop: loops[0])
            #expect(stream.peer == "127.0.0.1:\(listener.port)")
        }
    }

    @Test func `a silent host is given up`() async throws {
        try await withLoops { loops in
            // A listener that never accepts: once its queue is full, the kernel drops what comes.
            let raw = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(raw) }
            #expect(listen(raw, 0) == 0)
            let port = try #require(SocketAddress.local(of: raw)).port
            let fillers = (0..<4).map { _ in plainClient(port: port, isBlocking: false) }
            defer { for filler in fillers { close(filler) } }

            let network = LinuxNetwork(connectNanoseconds: 40_000_000)
            let expected = NetworkError.unreachable(
                address: "127.0.0.1:\(port)", message: "no answer within 0.04 s")
            await #expect(throws: expected) {
                try await network.connect(host: "127.0.0.1", port: port, loop: loops[0])
            }
            #expect(loops[0].timerCount == 0)
        }
    }

    @Test func `an address in use cannot be listened on`() async throws {
        try await withLoops { loops in
            let network = LinuxNetwork()
            let first = try await network.listen(host: "127.0.0.1", port: 0, loops: loops)

            let expected = NetworkError.cannotListen(
                address: "127.0.0.1:\(first.port)", message: "Address already in use")
            await #expect(throws: expected) {
                try await network.listen(host: "127.0.0.1", port: first.port, loops: loops)
            }
        }
    }

    @Test func `closing wakes the reader and the writer`() async throws {
        try await withLoops { loops in
            let (client, server) = try await connectedPair(loops)
            let outcomes = await withTaskGroup(of: NetworkError?.self) { group in
                group.addTask {
                    await failure { () throws(NetworkError) in
                        _ = try await client.read(atMost: 10)
                    }
                }
                group.addTask {
                    await failure { () throws(NetworkError) in
                        while true { try await client.write(Self.pattern(Self.megabyte)) }
                    }
                }
                let areWaiting = try? await eventually(loops[0]) {
                    client.socket.state.withLock {
                        $0.reading.waiter != nil && $0.writing.waiter != nil
                    }
                }
                #expect(areWaiting == true)
                client.close()
                client.close()
                return await group.reduce(into: []) { $0.append($1) }
            }

            #expect(outcomes == [.closed, .closed])
            await #expect(throws: NetworkError.closed) { try await client.write([1]) }
            server.close()
        }
    }

    @Test func `a cancelled reader ends and the stream lives on`() async throws {
        try await withLoops { loops in
            let (client, server) = try await connectedPair(loops)
            let outcome = await withTaskGroup(of: NetworkError?.self) { group in
                group.addTask {
                    await failure { () throws(NetworkError) in
                        _ = try await client.read(atMost: 10)
                    }
                }
                _ = try? await eventually(loops[0]) {
                    client.socket.state.withLock { $0.reading.waiter != nil }
                }
                group.cancelAll()
                return await group.next() ?? nil
            }
            #expect(outcome == .closed)

            try await server.write([5])
            #expect(try await client.read(atMost: 10) == [5])
        }
    }

    @Test func `closing a listener ends its accept`() async throws {
        try await withLoops { loops in
            let listener = try await LinuxNetwork().listen(
                host: "127.0.0.1", port: 0, loops: loops)
            async let stream = listener.accept()
            await listener.close()
            #expect(try await stream == nil)
            #expect(try await listener.accept() == nil)
        }
    }

    @Test func `accepted streams are spread over the loops`() async throws {
        try await withLoops(2) { loops in
            let network = LinuxNetwork()
            let listener = try await network.listen(host: "127.0.0.1", port: 0, loops: loops)
            var seen: [Bool] = []
            for _ in 0..<4 {
                let client = try await network.connect(
                    host: "127.0.0.1", port: listener.port, loop: loops[0])
                let server = try #require(try await listener.accept())
                seen.append(server.loop === loops[0])
                client.close()
            }
            #expect(seen == [true, false, true, false])
        }
    }

    @Test func `a stream that always has bytes lets others have a turn`() async throws {
        try await withLoops { loops in
            let (client, server) = try await connectedPair(loops)
            let loop = loops[0]
            let ends = SharedCount()
            let actor = Recorder(loop: loop)
            try await client.write(Self.pattern(100_000))

            // Neither side ever suspends for want of bytes, and both are on one loop.
            async let timer: Void = actor.run { _ in
                try await LinuxClock().sleep(nanoseconds: 3_000_000, on: loop)
                ends.increment()
            }
            try await actor.run { _ in
                while ends.value == 0 {
                    let bytes = try await server.read(atMost: 1000)
                    try await client.write(bytes)
                }
            }
            try await timer
        }
    }

    @Test func `IPv6 addresses work where the machine has them`() async throws {
        try await withLoops { loops in
            let network = LinuxNetwork()
            guard let listener = try? await network.listen(host: "::1", port: 0, loops: loops)
            else { return }
            let stream = try await network.connect(
                host: "::1", port: listener.port, loop: loops[0])
            #expect(stream.peer == "[::1]:\(listener.port)")
        }
    }

    @Test func `running out of descriptors only delays accepting`() async {
        await #expect(processExitsWith: .success) {
            var limit = rlimit(rlim_cur: 64, rlim_max: 64)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            try await withLoops { loops in
                let listener = try await LinuxNetwork().listen(
                    host: "127.0.0.1", port: 0, loops: loops)
                let client = plainClient(port: listener.port)
                var fillers: [Int32] = []
                while true {
                    let copy = dup(client)
                    if copy < 0 { break }
                    fillers.append(copy)
                }
                async let stream = listener.accept()
                // The pause is a timer on the listener's loop.
                guard try await eventually(loops[0], { loops[0].timerCount > 0 }) else { exit(3) }
                for filler in fillers { close(filler) }
                guard try await stream != nil else { exit(4) }
            }
            exit(0)
        }
    }
}

/// The error of `body`; nil if there is none.
private func failure(_ body: () async throws(NetworkError) -> Void) async -> NetworkError? {
    do throws(NetworkError) {
        try await body()
        return nil
    } catch {
        return error
    }
}

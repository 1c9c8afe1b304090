import KithPorts
import Testing

@testable import KithSimulation

@Suite struct StreamTests {
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `bytes arrive once, in order, cut and joined anywhere`(seed: UInt64) throws {
        var random = Xoshiro256(seed: seed, label: "test")
        let writes = (0..<40).map { _ in
            (0..<1 + random.below(700)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        }
        let pair = try Connected(seed: seed)
        let (client, server) = (pair.client, pair.server)
        pair.a.start {
            for bytes in writes { try? await client.write(bytes) }
            client.close()
        }

        let reads = try pair.atB {
            var reads: [[UInt8]] = []
            while true {
                let bytes = try await server.read(atMost: 1_000)
                if bytes.isEmpty { return reads }
                reads.append(bytes)
            }
        }

        #expect(Array(reads.joined()) == Array(writes.joined()), "seed \(seed)")
        #expect(reads.allSatisfy { $0.count <= 1_000 })
        #expect(reads.map(\.count) != writes.map(\.count), "seed \(seed): never cut nor joined")
    }

    @Test func `some writes are cut and some are joined`() throws {
        var wereCut = false
        var wereJoined = false
        for seed in 1...20 as ClosedRange<UInt64> {
            let pair = try Connected(seed: seed)
            let (client, server) = (pair.client, pair.server)
            pair.a.start {
                try? await client.write([UInt8](repeating: 1, count: 100))
                try? await client.write([UInt8](repeating: 2, count: 100))
            }
            let first = try pair.atB { try await server.read(atMost: 1_000) }
            wereCut = wereCut || first.count < 100
            wereJoined = wereJoined || first.count > 100
        }

        #expect(wereCut)
        #expect(wereJoined)
    }

    @Test func `a writer waits for a peer that does not read`() throws {
        let pair = try Connected()
        let (client, server) = (pair.client, pair.server)
        let written = Shared(0)
        pair.a.start {
            for _ in 0..<100 {
                try? await client.write([UInt8](repeating: 7, count: 10_000))
                written.value += 10_000
            }
            client.close()
        }

        try pair.settle()
        #expect(written.value == 60_000, "64 KiB are room for six writes and a part of the seventh")
        #expect(pair.simulator.waiting.contains { $0.hasPrefix("write of stream") })

        let read = try pair.atB { try await server.read(atMost: 5_000).count }
        try pair.settle()
        #expect(read > 0)
        #expect(written.value == 60_000 + (65_536 + read >= 70_000 ? 10_000 : 0))

        let rest = try pair.atB { try await readAll(server, count: .max).count }
        #expect(read + rest == 1_000_000)
        #expect(written.value == 1_000_000)
    }

    @Test func `all bytes come before the end`() throws {
        let pair = try Connected()
        let (client, server) = (pair.client, pair.server)
        try pair.atA {
            try await client.write([UInt8](repeating: 1, count: 3_000))
            client.close()
        }
        try pair.settle()

        let bytes = try pair.atB { try await readAll(server, count: .max) }
        let again = try pair.atB { try await server.read(atMost: 10) }

        #expect(bytes.count == 3_000)
        #expect(again.isEmpty)
    }

    @Test func `close wakes the own reader and the own writer with closed`() throws {
        let pair = try Connected()
        let client = pair.client
        let errors = Shared<[NetworkError?]>([])
        pair.a.start {
            errors.value.append(await networkError { _ = try await client.read(atMost: 1) })
        }
        pair.a.start {
            errors.value.append(
                await networkError { try await client.write([UInt8](repeating: 0, count: 100_000)) }
            )
        }
        try pair.settle()
        #expect(errors.value.isEmpty)

        client.close()
        client.close()
        try pair.settle()

        #expect(errors.value == [.closed, .closed])
        let later = try pair.atA { await networkError { try await client.write([1]) } }
        #expect(later == .closed)
    }

    @Test func `closing with bytes unread resets the peer`() throws {
        let pair = try Connected()
        let (client, server) = (pair.client, pair.server)
        try pair.atA { try await client.write([1, 2, 3]) }
        try pair.settle()

        server.close()
        try pair.settle()

        let error = try pair.atA { await networkError { _ = try await client.read(atMost: 1) } }
        #expect(error == .reset(message: "closed with bytes unread"))
    }

    @Test func `writing to a peer that has closed works once and then resets`() throws {
        let pair = try Connected()
        let (client, server) = (pair.client, pair.server)
        server.close()
        try pair.settle()

        let first = try pair.atA { await networkError { try await client.write([1]) } }
        try pair.settle()
        let second = try pair.atA { await networkError { try await client.write([2]) } }
        let read = try pair.atA { try await client.read(atMost: 1) }

        #expect(first == nil)
        #expect(second == .reset(message: "closed by peer"))
        #expect(read.isEmpty, "the end came before the reset")
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `a crash breaks both ends and frees the waiting`(seed: UInt64) throws {
        let pair = try Connected(seed: seed)
        let (client, server) = (pair.client, pair.server)
        let errors = Shared<[NetworkError?]>([])
        let broken = NetworkError.reset(message: "b crashed")
        for (lane, stream) in [(pair.a, client), (pair.b, server)] {
            lane.start {
                errors.value.append(await networkError { _ = try await stream.read(atMost: 1) })
            }
        }
        try pair.settle()

        pair.network.crash("b")
        try pair.settle()

        #expect(errors.value == [broken, broken])
        let write = try pair.atA { await networkError { try await client.write([1]) } }
        #expect(write == broken)
    }

    @Test func `what was on the way at a crash arrives whole from the front, or not`() throws {
        var lengths: [Int] = []
        for seed in 1...30 as ClosedRange<UInt64> {
            let pair = try Connected(seed: seed)
            let (client, server) = (pair.client, pair.server)
            let sent = (0..<2_000).map { UInt8(truncatingIfNeeded: $0) }
            try pair.atB { try await server.write(sent) }
            pair.network.crash("b")
            try pair.settle()

            let bytes = try pair.atA {
                var bytes: [UInt8] = []
                while let more = try? await client.read(atMost: 4_000) { bytes += more }
                return bytes
            }
            #expect(bytes == Array(sent.prefix(bytes.count)), "seed \(seed)")
            lengths.append(bytes.count)
        }

        #expect(lengths.contains(2_000))
        #expect(lengths.contains { $0 < 2_000 })
    }

    @Test func `an intercepted segment breaks the stream for both`() throws {
        let pair = try Connected()
        let (client, server) = (pair.client, pair.server)
        pair.network.intercept = { departure in
            #expect(departure.from == "a" && departure.to == "b")
            return .breaks(message: "cable cut", afterNanoseconds: 5)
        }
        try pair.atA { try await client.write([1]) }

        let near = try pair.atA { await networkError { _ = try await client.read(atMost: 1) } }
        let far = try pair.atB { await networkError { _ = try await server.read(atMost: 1) } }

        #expect(near == .reset(message: "cable cut"))
        #expect(far == .reset(message: "cable cut"))
    }

    @Test func `streams are not kept after both ends closed`() throws {
        let pair = try Connected()
        let (client, server) = (pair.client, pair.server)
        client.close()
        server.close()
        try pair.settle()

        weak var gone: SimulatedStream?
        do {
            let second = try Connected(seed: 2)
            gone = second.client as? SimulatedStream
            #expect(gone != nil)
            second.client.close()
            second.server.close()
            try second.settle()
        }
        #expect(gone == nil)
    }
}

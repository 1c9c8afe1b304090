import KithBytes
import KithPorts
import Testing

@testable import KithSimulation
@testable import KithStorage

@Suite struct LogRoundTripTests {
    @Test(arguments: [4096, 8192, 65536])
    func `what was appended comes back in order over many opens`(segmentBytes: Int) throws {
        let disk = SimulatedDisk()
        let options = smallOptions(segmentBytes: segmentBytes)
        var written: [LogEntry] = []
        var next: [UInt16: UInt64] = [:]
        var random = SplitMix(7)

        for round in 0..<6 {
            var appends: [[LogEntry]] = []
            for _ in 0..<12 {
                var entries: [LogEntry] = []
                for _ in 0..<(1 + random.next() % 6) {
                    let group = UInt16(random.next() % 5)
                    next[group, default: 0] += 1
                    entries.append(entry(group, next[group]!, term: UInt64(round + 1)))
                }
                appends.append(entries)
            }
            let batch = appends
            let closes = round % 2 == 0
            let loop = TestLoop()
            let opened = try loop.run {
                let opened = try await open(disk, loop, options)
                for entries in batch { try await opened.log.append(entries) }
                if closes { await opened.log.close() }
                return opened
            }
            #expect(opened.entries == written)
            #expect(opened.report.entries == written.count)
            #expect(opened.report.tornTail == nil)
            #expect(opened.report.isNew == (round == 0))
            written += appends.flatMap { $0 }
        }

        let last = try recover(disk, options)
        #expect(last.entries == written)
        for group in last.report.tails.groups {
            #expect(last.report.tails[group]?.index == LogIndex(next[group.rawValue]!))
        }
    }

    @Test func `an entry of every size up to the limit fits`() throws {
        let options = smallOptions()
        let limit = options.payloadBytesMax
        let sizes = [0, 1, limit - 1, limit, 0, limit, 2000, 2000, limit]
        let entries = sizes.enumerated().map { entry(1, UInt64($0.offset + 1), size: $0.element) }

        let disk = try diskWith(entries)

        #expect(try recover(disk).entries == entries)
    }

    @Test func `an entry above the limit is refused and nothing is stored`() throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        let options = smallOptions()
        try loop.run {
            let log = try await open(disk, loop).log
            await #expect(
                throws: LogError.tooLarge(
                    byteCount: options.payloadBytesMax + 1, limit: options.payloadBytesMax)
            ) {
                try await log.append([
                    entry(1, 1), entry(1, 2, size: options.payloadBytesMax + 1),
                ])
            }
            try await log.append([entry(1, 1)])
        }
        #expect(try recover(disk).entries == [entry(1, 1)])
    }

    @Test func `the largest entry of all is a frame by itself`() throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        var options = LogOptions()
        options.segmentBytes = 9 << 20
        let payload = [UInt8](repeating: 0xA5, count: LogFormat.payloadBytesMax)
        let large = LogEntry(
            group: GroupID(1), term: Term(1), index: LogIndex(2), kind: .normal,
            clock: 1, time: LogTime(1), payload: payload)
        let chosen = options
        try loop.run {
            let log = try await open(disk, loop, chosen).log
            try await log.append([entry(1, 1), large, entry(1, 3)])
        }

        let recovered = try recover(disk, options)

        #expect(recovered.entries == [entry(1, 1), large, entry(1, 3)])
        #expect(recovered.report.frames == 4)
    }

    @Test func `a rebase drops a tail or jumps over a snapshot`() throws {
        func rebase(_ index: UInt64, _ term: UInt64) -> LogEntry {
            LogEntry(
                group: GroupID(1), term: Term(term), index: LogIndex(index), kind: .rebase,
                clock: 0, time: LogTime(0), payload: [])
        }
        let entries = [
            entry(1, 1, term: 1), entry(1, 2, term: 3), entry(1, 3, term: 3),
            rebase(1, 1), entry(1, 2, term: 2), rebase(1000, 9), entry(1, 1001, term: 9),
        ]

        let disk = try diskWith(entries)
        let recovered = try recover(disk)

        #expect(recovered.entries == entries)
        #expect(recovered.report.tails[GroupID(1)]?.index == LogIndex(1001))
    }

    @Test(arguments: [
        [entry(1, 1), entry(1, 3)], [entry(1, 1), entry(1, 1)], [entry(1, 0)],
        [entry(1, 5, term: 2), entry(1, 6, term: 1)],
        [entry(2, 1), entry(1, UInt64.max), entry(1, 0)],
    ])
    func `entries that do not continue their group are refused`(entries: [LogEntry]) throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        try loop.run {
            let log = try await open(disk, loop).log
            let error = await #expect(throws: LogError.self) { try await log.append(entries) }
            guard case .outOfOrder = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            let tails = await log.groupTails
            #expect(tails.groups.isEmpty)
        }
        #expect(try recover(disk).entries.isEmpty)
    }

    @Test func `after a close nothing is taken`() throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        try loop.run {
            let log = try await open(disk, loop).log
            await log.close()
            await log.close()
            await #expect(throws: LogError.closed) { try await log.append([entry(1, 1)]) }
        }
    }

    @Test func `a log that must exist is missed`() throws {
        var options = smallOptions()
        options.mayCreate = false
        let chosen = options
        #expect(throws: LogError.missing) { try recover(SimulatedDisk(), chosen) }
    }
}

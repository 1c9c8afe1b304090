import KithBytes
import KithPorts
import Testing

@testable import KithSimulation
@testable import KithStorage

@Suite struct LogSpaceTests {
    @Test func `a nearly full disk refuses ingest and takes the node's own entries`() throws {
        let disk = SimulatedDisk(freeBytes: (256 << 20) + 4096 + 10)
        let loop = TestLoop()
        try loop.run {
            let log = try await open(disk, loop).log
            await log.refreshFreeBytes()
            #expect(await !log.isNearlyFull)
            try await log.append([entry(1, 1)], isIngest: true)

            disk.setFreeBytes((256 << 20) - 1)
            await log.refreshFreeBytes()
            #expect(await log.isNearlyFull)
            await #expect(
                throws: LogError.diskNearlyFull(
                    freeBytes: (256 << 20) - 1, reserve: 256 << 20)
            ) { try await log.append([entry(1, 2)], isIngest: true) }
            try await log.append([entry(1, 2, size: 5)])

            disk.setFreeBytes(256 << 20)
            await log.refreshFreeBytes()
            try await log.append([entry(1, 3)], isIngest: true)
        }
        #expect(try recover(disk).entries == [entry(1, 1), entry(1, 2, size: 5), entry(1, 3)])
    }

    @Test func `a segment that cannot be made stops ingest until there is room`() throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        var options = smallOptions()
        options.reserveBytes = 0
        let chosen = options
        let failures = Box(0)
        try loop.run {
            let log = try await open(
                disk, loop, chosen, onFailure: { _ in failures.update { $0 += 1 } }
            ).log
            disk.setFreeBytes(100)
            await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await log.keepSegmentReady() }
                while await !log.isNearlyFull { await loop.pause() }
                await #expect(throws: LogError.self) {
                    try await log.append([entry(1, 1)], isIngest: true)
                }
                // The present segment still has room for the node's own.
                await #expect(throws: Never.self) { try await log.append([entry(1, 1)]) }
                disk.setFreeBytes(1 << 20)
                await log.refreshFreeBytes()
                while await log.isNearlyFull { await loop.pause() }
                await #expect(throws: Never.self) {
                    try await log.append([entry(1, 2)], isIngest: true)
                }
                await log.close()
            }
        }
        #expect(failures.get() == 0)
    }

    @Test func `a log with no room at all fails and keeps what it acknowledged`() throws {
        let disk = SimulatedDisk(freeBytes: 3 * 4096)
        let loop = TestLoop()
        let failures = Box<[DiskError]>([])
        let stored: UInt64 = try loop.run {
            let log = try await open(
                disk, loop, onFailure: { error in failures.update { $0.append(error) } }
            ).log
            var index: UInt64 = 1
            while true {
                do throws(LogError) {
                    try await log.append([entry(1, index)])
                    index += 1
                } catch {
                    guard case .failed(let cause) = error else { throw error }
                    #expect(cause.code == SimulatedErrorCode.noSpace)
                    return index - 1
                }
            }
        }
        #expect(failures.get().count == 1)
        #expect(try recover(disk).entries == (1...stored).map { entry(1, $0) })
    }

    @Test func `a prepared segment is taken without a write to make it`() throws {
        let loop = TestLoop()
        let made = Box<[String]>([])
        let disk = SimulatedDisk(onOperation: { _, operation in
            if operation.kind == .open { made.update { $0.append(operation.path) } }
        })
        try loop.run {
            let log = try await open(disk, loop).log
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await log.keepSegmentReady() }
                while !disk.paths.contains(path(2)) { await loop.pause() }
                for _ in 0..<20 { await loop.pause() }
                made.set([])
                try await log.append((1...9).map { entry(1, $0, size: 500) })
                #expect(!made.get().contains(path(2)))
                await log.close()
                try await tasks.waitForAll()
            }
        }
    }

    @Test func `covered segments go, oldest first, and nothing else`() throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        let entries = (1...40).map { entry(UInt16($0 % 2), ($0 + 1) / 2, size: 300) }
        let kept: Int = try loop.run {
            let log = try await open(disk, loop).log
            for entry in entries { try await log.append([entry]) }
            let before = disk.paths.count
            #expect(await log.bytesUsed == UInt64(before * 4096))
            // Group 1 has no snapshot: nothing may go.
            #expect(try await log.removeSegments(coveredBy: [GroupID(0): LogIndex(99)]) == 0)
            let removed = try await log.removeSegments(
                coveredBy: [GroupID(0): LogIndex(11), GroupID(1): LogIndex(11)])
            #expect(removed > 0)
            #expect(disk.paths == (removed + 1...before).map(path))
            #expect(await log.bytesUsed == UInt64((before - removed) * 4096))
            return removed + 1
        }
        let found = try recover(disk).entries
        #expect(found == Array(entries.suffix(found.count)))
        #expect(found.contains(entries[22]))

        // The cut is on record, so a file lost after it is missed.
        let damaged = disk.copy()
        damaged.lose(path(kept))
        #expect(
            throws: LogError.corrupt(
                segment: SegmentID(UInt64(kept)), offset: 0, reason: .missingSegment)
        ) { try recover(damaged) }
    }
}

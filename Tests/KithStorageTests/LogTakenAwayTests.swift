// Files that somebody takes away under a running log: it says so before it acknowledges anything.

import KithBytes
import KithPorts
import Testing

@testable import KithSimulation
@testable import KithStorage

/// What somebody does to a file of the log.
enum Taking: CaseIterable, Sendable {
    case removed, emptied, shortened

    func happens(to path: String, of disk: SimulatedDisk) {
        switch self {
        case .removed: disk.lose(path)
        case .emptied: disk.decay(path) { $0 = [] }
        case .shortened: disk.decay(path) { $0.removeLast() }
        }
    }
}

@Suite struct LogTakenAwayTests {
    /// Three segments: entries of 900 bytes, four to a segment of 4 KiB.
    private func grown(
        _ body:
            @escaping @Sendable (WriteAheadLog, SimulatedDisk, Box<[DiskError]>) async throws ->
            Void
    ) throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        let failures = Box<[DiskError]>([])
        try loop.run {
            let log = try await open(
                disk, loop, onFailure: { error in failures.update { $0.append(error) } }
            ).log
            for index in 1...9 as ClosedRange<UInt64> {
                try await log.append([entry(1, index, size: 900)])
            }
            try await body(log, disk, failures)
        }
    }

    @Test(arguments: Taking.allCases)
    func `the next entry is not acknowledged where the segment in use is gone`(
        taking: Taking
    ) throws {
        try grown { log, disk, failures in
            taking.happens(to: path(3), of: disk)

            let error = await #expect(throws: LogError.self) {
                try await log.append([entry(1, 10)])
            }
            #expect(error == .failed(.takenAway(path(3))))
            #expect(failures.get() == [.takenAway(path(3))])
            await #expect(throws: LogError.failed(.takenAway(path(3)))) {
                try await log.append([entry(1, 10)])
            }
        }
    }

    @Test(arguments: Taking.allCases, [1, 2, 3])
    func `a look at all files finds the one that is gone`(taking: Taking, segment: Int) throws {
        try grown { log, disk, failures in
            await log.checkFiles()
            #expect(failures.get() == [])
            taking.happens(to: path(segment), of: disk)

            await log.checkFiles()
            #expect(failures.get() == [.takenAway(path(segment))])
            await #expect(throws: LogError.failed(.takenAway(path(segment)))) {
                try await log.append([entry(1, 10)])
            }
            await log.checkFiles()
            await log.close()
            #expect(failures.get().count == 1)
        }
    }

    @Test func `a disk that does not answer, and an old segment that goes, end nothing`() throws {
        try grown { log, disk, failures in
            disk.failAt(operation: 1)
            await log.checkFiles()
            try await log.append([entry(1, 10)])
            try await log.removeSegments(coveredBy: [GroupID(1): LogIndex(6)])
            #expect(disk.bytes(of: path(1)) == nil)
            await log.checkFiles()
            try await log.append([entry(1, 11)])
            #expect(failures.get() == [])
        }
    }

    /// A frame is on its way to the disk when the log is ended: whether it gets there or not.
    @Test func `what was being written when it was noticed is not acknowledged`() throws {
        let loop = TestLoop()
        let gate = Gate(loop)
        let disk = SimulatedDisk(pause: { await gate.pass() })
        try loop.run {
            let log = try await open(disk, loop).log
            gate.shut()
            let errors = await withTaskGroup(of: LogError?.self) { tasks in
                for group in 1...3 as ClosedRange<UInt16> {
                    tasks.addTask {
                        do throws(LogError) {
                            try await log.append([entry(group, 1)])
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                while await log.groupTails.groups.count < 3 { await loop.pause() }
                await log.end(by: .takenAway("identity"))
                gate.open()
                var errors: [LogError?] = []
                for await error in tasks { errors.append(error) }
                return errors
            }
            #expect(errors == Array(repeating: .failed(.takenAway("identity")), count: 3))
        }
    }

    /// The look ends the log while others append.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `nothing is acknowledged once it was noticed`(seed: UInt64) throws {
        let loop = TestLoop(seed: seed)
        let disk = SimulatedDisk(pause: { await loop.pause() })
        let isNoticed = Box(false)
        let late = Box(0)
        try loop.run {
            let log = try await open(disk, loop, onFailure: { _ in isNoticed.set(true) }).log
            for index in 1...9 as ClosedRange<UInt64> {
                try await log.append([entry(1, index, size: 900)])
            }
            await withTaskGroup(of: Void.self) { tasks in
                for group in 2...6 as ClosedRange<UInt16> {
                    tasks.addTask {
                        for index in 1...20 as ClosedRange<UInt64> {
                            // What was durable before may be told later.
                            let isLate = isNoticed.get()
                            do {
                                try await log.append([entry(group, index)])
                            } catch {
                                return
                            }
                            if isLate { late.update { $0 += 1 } }
                        }
                    }
                }
                tasks.addTask {
                    for _ in 0..<seed { await loop.pause() }
                    disk.lose(path(1))
                    await log.checkFiles()
                }
            }
        }
        #expect(isNoticed.get(), "seed \(seed)")
        #expect(late.get() == 0, "seed \(seed)")
    }

    @Test(arguments: Taking.allCases)
    func `a cell that is gone takes nothing more`(taking: Taking) throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        try loop.run {
            let cell = DurableCell(disk: disk, path: "cell", loop: loop)
            try await cell.store([1])
            taking.happens(to: "cell", of: disk)
            if taking == .removed {
                await #expect(throws: CellError.failed(.takenAway("cell"))) {
                    try await cell.store([2])
                }
            } else {
                // It is made whole again before it is written.
                try await cell.store([2])
            }
        }
    }
}

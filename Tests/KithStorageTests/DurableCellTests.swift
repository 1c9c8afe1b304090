import KithPorts
import Testing

@testable import KithSimulation
@testable import KithStorage

@Suite struct DurableCellTests {
    private func load(_ disk: SimulatedDisk) throws -> [UInt8]? {
        let loop = TestLoop()
        return try loop.run {
            try await DurableCell(disk: disk, path: "vote", loop: loop).load()
        }
    }

    private func diskWith(_ values: [[UInt8]]) throws -> SimulatedDisk {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        try loop.run {
            let cell = DurableCell(disk: disk, path: "vote", loop: loop)
            for value in values { try await cell.store(value) }
        }
        return disk
    }

    @Test func `an empty cell has no value`() throws {
        #expect(try load(SimulatedDisk()) == nil)
    }

    @Test func `the last value stored is the one that is read, also after a power loss`() throws {
        for count in 1...5 {
            let values = (1...count).map { [UInt8](repeating: UInt8($0), count: $0 * 100) }
            let disk = try diskWith(values)
            #expect(try load(disk) == values.last)
            #expect(
                try load(disk.crash(keeping: { _ in .nothing }, namesKept: { _, _ in 0 }))
                    == values.last)
        }
    }

    @Test func `the bytes are as documented`() throws {
        let slot = withChecksum(
            Array("KCEL".utf8) + [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 7, 8, 9])
        let disk = try diskWith([[7, 8, 9]])
        let padded = slot + [UInt8](repeating: 0, count: 4096 - slot.count)
        #expect(disk.bytes(of: "vote") == padded + padded)
    }

    @Test(arguments: [UInt8(1), 0x80, 0xFF])
    func `no damage to one byte brings back an older value`(mask: UInt8) throws {
        let base = try diskWith([[1, 1, 1], [2, 2]])
        for offset in 0..<8192 where offset % 4096 < 64 || offset % 61 == 0 {
            let disk = base.copy()
            disk.decay("vote") { $0[offset] ^= mask }
            #expect(try load(disk) == [2, 2], "byte \(offset)")
            #expect(try load(disk) == [2, 2])
        }
    }

    @Test func `two damaged slots are an error`() throws {
        let disk = try diskWith([[1], [2]])
        disk.decay("vote") {
            $0[10] ^= 1
            $0[4096 + 22] ^= 1
        }
        #expect(throws: CellError.corrupt(path: "vote")) { try load(disk) }
    }

    @Test func `a value that is too large is refused and the old one stays`() throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        try loop.run {
            let cell = DurableCell(disk: disk, path: "vote", loop: loop, valueBytes: 10)
            try await cell.store([1])
            await #expect(throws: CellError.tooLarge(byteCount: 11, limit: 10)) {
                try await cell.store([UInt8](repeating: 0, count: 11))
            }
            #expect(try await cell.load() == [1])
        }
    }

    @Test func `a cell that was closed reads its file again`() throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        try loop.run {
            let cell = DurableCell(disk: disk, path: "vote", loop: loop)
            try await cell.store([1])
            await cell.close()
            let other = DurableCell(disk: disk, path: "vote", loop: loop)
            try await other.store([2])
            await other.close()

            #expect(try await cell.load() == [2])
        }
    }

    /// Stores 1, 2, 3 with a power loss at each operation, and again one during the next load.
    @Test
    func `after a power loss at any moment the cell holds what was acknowledged, or the next`()
        throws
    {
        let loop = TestLoop()
        let acknowledged = Box<UInt8>(0)
        let moments = Box<[(SimulatedDisk, UInt8)]>([])
        let disk = SimulatedDisk(onOperation: { disk, _ in
            let moment = (disk.copy(), acknowledged.get())
            moments.update { $0.append(moment) }
        })
        try loop.run {
            let cell = DurableCell(disk: disk, path: "vote", loop: loop)
            for value in 1...3 as ClosedRange<UInt8> {
                try await cell.store([UInt8](repeating: value, count: 1000))
                acknowledged.set(value)
            }
        }
        #expect(moments.get().count > 12)
        for (disk, known) in moments.get() {
            for survival in Survival.all {
                let during = Box<[SimulatedDisk]>([])
                let after = disk.crash(
                    keeping: survival.part, namesKept: { _, count in survival.names(count) },
                    onOperation: { disk, _ in
                        let copy = disk.copy()
                        during.update { $0.append(copy) }
                    })
                let value = try load(after)?.first ?? 0
                #expect(value == known || value == known + 1, "\(survival)")
                for disk in during.get() {
                    for again in Survival.all {
                        let later = try load(disk.crash(keeping: again.part))?.first ?? 0
                        #expect(later == value || later == known, "\(survival), then \(again)")
                    }
                }
                // What was read once stays.
                let settled = after.crash(keeping: { _ in .nothing }, namesKept: { _, _ in 0 })
                #expect(try load(settled)?.first ?? 0 == value, "\(survival)")
            }
        }
    }

    @Test(arguments: [KeptPart.nothing, .prefix(10), .sectors(1), .everything])
    func `whichever operation fails, the cell fails for good and loses nothing`(
        syncKeeps: KeptPart
    ) throws {
        var number = 0
        while true {
            number += 1
            try #require(number < 100)
            let disk = SimulatedDisk()
            let loop = TestLoop()
            disk.failAt(operation: number, syncKeeps: syncKeeps)
            let acknowledged: UInt8 = try loop.run {
                let cell = DurableCell(disk: disk, path: "vote", loop: loop)
                var stored: UInt8 = 0
                var failure: CellError?
                for value in 1...3 as ClosedRange<UInt8> {
                    do throws(CellError) {
                        try await cell.store([value])
                        #expect(!(failure.isFailed), "a store after a failed one")
                        stored = value
                    } catch {
                        failure = failure ?? error
                    }
                }
                return stored
            }
            if !disk.hasFailed { break }
            disk.stopFailing()
            for survival in Survival.all {
                let value = try load(disk.crash(keeping: survival.part))?.first ?? 0
                #expect(value >= acknowledged, "operation \(number), \(survival)")
            }
            // Only the process died, and then the power goes while the next one loads.
            let during = Box<[SimulatedDisk]>([])
            let value = try load(
                disk.copy(onOperation: { disk, _ in
                    let copy = disk.copy()
                    during.update { $0.append(copy) }
                }))
            #expect(value?.first ?? 0 >= acknowledged, "operation \(number)")
            for disk in during.get() {
                for survival in Survival.all {
                    let later = try load(disk.crash(keeping: survival.part))?.first ?? 0
                    #expect(later >= acknowledged, "operation \(number), \(survival)")
                }
            }
            #expect(try load(disk) == value)
            #expect(try load(disk.crash(keeping: { _ in .nothing })) == value)
        }
        #expect(number > 10)
    }
}

extension CellError? {
    fileprivate var isFailed: Bool {
        if case .failed = self { true } else { false }
    }
}

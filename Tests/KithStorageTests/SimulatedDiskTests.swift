// The disk that all other tests here stand on.

import KithPorts
import Testing

@testable import KithSimulation

@Suite struct SimulatedDiskTests {
    private func file(_ disk: SimulatedDisk, _ bytes: [UInt8], sync: Bool) throws {
        try TestLoop().run {
            let file = try await disk.open("a", create: true, lane: .other)
            try await disk.syncDirectory(".")
            try await file.write(bytes, at: 0, sync: sync)
        }
    }

    @Test func `unsynced bytes are seen, and lost or kept in part by a crash`() throws {
        let disk = SimulatedDisk()
        try file(disk, [1, 2, 3, 4], sync: false)

        #expect(disk.bytes(of: "a") == [1, 2, 3, 4])
        #expect(disk.crash(keeping: { _ in .nothing }).bytes(of: "a") == [])
        #expect(disk.crash(keeping: { _ in .prefix(2) }).bytes(of: "a") == [1, 2])
        #expect(disk.crash(keeping: { _ in .everything }).bytes(of: "a") == [1, 2, 3, 4])
    }

    @Test func `synced bytes survive any crash`() throws {
        let disk = SimulatedDisk()
        try file(disk, [1, 2, 3, 4], sync: true)
        #expect(disk.crash(keeping: { _ in .nothing }).bytes(of: "a") == [1, 2, 3, 4])
    }

    @Test func `a later unsynced write can survive without an earlier one`() throws {
        let disk = SimulatedDisk()
        try TestLoop().run {
            let file = try await disk.open("a", create: true, lane: .other)
            try await file.write([9, 9, 9, 9], at: 0, sync: true)
            try await file.write([1], at: 0, sync: false)
            try await file.write([2], at: 3, sync: false)
        }
        let after = disk.crash(keeping: { $0.order == 1 ? .everything : .nothing })
        #expect(after.bytes(of: "a") == [9, 9, 9, 2])
    }

    @Test func `sectors of one write survive apart`() throws {
        let disk = SimulatedDisk()
        try file(disk, [UInt8](repeating: 7, count: 1100), sync: false)
        let bytes = disk.crash(keeping: { _ in .sectors(0b110) }).bytes(of: "a")
        #expect(bytes == [UInt8](repeating: 0, count: 512) + [UInt8](repeating: 7, count: 588))
    }

    @Test func `a name is certain only after its folder was synced`() throws {
        let disk = SimulatedDisk()
        try TestLoop().run {
            try await disk.makeDirectory("d")
            try await disk.syncDirectory(".")
            _ = try await disk.open("d/a", create: true, lane: .other)
            try await disk.syncDirectory("d")
            try await disk.rename("d/a", to: "d/b")
            _ = try await disk.open("d/c", create: true, lane: .other)
        }
        func names(_ kept: Int) -> [String] {
            disk.crash(keeping: { _ in .nothing }, namesKept: { _, _ in kept }).paths
        }
        #expect(names(0) == ["d/a"])
        #expect(names(1) == ["d/b"])
        #expect(names(2) == ["d/b", "d/c"])
    }

    @Test func `a folder that was not synced takes its files along`() throws {
        let disk = SimulatedDisk()
        try TestLoop().run {
            try await disk.makeDirectory("d")
            _ = try await disk.open("d/a", create: true, lane: .other)
            try await disk.syncDirectory("d")
        }
        #expect(disk.crash(keeping: { _ in .nothing }, namesKept: { _, _ in 0 }).paths == [])
    }

    @Test func `a failed sync loses its writes though reads still show them`() throws {
        let disk = SimulatedDisk()
        try file(disk, [1, 1], sync: true)
        disk.failAt(operation: 4)
        #expect(throws: DiskError.self) { try file(disk, [2, 2], sync: true) }
        try TestLoop().run {
            try await disk.open("a", create: false, lane: .other).sync()
        }
        #expect(disk.bytes(of: "a") == [2, 2])
        #expect(disk.crash(keeping: { _ in .everything }).bytes(of: "a") == [1, 1])
    }

    @Test func `a full disk refuses to grow a file, and a removal makes room`() throws {
        let disk = SimulatedDisk(freeBytes: 3)
        let error = #expect(throws: DiskError.self) { try file(disk, [1, 2, 3, 4], sync: true) }
        #expect(error?.code == SimulatedErrorCode.noSpace)
        try file(disk, [1, 2, 3], sync: true)
        let free = try TestLoop().run {
            try await disk.remove("a")
            return try await disk.freeBytes()
        }
        #expect(free == 3)
    }

    @Test func `one generator, one crash`() throws {
        let disk = SimulatedDisk()
        try file(disk, (0..<200).map { UInt8($0) }, sync: false)
        var outcomes: Set<[UInt8]> = []
        for seed in 0..<40 as Range<UInt64> {
            var first = SplitMix(seed)
            var second = SplitMix(seed)
            let bytes = disk.crash(using: &first).bytes(of: "a")
            #expect(bytes == disk.crash(using: &second).bytes(of: "a"))
            outcomes.insert(bytes ?? [])
        }
        #expect(outcomes.count > 5)
    }

    @Test func `a lock is held until the power goes`() throws {
        let disk = SimulatedDisk()
        try TestLoop().run {
            try await disk.lock("LOCK")
            await #expect(throws: DiskError.self) { try await disk.lock("LOCK") }
        }
        let after = disk.crash(keeping: { _ in .nothing })
        try TestLoop().run { try await after.lock("LOCK") }
    }
}

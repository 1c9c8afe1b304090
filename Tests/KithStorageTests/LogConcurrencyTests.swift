import KithBytes
import KithPorts
import Testing

@testable import KithSimulation
@testable import KithStorage

/// An acknowledged entry, and the disk as a power loss right then would leave it.
struct Acknowledged: Sendable {
    let group: UInt16
    let index: UInt64
    let powerLoss: SimulatedDisk
    init(_ group: UInt16, _ index: UInt64, _ powerLoss: SimulatedDisk) {
        self.group = group
        self.index = index
        self.powerLoss = powerLoss
    }
}

@Suite struct LogConcurrencyTests {
    /// Tasks of several groups append at once over a disk that gives way at each call.
    @Test(arguments: 1...25 as ClosedRange<UInt64>)
    func `concurrent appends keep their order and return only when durable`(seed: UInt64) throws {
        let loop = TestLoop(seed: seed)
        let disk = SimulatedDisk(pause: { await loop.pause() })
        let acknowledged = Box<[Acknowledged]>([])
        try loop.run {
            let log = try await open(disk, loop).log
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await log.keepSegmentReady() }
                try await withThrowingTaskGroup(of: Void.self) { appends in
                    for group in 0..<4 as Range<UInt16> {
                        appends.addTask {
                            for index in stride(from: 1 as UInt64, through: 39, by: 2) {
                                try await log.append([entry(group, index), entry(group, index + 1)])
                                let after = disk.crash(keeping: { _ in .nothing })
                                acknowledged.update {
                                    $0.append(Acknowledged(group, index + 1, after))
                                }
                            }
                        }
                    }
                    try await appends.waitForAll()
                }
                await log.close()
                try await tasks.waitForAll()
            }
        }
        for at in acknowledged.get() {
            let tail = try recover(at.powerLoss).report.tails[GroupID(at.group)]
            #expect(tail?.index == LogIndex(at.index), "seed \(seed), group \(at.group)")
        }
        let recovered = try recover(disk.copy())
        for group in 0..<4 as Range<UInt16> {
            let mine = recovered.entries.filter { $0.group == GroupID(group) }
            #expect(mine == (1...40).map { entry(group, $0) }, "seed \(seed)")
        }
    }
}

/// A disk whose first write after `hold` waits until `release`, so that a test can act meanwhile.
final class Gate: Sendable {
    private let loop: TestLoop
    private let isShut = Box(false)
    init(_ loop: TestLoop) { self.loop = loop }
    func shut() { isShut.set(true) }
    func open() { isShut.set(false) }
    func pass() async { while isShut.get() { await loop.pause() } }
}

@Suite struct LogBatchingTests {
    @Test func `what comes while the disk is busy shares one frame and one sync`() throws {
        let loop = TestLoop()
        let gate = Gate(loop)
        let disk = SimulatedDisk(pause: { await gate.pass() })
        let options = smallOptions(segmentBytes: 65536)
        try loop.run {
            let log = try await open(disk, loop, options).log
            let before = disk.operationCount
            gate.shut()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await log.append([entry(0, 1)]) }
                while await log.bytesWaiting == 0 { await loop.pause() }
                // The frame is on its way once a second entry has to wait for another.
                for _ in 0..<5 { await loop.pause() }
                for group in 1..<50 as Range<UInt16> {
                    tasks.addTask { try await log.append([entry(group, 1)]) }
                }
                while await log.groupTails.groups.count < 50 { await loop.pause() }
                gate.open()
                try await tasks.waitForAll()
            }
            // One frame that went at once and one that gathered: a write and a sync each.
            #expect(disk.operationCount - before == 4)
        }
        #expect(try recover(disk.copy(), options).report.frames == 3)
    }

    @Test func `a frame is closed at its limit`() throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        var options = smallOptions(segmentBytes: 65536)
        options.batchBytesMax = 1000
        let chosen = options
        try loop.run {
            let log = try await open(disk, loop, chosen).log
            // 40 + n * (32 + 200) <= 1000: four entries a frame; the large one is alone.
            try await log.append((1...8).map { entry(1, $0, size: 200) })
            try await log.append([entry(1, 9, size: 200), entry(1, 10, size: 5000), entry(1, 11)])
        }
        let recovered = try recover(disk.copy(), options)
        #expect(recovered.report.frames == 1 + 2 + 3)
        #expect(recovered.entries.count == 11)
    }

    @Test func `too many waiting bytes are refused at once and nothing of it is stored`() throws {
        let loop = TestLoop()
        let gate = Gate(loop)
        let disk = SimulatedDisk(pause: { await gate.pass() })
        var options = smallOptions(segmentBytes: 65536)
        options.waitingBytesMax = 1000
        let chosen = options
        try loop.run {
            let log = try await open(disk, loop, chosen).log
            gate.shut()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await log.append([entry(1, 1, size: 400)]) }
                while await log.bytesWaiting < 400 { await loop.pause() }
                tasks.addTask { try await log.append([entry(1, 2, size: 500)]) }
                while await log.bytesWaiting < 900 { await loop.pause() }
                await #expect(throws: LogError.overloaded(waitingBytes: 964, limit: 1000)) {
                    try await log.append([entry(1, 3, size: 8)])
                }
                gate.open()
                try await tasks.waitForAll()
            }
            await #expect(throws: LogError.tooLarge(byteCount: 1001, limit: 1000)) {
                try await log.append([entry(1, 3, size: 969)])
            }
            try await log.append([entry(1, 3, size: 968)])
            #expect(await log.bytesWaiting == 0)
        }
        #expect(try recover(disk.copy(), options).entries.map(\.index.rawValue) == [1, 2, 3])
    }
}

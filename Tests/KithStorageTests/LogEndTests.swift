// What a log says of its end once it was closed: nothing up to there can pass for a torn write.

import KithBytes
import KithPorts
import Testing

@testable import KithSimulation
@testable import KithStorage

@Suite struct LogEndTests {
    private static let entries = (1...9).map { entry(1, UInt64($0), size: 900) }

    /// Three segments, then a clean close where `isClosed`.
    private func disk(isClosed: Bool) throws -> SimulatedDisk {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        try loop.run {
            let log = try await open(disk, loop).log
            for entry in Self.entries { try await log.append([entry]) }
            if isClosed { await log.close() }
        }
        return disk
    }

    private func refusal(of disk: SimulatedDisk) -> LogError? {
        do {
            _ = try recover(disk)
            return nil
        } catch {
            return error as? LogError
        }
    }

    @Test func `the end of a closed log lies in its file as documented`() throws {
        let disk = try disk(isClosed: true)
        let last = try #require(layout(Self.entries, isClosed: true).last)
        let bytes = try #require(disk.bytes(of: "log/end"))

        #expect(bytes[16..<20].elementsEqual([25, 0, 0, 0]))
        let sequence = UInt8(Self.entries.count + 2)
        let offset = last.range.upperBound
        #expect(
            bytes[20..<45].elementsEqual(
                [1, UInt8(last.segment), 0, 0, 0, 0, 0, 0, 0, UInt8(offset & 255)]
                    + [UInt8(offset >> 8), 0, 0, 0, 0, 0, 0, sequence, 0, 0, 0, 0, 0, 0, 0]))
    }

    /// From the middle of each frame on, and from where it begins.
    @Test(arguments: [true, false])
    func `zeros up to the end are damage after a clean close, and a torn write after a crash`(
        isClosed: Bool
    ) throws {
        let base = try disk(isClosed: isClosed)
        let places = layout(Self.entries, isClosed: isClosed)
        let inLast = places.filter { $0.segment == 3 }
        // The first frame of a segment lies behind its header, which it needs.
        for place in inLast.dropFirst() {
            for start in [place.range.lowerBound, place.range.lowerBound + 50] {
                guard start < place.range.upperBound else { continue }
                let disk = base.copy()
                disk.decay(path(3)) { bytes in
                    for offset in start..<bytes.count { bytes[offset] = 0 }
                }
                let before = disk.bytes(of: path(3))

                let refusal = refusal(of: disk)
                if isClosed {
                    guard case .corrupt(SegmentID(3), let offset, .frameBeforeEnd)? = refusal else {
                        Issue.record("\(start): \(String(describing: refusal))")
                        continue
                    }
                    #expect(offset == UInt64(place.range.lowerBound))
                    #expect(disk.bytes(of: path(3)) == before, "nothing is changed")
                } else {
                    #expect(refusal == nil, "\(start)")
                }
            }
        }
    }

    @Test func `a last segment that is gone is missed after a clean close`() throws {
        let closed = try disk(isClosed: true)
        closed.lose(path(3))
        guard case .corrupt(SegmentID(2), _, .frameBeforeEnd)? = refusal(of: closed) else {
            Issue.record("\(String(describing: refusal(of: closed)))")
            return
        }
        for segment in 1...2 { closed.lose(path(segment)) }
        #expect(refusal(of: closed) == .missing, "it was a log once")
        closed.lose("log/end")
        #expect(refusal(of: closed) == nil)
    }

    @Test(arguments: [[0], [4_096], [0, 4_096]])
    func `a damaged note of the end is read from its other copy, and refused without one`(
        places: [Int]
    ) throws {
        let disk = try disk(isClosed: true)
        disk.decay("log/end") { bytes in for place in places { bytes[place + 25] ^= 1 } }
        #expect(refusal(of: disk) == (places.count == 1 ? nil : .end(.corrupt(path: "log/end"))))
    }

    @Test func `what is torn behind a clean close is cut as ever`() throws {
        let disk = try disk(isClosed: true)
        let loop = TestLoop()
        try loop.run {
            let log = try await open(disk, loop).log
            try await log.append([entry(1, 10, size: 100)])
            try await log.append([entry(1, 11, size: 100)])
        }
        let segment = disk.paths.last { $0.hasSuffix(".seg") }!
        disk.decay(segment) { bytes in
            let used = bytes.lastIndex { $0 != 0 }!
            bytes[used - 50] ^= 1
        }
        let opened = try recover(disk)
        #expect(opened.report.tornTail != nil)
        #expect(opened.entries.count == 10)
    }

    /// Lives that end cleanly, one after the other, with a power loss at each operation.
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `no power loss at any operation of several lives makes a whole log a damaged one`(
        seed: UInt64
    ) throws {
        let loop = TestLoop(seed: seed)
        let kept = Box<[(disk: SimulatedDisk, entries: Int)]>([])
        let acknowledged = Box(0)
        let disk = SimulatedDisk(
            pause: { await loop.pause() },
            onOperation: { disk, _ in
                let copy = disk.copy()
                let count = acknowledged.get()
                kept.update { $0.append((copy, count)) }
            })
        for life in 0..<4 {
            try loop.run {
                let log = try await open(disk, loop).log
                for number in 1...3 {
                    try await log.append([entry(1, UInt64(life * 3 + number), size: 500)])
                    acknowledged.update { $0 += 1 }
                }
                if life != 2 { await log.close() }
            }
        }
        let moments = kept.get()
        #expect(moments.count > 60)
        for (number, moment) in moments.enumerated() {
            for survival in Survival.all {
                let after = moment.disk.crash(
                    keeping: survival.part, namesKept: { _, count in survival.names(count) })
                do {
                    let opened = try recover(after)
                    #expect(
                        opened.entries.count >= moment.entries,
                        "seed \(seed), operation \(number), \(survival)")
                } catch {
                    Issue.record("seed \(seed), operation \(number), \(survival): \(error)")
                }
            }
        }
    }

    @Test func `an end that cannot be stored is told, and the log is closed all the same`() throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        try loop.run {
            let log = try await open(disk, loop).log
            try await log.append([entry(1, 1)])
            // Write and sync of the seal, then a look for the file of the end.
            disk.failAt(operation: 3, isPersistent: true)
            let error = await log.close()
            #expect(error != nil)
        }
        disk.stopFailing()
        #expect(try recover(disk).entries == [entry(1, 1)])
    }
}

// Power loss at every operation of a log's life, and a failure of every operation in turn.

import KithBytes
import KithPorts
import Testing

@testable import KithSimulation
@testable import KithStorage

/// The disk and what was known just before an operation.
struct Moment: Sendable {
    let operation: DiskOperation
    let disk: SimulatedDisk
    let ledger: Ledger
}

/// What survives a power loss.
struct Survival: Sendable, CustomStringConvertible {
    let description: String
    let part: @Sendable (UnsyncedWrite) -> KeptPart
    let names: @Sendable (Int) -> Int

    static let all: [Survival] = [
        Survival(description: "nothing", part: { _ in .nothing }, names: { _ in 0 }),
        Survival(description: "everything", part: { _ in .everything }, names: { $0 }),
        Survival(
            description: "half of each write", part: { .prefix($0.byteCount / 2) },
            names: { $0 / 2 }),
        Survival(
            description: "all but the last byte", part: { .prefix($0.byteCount - 1) },
            names: { $0 }),
        Survival(description: "the first byte", part: { _ in .prefix(1) }, names: { $0 }),
        Survival(
            description: "even sectors", part: { _ in .sectors(0x5555_5555_5555_5555) },
            names: { $0 }),
        Survival(
            description: "odd sectors", part: { _ in .sectors(0xAAAA_AAAA_AAAA_AAAA) },
            names: { $0 }),
        Survival(
            description: "every second write", part: { $0.order % 2 == 1 ? .everything : .nothing },
            names: { max(0, $0 - 1) }),
    ]
}

@Suite struct LogCrashTests {
    private let workload = LogWorkload(groups: 3, appends: 12)

    /// Runs the workload and keeps a copy of the disk before each of its operations.
    private func moments(seed: UInt64) throws -> [Moment] {
        let loop = TestLoop(seed: seed)
        let ledger = Box(Ledger())
        let kept = Box<[Moment]>([])
        let disk = SimulatedDisk(
            pause: { await loop.pause() },
            onOperation: { disk, operation in
                let moment = Moment(
                    operation: operation, disk: disk.copy(), ledger: ledger.get())
                kept.update { $0.append(moment) }
            })
        try loop.run {
            let log = try await open(disk, loop).log
            await workload.run(log, ledger)
        }
        return kept.get()
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `whatever survives a power loss at any operation, what was acknowledged is there`(
        seed: UInt64
    ) throws {
        let moments = try moments(seed: seed)
        #expect(moments.count > 100)
        #expect(moments.last!.ledger.acknowledged.count == 3)
        var torn = 0

        for moment in moments {
            for survival in Survival.all {
                let after = moment.disk.crash(
                    keeping: survival.part, namesKept: { _, count in survival.names(count) })
                do {
                    let opened = try recover(after)
                    if opened.report.tornTail != nil { torn += 1 }
                    if let complaint = workload.complaint(about: opened, moment.ledger) {
                        Issue.record("seed \(seed), \(moment.operation), \(survival): \(complaint)")
                    }
                } catch {
                    Issue.record("seed \(seed), \(moment.operation), \(survival): \(error)")
                }
            }
        }
        #expect(torn > 50, "the crashes were too kind")
    }

    /// The repair after a crash is itself cut short by crashes, and starts again.
    @Test func `a power loss during recovery changes nothing`() throws {
        let moments = try moments(seed: 9)
        for (number, moment) in moments.enumerated() where number % 5 == 0 {
            let survival = Survival.all[number / 5 % Survival.all.count]
            let first = moment.disk.crash(
                keeping: survival.part, namesKept: { _, count in survival.names(count) })
            let during = Box<[SimulatedDisk]>([])
            let observed = first.copy(onOperation: { disk, _ in
                let copy = disk.copy()
                during.update { $0.append(copy) }
            })
            let opened = try recover(observed)
            for (step, disk) in during.get().enumerated() {
                let again = Survival.all[(number + step) % Survival.all.count]
                let after = disk.crash(
                    keeping: again.part, namesKept: { _, count in again.names(count) })
                let reopened = try recover(after)
                // Old segments may go meanwhile; nothing else changes.
                let isSame =
                    reopened.entries == Array(opened.entries.suffix(reopened.entries.count))
                #expect(isSame, "\(moment.operation), \(survival), then step \(step), \(again)")
                #expect(workload.complaint(about: reopened, moment.ledger) == nil)
            }
        }
    }

    @Test(arguments: [
        (SimulatedErrorCode.inputOutput, false, KeptPart.nothing),
        (SimulatedErrorCode.inputOutput, true, .prefix(100)),
        (SimulatedErrorCode.noSpace, false, .everything),
    ])
    func `whichever operation fails, nothing acknowledged is lost`(
        code: Int32, isPersistent: Bool, syncKeeps: KeptPart
    ) throws {
        var number = 0
        var failedLogs = 0
        while true {
            number += 1
            try #require(number < 2000)
            let disk = SimulatedDisk()
            disk.failAt(
                operation: number, code: code, isPersistent: isPersistent, syncKeeps: syncKeeps)
            let loop = TestLoop()
            let ledger = Box(Ledger())
            let failures = Box<[DiskError]>([])
            let last: LogError? = try loop.run {
                do throws(LogError) {
                    var options = LogOptions()
                    options.segmentBytes = 4096
                    let log = try await WriteAheadLog.open(
                        disk: disk, loop: loop, randomness: FixedRandomness(), options: options,
                        onFailure: { error in failures.update { $0.append(error) } },
                        onEntry: { _ in }
                    ).log
                    await workload.run(log, ledger)
                    try await log.append([entry(9, 1)])
                    return nil
                } catch {
                    return error
                }
            }
            if !disk.hasFailed { break }

            // A log that failed says so once, and to every later append; one that did not is
            // closed.
            switch last {
            case .failed(let error):
                failedLogs += 1
                #expect(error.code == code)
                #expect(failures.get().count <= 1)
            case .closed: #expect(failures.get().isEmpty)
            case .disk, .none: #expect(ledger.get().attempted.isEmpty)
            default: Issue.record("operation \(number): \(String(describing: last))")
            }

            disk.stopFailing()
            let known = ledger.get()
            for survival in Survival.all {
                let after = disk.crash(keeping: survival.part)
                let opened = try recover(after)
                #expect(workload.complaint(about: opened, known) == nil, "\(number), \(survival)")
            }
            // Only the process died: the cache shows what the disk may have lost. What the next
            // process is given must survive a power loss right after.
            let opened = try recover(disk)
            #expect(workload.complaint(about: opened, known) == nil, "operation \(number)")
            let after = try recover(disk.crash(keeping: { _ in .nothing }))
            // Old segments may go at the first open; nothing else changes.
            let isSame = after.entries == Array(opened.entries.suffix(after.entries.count))
            #expect(isSame, "operation \(number)")
            #expect(workload.complaint(about: after, known) == nil, "operation \(number)")
        }
        #expect(number > 100)
        #expect(failedLogs > 30)
    }

    @Test func `a failed log stays failed and tells everybody who waits`() throws {
        let loop = TestLoop()
        let gate = Gate(loop)
        let disk = SimulatedDisk(pause: { await gate.pass() })
        let failures = Box(0)
        try loop.run {
            let log = try await open(disk, loop, onFailure: { _ in failures.update { $0 += 1 } })
                .log
            gate.shut()
            let errors = await withTaskGroup(of: LogError?.self) { tasks in
                for group in 0..<10 as Range<UInt16> {
                    tasks.addTask {
                        do throws(LogError) {
                            try await log.append([entry(group, 1)])
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                while await log.groupTails.groups.count < 10 { await loop.pause() }
                disk.failAt(operation: 2)
                gate.open()
                var errors: [LogError?] = []
                for await error in tasks { errors.append(error) }
                return errors
            }
            #expect(errors.count == 10)
            for error in errors {
                guard case .failed = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
            }
            #expect(failures.get() == 1)
            let later = await #expect(throws: LogError.self) {
                try await log.append([entry(1, 2)])
            }
            #expect(later == errors[0])
            await log.close()
            #expect(failures.get() == 1)
        }
    }
}

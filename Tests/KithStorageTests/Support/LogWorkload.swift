// A day in the life of a log, for the tests that crash it or make its disk fail: several appenders,
// a preparing task, segments removed on the way, a close.

import KithBytes
import KithPorts

@testable import KithSimulation
@testable import KithStorage

/// What the appenders know at some moment.
struct Ledger: Sendable {
    /// The last index per group whose append returned.
    var acknowledged: [UInt16: UInt64] = [:]
    /// The last index per group that was given to `append`.
    var attempted: [UInt16: UInt64] = [:]
    /// The index per group at or below which segments may be gone.
    var floors: [UInt16: UInt64] = [:]
}

struct LogWorkload {
    let groups: UInt16
    /// Appends of each group, of one or two entries.
    let appends: Int
    var entryBytes = 350

    /// Runs on an open log. Errors of the log end an appender; the ledger says how far it came.
    func run(_ log: WriteAheadLog, _ ledger: Box<Ledger>) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await log.keepSegmentReady() }
            await withTaskGroup(of: Void.self) { appenders in
                for group in 0..<groups {
                    appenders.addTask { await appendAll(group, log, ledger) }
                }
            }
            await log.close()
        }
    }

    private func appendAll(_ group: UInt16, _ log: WriteAheadLog, _ ledger: Box<Ledger>) async {
        var index: UInt64 = 0
        for number in 0..<appends {
            let count: UInt64 = number % 3 == 2 ? 2 : 1
            let entries = (1...count).map { entry(group, index + $0, size: entryBytes) }
            index += count
            let last = index
            ledger.update { $0.attempted[group] = last }
            do {
                try await log.append(entries)
            } catch {
                return
            }
            ledger.update { $0.acknowledged[group] = last }
            if group == 0, number % 4 == 3 {
                // As if a snapshot covered all that is acknowledged.
                ledger.update { $0.floors = $0.acknowledged }
                let floors = ledger.get().floors.map {
                    (GroupID($0.key), LogIndex($0.value))
                }
                _ = try? await log.removeSegments(
                    coveredBy: Dictionary(uniqueKeysWithValues: floors))
            }
        }
    }

    /// What is wrong with a recovered log, given what the appenders knew; `nil` if nothing.
    func complaint(about opened: Opened, _ ledger: Ledger) -> String? {
        for group in 0..<groups {
            let found = opened.entries.filter { $0.group == GroupID(group) }
            let first = found.first?.index.rawValue ?? 1
            let last = found.last?.index.rawValue ?? 0
            if last < ledger.acknowledged[group] ?? 0,
                last > 0 || ledger.floors[group] == nil
                    || ledger.floors[group]! < ledger.acknowledged[group]!
            {
                return
                    "group \(group): \(ledger.acknowledged[group]!) was acknowledged, has \(last)"
            }
            if first > (ledger.floors[group] ?? 0) + 1 {
                return "group \(group) starts at \(first), above \(ledger.floors[group] ?? 0)"
            }
            if last > ledger.attempted[group] ?? 0 {
                return "group \(group) has \(last), which nobody appended"
            }
            if found != (first..<(last + 1)).map({ entry(group, $0, size: entryBytes) }) {
                return "group \(group) has wrong entries"
            }
        }
        return nil
    }
}

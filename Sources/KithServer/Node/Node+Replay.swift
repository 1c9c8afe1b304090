internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithStorage
internal import KithWire

// A node before it serves: its log is replayed into the groups, and its port says how far it is.

extension Node {
    /// Has the folder hear what the other nodes say of it, and answers those that ask it.
    static func hearing(
        _ entrance: FolderEntrance, _ settings: NodeSettings, _ ports: NodePorts,
        _ listener: any Listener, _ print: @escaping @Sendable (LogLine) -> Void
    ) async throws(NodeError) -> FolderEntrance {
        // With `--port 0` nobody could reach it otherwise.
        let host = settings.configuration.node(settings.nodeID)?.host ?? ""
        print(LogLine(.info, "starting: answers at \(host):\(listener.port)"))
        let waits = StartWaits()
        let door = StartingPort(
            settings: settings, listener: listener, clock: ports.clock,
            word: entrance.word(of: settings.nodeID), progress: nil, waits: waits)
        let result: Result<FolderEntrance, NodeError> = await door.answer {
            var entrance = entrance
            do throws(NodeError) {
                try await entrance.hearOthers(settings, ports, waits, print)
                return .success(entrance)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Replays the log into the groups; meanwhile the listener tells how far it is.
    static func recover(
        _ options: LogOptions, _ settings: NodeSettings, _ ports: NodePorts,
        _ listener: any Listener, _ word: FolderWord, _ groups: [Group], _ failure: FailureBox,
        _ print: @escaping @Sendable (LogLine) -> Void
    ) async throws(NodeError) -> (WriteAheadLog, lastEntry: LogTime?) {
        let progress = StartProgress()
        var options = options
        options.onProgress = { progress.reach($0) }
        let door = StartingPort(
            settings: settings, listener: listener, clock: ports.clock, word: word,
            progress: progress)
        typealias Replayed = (WriteAheadLog, lastEntry: LogTime?)
        let result: Result<Replayed, NodeError> = await door.answer { [options] in
            do throws(NodeError) {
                return .success(
                    try await replay(options, ports, groups, failure, progress, print))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Has the groups find again what they lost and others know; meanwhile the listener answers
    /// those that search too.
    static func restoring(
        _ groups: [Group], _ settings: NodeSettings, _ ports: NodePorts,
        _ listener: any Listener, _ word: FolderWord,
        _ print: @escaping @Sendable (LogLine) -> Void
    ) async throws(NodeError) {
        var lost: [Group] = []
        for group in groups where await group.lacksForwards { lost.append(group) }
        guard !lost.isEmpty else { return }
        let waits = StartWaits("which of its identifiers have a profile there")
        let door = StartingPort(
            settings: settings, listener: listener, clock: ports.clock, word: word,
            progress: nil, waits: waits, forwards: ForwardService(groups: groups))
        let search = ForwardSearch(
            settings: settings, ports: ports, lost: lost, own: groups,
            number: word.starts.newest.id, waits: waits, print: print)
        let result: Result<Void, NodeError> = await door.answer {
            do throws(NodeError) {
                return .success(try await search.run())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// The latest log time of the groups; nil before a first start.
    static func logTime(of groups: [Group]) async -> LogTime? {
        var latest: LogTime?
        for group in groups {
            if let time = await group.logTime { latest = max(latest ?? time, time) }
        }
        return latest
    }

    /// Nanoseconds of replaying after which other work of the loop has its turn.
    static let replayTurnNanoseconds: UInt64 = 20_000_000
    /// Nanoseconds between two lines of the log that say how far it is.
    static let progressNanoseconds: UInt64 = 10_000_000_000

    static func replay(
        _ options: LogOptions, _ ports: NodePorts, _ groups: [Group], _ failure: FailureBox,
        _ progress: StartProgress, _ print: @escaping @Sendable (LogLine) -> Void
    ) async throws(NodeError) -> (WriteAheadLog, lastEntry: LogTime?) {
        let bell = failure
        var misplaced: NodeError?
        var lastEntry: LogTime?
        let started = ports.clock.monotonicNanoseconds()
        var (turnAt, toldAt) = (started, started)
        let opened: (log: WriteAheadLog, report: RecoveryReport)
        do throws(LogError) {
            opened = try await WriteAheadLog.open(
                disk: ports.disk, loop: ports.loops[0], randomness: ports.randomness,
                options: options,
                onFailure: { bell.fail(.disk($0)) },
                onEntry: { entry in
                    guard misplaced == nil else { return }
                    if let group = groups.first(where: { $0.id == entry.group }) {
                        misplaced = await group.replay(entry)
                    } else {
                        misplaced = .logOrder(
                            group: entry.group.rawValue, index: entry.index.rawValue)
                    }
                    guard misplaced == nil else { return mark(.nodeEntryMisplaced) }
                    lastEntry = max(lastEntry ?? entry.time, entry.time)
                    let now = ports.clock.monotonicNanoseconds()
                    if now - toldAt >= progressNanoseconds {
                        toldAt = now
                        print(LogLine(.info, "starting: \(progress.text)"))
                    }
                    if now - turnAt >= replayTurnNanoseconds {
                        await Task.yield()
                        turnAt = ports.clock.monotonicNanoseconds()
                    }
                })
        } catch .notEmpty {
            throw .identityMissing
        } catch {
            throw .log(error)
        }
        if let misplaced {
            await opened.log.close()
            throw misplaced
        }
        let report = opened.report
        if let torn = report.tornTail {
            print(
                .warning(
                    "log: cut a torn write of \(torn.byteCount) bytes at segment \(torn.segment.rawValue), "
                        + "offset \(torn.offset); it was never acknowledged"))
        }
        if report.entries > 0 {
            let millis = (ports.clock.monotonicNanoseconds() - started) / 1_000_000
            print(LogLine(.info, "log: recovered \(report.entries) entries in \(millis) ms"))
        }
        return (opened.log, lastEntry)
    }
}

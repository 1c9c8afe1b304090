// `kith serve`: one node, until a signal or a failure ends it.
//
//   open ─▶ "listening" ─▶ run ── SIGTERM, SIGINT ─▶ stop ─▶ 0
//                           └──── the log fails ───────────▶ 1
//
// A second signal ends the process at once, and so does one while the log is still being recovered:
// what was acknowledged is on disk, so nothing is lost by it.

import Glibc
import KithBytes
import KithPorts
import KithRuntime
import KithServer
import Synchronization

/// The node, once it is open.
private final class RunningNode: Sendable {
    let node = Mutex<Node?>(nil)
}

/// `kith serve`.
enum ServeCommand: Command {
    static let syntax = CommandSyntax(
        name: "serve", summary: "Run a node of a cluster",
        options: [
            CommandSyntax.Option("config", value: "FILE", help: "the cluster file; required"),
            CommandSyntax.Option(
                "node", value: "N", help: "which node of the cluster file to be; required"),
            CommandSyntax.Option(
                "data", value: "DIR", help: "the node's data folder, made where absent; required"),
            CommandSyntax.Option(
                "port", value: "P", help: "listen on this port instead; 0 picks a free one"),
            CommandSyntax.Option(
                "loops", value: "N", standard: "one a processor", help: "event loops, 1 to 64"),
            CommandSyntax.Option(
                "new", help: "the node lost its data: begin anew in an empty folder"),
            CommandSyntax.Option(
                "restored", help: "the data folder is an older state that was put back"),
            CommandSyntax.Option(
                "accept-clock",
                help: "the clock is right, though over 30 days beyond or an hour behind what the "
                    + "folder has seen"),
            CommandSyntax.Option(
                "memory-share", value: "N", standard: "1",
                help: "nodes that share this machine: without memory.limitMiB in the cluster file, "
                    + "each holds profiles of 80 % of its memory, divided by N"),
            CommandSyntax.Option(
                "log", value: "text|json", standard: "text",
                help: "how the lines of its log look, on standard error"),
        ],
        notes: [
            "Prints one line when it serves, and runs until SIGTERM or SIGINT; a second signal ends it at "
                + "once. What was acknowledged is on disk and survives either, as it does kill -9. SIGHUP "
                + "changes nothing.",
            "Its log goes to standard error: a line with time and level for each change of other nodes, "
                + "disk, clock and refused strangers. While it replays its data at start, it answers at its "
                + "port how far it is.",
            "The first start of a node of several waits until all others have answered once: start them "
                + "together.",
            "A data folder is made where there is none; one that is there and empty is refused, for its disk may not "
                + "be mounted. With --new or --restored all other nodes must be up or starting: each is asked, "
                + "for a minute, what it has heard of this one. docs/operations.md has the drill.",
            "There is no authentication and no encryption: listen on loopback or in a private network.",
        ],
        examples: [
            "kith serve --config cluster-config/local-1.json --node 1 --data kith-data/node-1"
        ],
        exitCodes: [.done, .failed, .usage],
        exitMeanings: [
            .done: "stopped by a signal, with all that was acknowledged on disk",
            .failed: "did not start, or the disk failed; the last line of the log says why",
        ])

    static func run(_ arguments: Arguments, _ console: Console) throws(UsageError) -> ExitCode {
        guard endsWithParent(console) else { return .failed }
        let file = try required("config", arguments)
        let data = try required("data", arguments)
        _ = try required("node", arguments)
        guard let number = try arguments.number("node", in: UInt16(1)...UInt16.max) else {
            throw UsageError("--node must be given")
        }
        let port = try arguments.number("port", in: UInt16.min...UInt16.max)
        let loops = try arguments.number("loops", in: 1...64) ?? Runtime.processorCount
        guard let form = NodeLog.Form(rawValue: arguments["log"] ?? "text") else {
            throw UsageError("--log must be text or json, not \"\(arguments["log"] ?? "")\"")
        }
        guard let configuration = CheckConfigCommand.load(file, "serve", console) else {
            return .failed
        }
        guard configuration.node(NodeID(number)) != nil else {
            let known = configuration.nodes.map { String($0.id.rawValue) }
            throw UsageError(
                "--node must be a node of \(file): \(known.joined(separator: ", ")), not \(number)")
        }
        // A terminal that goes is no reason to end.
        signal(SIGHUP, SIG_IGN)
        unblockStopSignals()
        var settings = NodeSettings(
            configuration: configuration, nodeID: NodeID(number), software: KithCommand.software)
        settings.port = port
        settings.folder = try folderUse(data, arguments)
        settings.acceptsClock = arguments.has("accept-clock")
        let share = try arguments.number("memory-share", in: 1...ClusterConfiguration.nodesMax) ?? 1
        let available = MachineMemory.availableBytes() / UInt64(share)
        settings.memoryBytesMax = memoryBytes(configuration.memory, of: available)
        limitClients(&settings, of: available)
        settings.processBytes = { MachineMemory.residentBytes() }
        let clock = LinuxClock()
        let log = NodeLog(form, node: number, console) { clock.wallTime().rawValue }
        guard limitConnections(&settings, log) else { return .failed }
        do {
            return try Runtime.run(loopCount: loops, dataFolder: data) { [settings] runtime in
                await serve(settings, data: data, runtime, log)
            }
        } catch let error as DiskError {
            log.write(LogLine(.error, NodeFailure.text(.disk(error))))
        } catch {
            log.write(LogLine(.error, "\(error)"))
        }
        return .failed
    }

    /// A folder that is there and empty may be the mount point of a disk that is not.
    private static func folderUse(
        _ data: String, _ arguments: Arguments
    ) throws(UsageError) -> FolderUse {
        switch (arguments.has("new"), arguments.has("restored")) {
        case (true, true): throw UsageError("--new and --restored: only one of them can be")
        case (true, false): return .new
        case (false, true): return .restored
        case (false, false): return .asFound(mayMake: access(data, F_OK) != 0)
        }
    }

    /// Has the process end with `kith chaos`, where that has started it; false, after a word to the
    /// user, where `kith chaos` has ended already.
    private static func endsWithParent(_ console: Console) -> Bool {
        guard let text = getenv(ChildProcess.parentVariable).map({ String(cString: $0) }),
            let parent = Int32(text)
        else { return true }
        if ParentProcess.endWith(parent) { return true }
        console.complain("kith serve: process \(parent), which started this one, has ended")
        return false
    }

    /// Lets SIGTERM and SIGINT through, before there is any other thread: a parent that blocks
    /// them, as the threads of some libraries do, passes that on.
    private static func unblockStopSignals() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    /// Bytes of profiles that the node may hold.
    private static func memoryBytes(
        _ memory: ClusterConfiguration.Memory, of available: UInt64
    ) -> UInt64 {
        if let limit = memory.limitMiB { return UInt64(limit) << 20 }
        return available / 10 * 8
    }

    /// Bytes that clients' requests, or answers to them, may have at least, however little memory
    /// there is: twice the largest frame.
    private static let clientBytesMin = 16 << 20

    /// What clients make the node hold is little of what it may use: requests an eighth, answers a
    /// sixteenth.
    private static func limitClients(_ settings: inout NodeSettings, of available: UInt64) {
        func least(_ standard: Int, _ share: UInt64) -> Int {
            min(standard, max(clientBytesMin, Int(clamping: available / share)))
        }
        settings.ingestBytesMax = least(settings.ingestBytesMax, 8)
        settings.replyBytesMax = least(settings.replyBytesMax, 16)
    }

    /// Descriptors that a node asks for: several times what its connections and files need.
    static let descriptorsMax = 65_536
    /// Descriptors that connections leave alone: a log that cannot open its next segment takes no
    /// more events.
    private static let descriptorsReserved = 128

    /// Takes as many descriptors as the system gives, and has no more places than those are for;
    /// false, after a word in the log, where they are too few.
    private static func limitConnections(_ settings: inout NodeSettings, _ log: NodeLog) -> Bool {
        let limit = DescriptorLimit.raise(to: descriptorsMax)
        let room = max(limit - descriptorsReserved, limit / 4)
        let wanted = settings.connectionsMax
        let allowed = "the system allows \(Words.grouped(limit)) open files (ulimit -n)"
        guard settings.fit(intoSockets: room) else {
            log.write(
                LogLine(
                    .error,
                    "\(allowed): too few for a node of a cluster of "
                        + "\(settings.configuration.nodes.count)"))
            return false
        }
        if settings.connectionsMax < wanted {
            log.write(
                LogLine(
                    .warning,
                    "\(allowed): at most \(Words.grouped(settings.connectionsMax)) clients are "
                        + "served, not \(Words.grouped(wanted))"))
        }
        return true
    }

    private static func required(
        _ option: String, _ arguments: Arguments
    ) throws(UsageError) -> String {
        guard let value = arguments[option], !value.isEmpty else {
            throw UsageError("--\(option) must be given, as in: \(syntax.examples[0])")
        }
        return value
    }

    private static func serve(
        _ settings: NodeSettings, data: String, _ runtime: Runtime, _ log: NodeLog
    ) async -> ExitCode {
        guard let disk = runtime.disk else { preconditionFailure("a runtime without a disk") }
        #if KITH_PLANTED
        PlantedNode.plant(in: runtime)
        #endif
        if !MemoryReserve.hold() {
            log.write(
                LogLine(
                    .warning,
                    "memory: not even \(MemoryReserve.standardBytes >> 20) MiB could be kept in reserve"
                ))
        }
        let ports = NodePorts(
            disk: disk, network: runtime.network, clock: runtime.clock,
            randomness: runtime.randomness, loops: runtime.loops)
        let running = RunningNode()
        do {
            let watch = try SignalWatch(loop: runtime.loops[0])
            return await withTaskGroup(of: ExitCode?.self) { group in
                group.addTask {
                    await obey(watch, running)
                    return nil
                }
                group.addTask {
                    await run(settings, ports, data: data, running, log)
                }
                while let ended = await group.next() {
                    guard let code = ended else { continue }
                    watch.close()
                    group.cancelAll()
                    return code
                }
                return .failed
            }
        } catch {
            log.write(LogLine(.error, "\(error)"))
            return .failed
        }
    }

    private static func run(
        _ settings: NodeSettings, _ ports: NodePorts, data: String, _ running: RunningNode,
        _ log: NodeLog
    ) async -> ExitCode {
        do throws(NodeError) {
            log.write("starting: \(settings.software), cluster \"\(settings.configuration.name)\"")
            let node = try await Node.open(settings, ports) { log.write($0) }
            running.node.withLock { $0 = node }
            let host = settings.configuration.node(settings.nodeID)?.host ?? ""
            let address = (host.contains(":") ? "[\(host)]" : host) + ":\(node.port)"
            log.announce(address: address, cluster: settings.configuration.name, data: data)
            try await node.run()
            log.write("stopped")
            return .done
        } catch {
            log.write(LogLine(.error, NodeFailure.text(error)))
            return .failed
        }
    }

    /// Stops the node at the first signal, and the process at the second.
    private static func obey(_ watch: SignalWatch, _ running: RunningNode) async {
        var isStopping = false
        while let signal = await watch.next() {
            guard !isStopping, let node = running.node.withLock({ $0 }) else {
                _exit(signal.exitCode)
            }
            isStopping = true
            await node.stop()
        }
    }
}

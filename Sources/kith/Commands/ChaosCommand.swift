import Foundation
import Glibc
import KithRuntime
import KithSimulation

/// `kith chaos`: a cluster of real processes behind proxies, with faults, judged by the checkers of
/// `kith simulate`.
enum ChaosCommand: Command {
    static let syntax = CommandSyntax(
        name: "chaos", summary: "Run a cluster of real processes, kill and cut, and check it",
        options: plantedOptions + [
            CommandSyntax.Option("nodes", value: "N", standard: "3", help: "processes, 1 to 9"),
            CommandSyntax.Option(
                "seconds", value: "S", standard: "30", help: "how long clients work, 2 to 600"
            ),
            CommandSyntax.Option(
                "seed", value: "N", standard: "1", help: "says work, faults and placement"),
            CommandSyntax.Option(
                "seeds", value: "N", standard: "1",
                help: "so many runs, one after the other, until one fails"),
            CommandSyntax.Option(
                "rate", value: "R", standard: "\(ChaosSettings.standardRate)",
                help: "steps of work a second, over all clients"),
            CommandSyntax.Option(
                "faults", value: "A,B…", help: "only these kinds of faults, or groups, or none"),
            CommandSyntax.Option("without", value: "A,B…", help: "not these kinds of faults"),
            CommandSyntax.Option(
                "data", value: "DIR", standard: "a temporary folder",
                help: "where data and logs go; made where absent, and must be empty"),
            CommandSyntax.Option("keep", help: "keep data and logs, though nothing failed"),
            CommandSyntax.Option("json", help: "print one JSON object a run"),
        ],
        notes: [
            "Starts a `kith serve` for each node, which clients and other nodes reach through proxies "
                + "only. Clients do the work of `kith simulate` (browsing, link storms, races for devices, "
                + "retries, expiry …) while nodes are killed (-9), stopped (SIGSTOP) and started, and while "
                + "connections are delayed, cut in the middle of a frame, left half open, or held up between "
                + "two hosts. Then all is healed, every node is asked about everything, all are killed and "
                + "started, and asked again. What clients were told and what nodes say is judged by the same "
                + "checkers: nothing acknowledged is lost or counted twice, every node answers the same, "
                + "histories are linearizable. docs/simulation.md lists the rules.",
            "Faults: " + ChaosSettings.kinds.map(\.rawValue).joined(separator: " ")
                + ". Power loss, disks and wrong clocks are for `kith simulate`: kill -9 leaves to the "
                + "kernel what was written and not synced.",
            "A seed says what is tried; with real time, what happens differs from run to run. A run that "
                + "breaks a rule prints it and keeps run.log, node-N.log and the data folders.",
            "SIGINT, SIGTERM and SIGHUP end it and its nodes at once (exit codes 130, 143 and 129), and "
                + "however it ends, its nodes end with it.",
        ],
        examples: [
            "kith chaos", "kith chaos --seconds 60 --seed 7 --nodes 5",
            "kith chaos --seeds 10 --faults kill,partition",
        ],
        exitCodes: [.done, .failed, .usage],
        exitMeanings: [
            .done: "every run passed", .failed: "a rule was broken, or a node did not start",
        ])

    /// What only a build with planted faults has.
    private static var plantedOptions: [CommandSyntax.Option] {
        #if KITH_PLANTED
        [CommandSyntax.Option("planted", value: "NAME", help: "with this fault in every node")]
        #else
        []
        #endif
    }

    static func run(_ arguments: Arguments, _ console: Console) throws(UsageError) -> ExitCode {
        let settings = try ChaosSettings(arguments)
        if !settings.leftOut.isEmpty {
            console.complain(
                "kith chaos: left out, since \(settings.nodes == 1 ? "a process" : "processes") cannot "
                    + "have them: \(settings.leftOut.joined(separator: " "))")
        }
        // Whoever read what is printed may have gone: that is seen where it is written.
        signal(SIGPIPE, SIG_IGN)
        // What there is must do.
        _ = DescriptorLimit.raise(to: ServeCommand.descriptorsMax)
        for seed in settings.seeds {
            guard let folder = makeFolder(settings, seed, console) else { return .failed }
            // The second loop is for signals: the first is at times busy for seconds.
            let code = NodeChoice.withRuntime("chaos", console, loopCount: 2) { runtime in
                await run(settings, seed: seed, folder: folder, runtime, console)
            }
            if code == .done, settings.folder == nil, !settings.isKeeping {
                // What stays in a temporary folder does no harm.
                try? FileManager.default.removeItem(atPath: folder)
            }
            guard code == .done else { return code }
        }
        return .done
    }

    /// The folder of a run; nil, after a word to the user, where there cannot be one.
    private static func makeFolder(
        _ settings: ChaosSettings, _ seed: UInt64, _ console: Console
    ) -> String? {
        let temporary = FileManager.default.temporaryDirectory
            .appendingPathComponent("kith-chaos-\(getpid())-\(seed)").path
        let folder = URL(fileURLWithPath: settings.folder ?? temporary).path
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            let content = try FileManager.default.contentsOfDirectory(atPath: folder)
            if content.isEmpty { return folder }
            console.complain("kith chaos: \(folder) is not empty")
        } catch {
            console.complain("kith chaos: \(folder) cannot be made: \(error.localizedDescription)")
        }
        return nil
    }

    private static func run(
        _ settings: ChaosSettings, seed: UInt64, folder: String, _ runtime: Runtime,
        _ console: Console
    ) async -> ExitCode {
        let run = ChaosRun(
            settings, seed: seed, folder: folder, network: runtime.network, clock: runtime.clock,
            loop: runtime.loops[0], console: console)
        console.complain("kith chaos: seed \(seed): data and logs in \(folder)")
        do {
            let watch = try SignalWatch(loop: runtime.loops[1], withHangUp: true)
            await withTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: runtime.loops[1].tasks) {
                    await obey(watch, folder: folder, console)
                }
                await run.run()
                group.cancelAll()
            }
            watch.close()
        } catch {
            console.complain("kith chaos: \(error)")
            return .failed
        }
        let report = ChaosReport(run)
        let isRead = console.print(settings.isJSON ? report.json : report.text)
        return report.isOk && isRead ? .done : .failed
    }

    /// Ends the process at the first signal. Its nodes end with it.
    private static func obey(_ watch: SignalWatch, folder: String, _ console: Console) async {
        guard let signal = await watch.next() else { return }
        console.complain("kith chaos: stopped; data and logs are in \(folder)")
        _exit(signal.exitCode)
    }
}

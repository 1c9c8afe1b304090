import Foundation
import Glibc
import KithBytes
import KithClient
import KithCore
import KithPorts
import KithRuntime
import KithWire
import Synchronization

/// The run, once there is one: signals come before.
private final class RunningIngest: Sendable {
    let run = Mutex<IngestRun?>(nil)
}

/// `kith ingest`: events from files into a cluster.
enum IngestCommand: Command {
    static let syntax = CommandSyntax(
        name: "ingest", summary: "Send events from files to a cluster",
        operands: "FILE…", operandCount: 1...Int.max,
        options: [
            NodeChoice.option, NodeChoice.spaceOption,
            CommandSyntax.Option(
                "spread",
                help: "send batch after batch to the nodes in turn, each when the one before "
                    + "is acknowledged"),
            CommandSyntax.Option(
                "in-flight", value: "N", standard: "4", help: "batches under way at once, 1 to 64"),
            CommandSyntax.Option(
                "patience", value: "S", standard: "30",
                help:
                    "seconds in all for which events without a certain answer are sent again, 1 to "
                    + "3600"),
            CommandSyntax.Option(
                "errors", value: "all|N", standard: "20",
                help: "lines to show one by one that were refused, "
                    + "or not taken whole"),
            CommandSyntax.Option("quiet", help: "no progress bar and no summary"),
            CommandSyntax.Option("json", help: "print the summary as one JSON object"),
        ],
        notes: [
            "A file holds one event of the Segment spec a line, as JSON (NDJSON). What "
                + "gzip packed is unpacked by the gzip program, and - is standard input.",
            "At the end stand sums, on the terminal and in --json: also identifiers that were ignored, "
                + "links that were refused or void, traits over a profile's limit, times later than "
                + "their arrival and events without a messageId. An event so mended is taken.",
            "A file in another form (a JSON array, a table, UTF-16, …) is not sent; neither is what "
                + "follows 100 bad lines without a good one. Control-C and SIGTERM end the sending: "
                + "what is under way is awaited, and the sums say where it stopped.",
            "A line that is refused is shown with its number and the reason, and counts in kith stats; all "
                + "others are taken. An event is acknowledged when it is on disk and its links are "
                + "settled.",
            "An event that gets no certain answer is sent again for as long as --patience says, under "
                + "the same message id, so that it counts once; an event without a messageId is "
                + "given one for that, and one that has no room for it below the node's limit is not "
                + "sent again. Ingesting a file again counts events once only where they carry a "
                + "messageId of their own.",
            "Where the cluster's retention clock is \"event\", events are sent one batch at a time with the "
                + "stamps that the clock runs on, and at the end every group logs the greatest.",
        ],
        examples: [
            "kith ingest events.ndjson.gz", "zcat *.gz | kith ingest - --space shop-1 --errors all",
        ],
        exitCodes: [.done, .failed, .usage, .unavailable, .interrupted],
        exitMeanings: [
            .done: "every line was taken, or was there already",
            .failed: "some lines were refused or have no certain answer, or a file cannot be read",
            .unavailable: "no node could be reached, or none took what was left",
            .interrupted: "stopped by a signal, at the line that was told",
        ])

    static func run(_ arguments: Arguments, _ console: Console) throws(UsageError) -> ExitCode {
        let nodes = try NodeChoice(arguments)
        let names = arguments.operands
        var batches = LineBatcher.Settings(
            space: try NodeChoice.space(arguments), eventBytesMax: 0, runID: "")
        var settings = IngestRun.Settings(
            names: names, space: batches.space,
            window: try arguments.number("in-flight", in: 1...64) ?? 4,
            errorsShownMax: try errorsShown(arguments),
            isQuiet: arguments.has("quiet"),
            patience: try arguments.number("patience", in: 1...3_600) ?? 30)
        do throws(InputError) {
            settings.bytesTotal = try byteTotal(names)
        } catch {
            console.complain("kith ingest: \(error)")
            return .failed
        }
        let (isJSON, isQuiet) = (arguments.has("json"), arguments.has("quiet"))
        let lists = arguments.has("spread") ? nodes.addresses.map { [$0] } : [nodes.addresses]
        batches.runID = "kith-" + hex(SystemRandomness().nextUInt64())
        return NodeChoice.withRuntime("ingest", console, loopCount: 2) {
            [batches, settings] runtime in
            let watch: SignalWatch
            do {
                watch = try SignalWatch(loop: runtime.loops[0])
            } catch {
                console.complain("kith ingest: \(error)")
                return .failed
            }
            let result = await ingest(lists, batches, settings, runtime, console, watch)
            switch result {
            case .failure(let error): return NodeChoice.report(error, "ingest", console)
            case .success(let outcome):
                let tally = outcome.tally
                if isJSON {
                    console.print(
                        tally.json(
                            fileCount: names.count, seconds: outcome.seconds,
                            errors: outcome.errors, lines: outcome.lines,
                            stoppedAt: outcome.stoppedAt))
                } else if !isQuiet {
                    console.print(tally.text(fileCount: names.count, seconds: outcome.seconds))
                }
                if outcome.stoppedAt != nil { return .interrupted }
                if let stop = outcome.stop { return NodeChoice.report(stop, "ingest", console) }
                return tally.refusedTotal > 0 || tally.unsettled > 0
                    || !outcome.errors.isEmpty ? .failed : .done
            }
        }
    }

    /// Connects one client a list, and runs.
    private static func ingest(
        _ lists: [[NodeAddress]], _ batches: LineBatcher.Settings, _ settings: IngestRun.Settings,
        _ runtime: Runtime, _ console: Console, _ watch: SignalWatch
    ) async -> Result<IngestRun.Outcome, ClientError> {
        let loop = runtime.loops[0]
        let clients = lists.map { addresses in
            Client(
                addresses: addresses, options: NodeChoice.clientOptions, network: runtime.network,
                clock: runtime.clock, loop: loop)
        }
        return await withTaskGroup(of: Void.self) { group in
            for client in clients { group.addTask { await client.run() } }
            let running = RunningIngest()
            group.addTask { await obey(watch, running, console, runtime.clock) }
            let result: Result<IngestRun.Outcome, ClientError>
            do throws(ClientError) {
                let hello = try await hello(of: clients)
                var batches = batches
                batches.eventBytesMax = Int(hello.limits.eventBytesMax)
                batches.isStamped = hello.retentionClock == .event
                batches.itemsMax = min(batches.itemsMax, Int(hello.limits.batchEventsMax))
                let feed = BatchFeed(
                    names: settings.names, settings: batches, clock: runtime.clock,
                    loop: runtime.loops[1])
                let run = IngestRun(
                    settings, clients: clients, feed: feed, console: console,
                    clock: runtime.clock, loop: loop)
                running.run.withLock { $0 = run }
                result = .success(await run.run(isEventClock: batches.isStamped))
            } catch {
                result = .failure(error)
            }
            watch.close()
            for client in clients { await client.close() }
            await group.waitForAll()
            return result
        }
    }

    /// Stops the run at the first signal. One before there is a run, or a second one, ends the
    /// process at once; but what comes within a moment of the first is the same one, sent to the
    /// process and to its group, as `timeout` does.
    private static func obey(
        _ watch: SignalWatch, _ running: RunningIngest, _ console: Console, _ clock: any Clock
    ) async {
        var stoppedAt: UInt64?
        while let signal = await watch.next() {
            guard let run = running.run.withLock({ $0 }) else { _exit(signal.exitCode) }
            let now = clock.monotonicNanoseconds()
            if let stoppedAt, now - stoppedAt < sameSignalNanoseconds { continue }
            guard await !run.isStopping else {
                console.complain(
                    "kith ingest: ended at once; what was under way may or may not be stored")
                _exit(signal.exitCode)
            }
            stoppedAt = now
            await run.interrupt()
        }
    }

    /// Nobody presses a key twice in so short a time.
    private static let sameSignalNanoseconds: UInt64 = 100_000_000

    /// Asks every node whether it answers, before anything is sent; what the first one is.
    private static func hello(of clients: [Client]) async throws(ClientError) -> HelloReply {
        for client in clients { try await client.ping() }
        guard let hello = await clients[0].hello else {
            throw .unreachable(
                address: clients[0].addresses.map(\.description).joined(separator: ", "),
                message: "the connection ended at once")
        }
        return hello
    }

    private static func errorsShown(_ arguments: Arguments) throws(UsageError) -> Int {
        guard let text = arguments["errors"] else { return 20 }
        if text == "all" { return .max }
        guard let count = Int(text), count >= 0 else {
            throw UsageError("--errors must be all or a number, not \"\(text)\"")
        }
        return count
    }

    /// Bytes of all files; nil where one is no regular file. Throws where one cannot be opened, so
    /// that a wrong name is known before anything is sent.
    private static func byteTotal(_ names: [String]) throws(InputError) -> UInt64? {
        var total: UInt64? = 0
        for name in names {
            guard let size = try InputFile.byteCount(name) else {
                total = nil
                continue
            }
            total = total.map { $0 + size }
        }
        return total
    }

    private static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

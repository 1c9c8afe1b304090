import Glibc
import KithBytes
import KithClient
import KithPorts
import KithRuntime
import KithWire
import Synchronization

/// `kith bench`: puts load on a cluster and measures.
enum BenchCommand: Command {
    static let syntax = CommandSyntax(
        name: "bench", summary: "Load test: put events in, or read profiles, and measure",
        operands: "ingest|get", operandCount: 1...1,
        options: [
            CommandSyntax.Option(
                "seconds", value: "S", standard: "10, unless --events is given",
                help: "how long new requests begin"),
            CommandSyntax.Option("events", value: "N", help: "events, or reads, in all"),
            CommandSyntax.Option(
                "rate", value: "R",
                help: "open loop: events, or reads, that are due each second, whether or not the "
                    + "cluster keeps up; without it a closed loop, which goes as fast as it can"),
            CommandSyntax.Option(
                "visitors", value: "V", standard: "100000", help: "how many visitors there are"),
            CommandSyntax.Option(
                "skew", value: "Z", standard: "0.99",
                help: "how much busier few visitors are: the exponent of a Zipf distribution, 0 "
                    + "to 5; 0 for all alike"),
            CommandSyntax.Option(
                "logins", value: "SHARE", standard: "2%",
                help: "share of events that name the person behind a visitor"),
            CommandSyntax.Option(
                "event-bytes", value: "B", standard: "300", help: "an event's size, as JSON"),
            CommandSyntax.Option(
                "batch", value: "B", standard: "\(BenchSettings.batchStandard)",
                help: "events of a request"),
            CommandSyntax.Option(
                "connections", value: "C",
                standard:
                    "\(BenchSettings.ingestConnections), get: \(BenchSettings.getConnections)",
                help: "connections, spread over the nodes in turn"),
            CommandSyntax.Option(
                "in-flight", value: "K",
                standard: "\(BenchSettings.ingestInFlight), get: \(BenchSettings.getInFlight)",
                help: "requests of a connection that are unanswered at once"),
            CommandSyntax.Option(
                "seed", value: "N", standard: "1",
                help: "of the workload: the same seed means the same people"),
            CommandSyntax.Option(
                "node", value: "H:P[,H:P…]", standard: NodeChoice.optionStandard,
                help: "nodes to put the load on"),
            NodeChoice.spaceOption,
            CommandSyntax.Option("json", help: "print the result as one JSON object"),
        ],
        notes: [
            "bench ingest sends events of visitors who look around, log in now and then, and have one "
                + "to three devices each, so that profiles merge. It writes to the cluster, and asks for a "
                + "--space of its own unless that holds no events yet.",
            "bench get reads merged profiles of visitors that an ingest of the same seed, visitors, "
                + "skew and space has made.",
            "Batches are made in memory before the clock starts, up to 512 MiB; those beyond are made on "
                + "the way, which takes the load generator about 0.2 µs an event.",
            "A latency is a whole batch's. In an open loop it runs from when the batch was due, so that "
                + "a stall shows in full. Events without a certain answer are sent again under the "
                + "same message ids for up to 30 seconds.",
        ],
        examples: [
            "kith bench ingest --seconds 10", "kith bench ingest --rate 50000 --seconds 30 --json",
            "kith bench get --seconds 10",
        ],
        exitCodes: [.done, .failed, .usage, .notFound, .unavailable],
        exitMeanings: [
            .done: "all was answered",
            .failed: "some events or reads ended in an error, or the cluster holds other events",
            .notFound: "bench get: the people to read are not there",
        ])

    static func run(_ arguments: Arguments, _ console: Console) throws(UsageError) -> ExitCode {
        let settings = try BenchSettings(arguments)
        let isJSON = arguments.has("json")
        return NodeChoice.withRuntime("bench", console, loopCount: 1) { runtime in
            do throws(ClientError) {
                guard let report = try await measure(settings, runtime, console) else {
                    return settings.kind == .get ? .notFound : .failed
                }
                if console.hasLiveLine { console.drawLive("") }
                console.print(
                    isJSON ? report.json : report.text(Style(isOn: console.hasColours)))
                guard let failure = report.outcome.failure else {
                    return report.outcome.tally.errors > 0 ? .failed : .done
                }
                let code = NodeChoice.report(failure, "bench", console)
                return report.outcome.tally.answered == 0 ? code : .failed
            } catch {
                return NodeChoice.report(error, "bench", console)
            }
        }
    }

    /// Runs the test; nil, after a word to the user, where it makes no sense.
    private static func measure(
        _ settings: BenchSettings, _ runtime: Runtime, _ console: Console
    ) async throws(ClientError) -> LoadReport? {
        let client = Client(
            addresses: settings.addresses, options: NodeChoice.clientOptions,
            network: runtime.network, clock: runtime.clock, loop: runtime.loops[0])
        // Every node must answer before anything is measured.
        var hello: HelloReply?
        for place in settings.addresses.indices {
            let connection = try await client.openConnection(from: place)
            connection.stream.close()
            guard connection.address == settings.addresses[place] else {
                throw .unreachable(
                    address: settings.addresses[place].description, message: "it does not answer")
            }
            hello = hello ?? connection.hello
        }
        guard let hello else { return nil }
        let workload = Workload(
            settings.workload, runTag: runtime.randomness.nextUInt64(),
            now: runtime.clock.wallTime().rawValue)
        var report = LoadReport(settings: settings, outcome: LoadRun.Outcome())
        let work: any LoadWork
        switch settings.kind {
        case .ingest:
            guard check(settings, workload, hello, console) else { return nil }
            guard try await checkSpace(settings, runtime, console) else { return nil }
            let load = IngestLoad(workload, settings, version: hello.version)
            report.preparedEvents = load.preparedEvents
            report.eventBytesSent = workload.eventBytesSent
            work = load
        case .get:
            let load = GetLoad(workload, requests: settings.requests, version: hello.version)
            guard try await checkPeople(load, settings, runtime, console) else { return nil }
            work = load
        }
        let run = LoadRun(
            LoadRun.Settings(
                connections: settings.connections, window: settings.inFlight,
                rate: settings.rate.map { $0 / Double(settings.eventsPerRequest) },
                requests: settings.requests, seconds: settings.seconds),
            work: work, client: client, clock: runtime.clock, loop: runtime.loops[0],
            draw: liveLine(settings.kind, console))
        let before = processorSeconds()
        report.outcome = try await run.run()
        report.processorSeconds = processorSeconds() - before
        return report
    }

    /// Whether the node can take the batches at all.
    private static func check(
        _ settings: BenchSettings, _ workload: Workload, _ hello: HelloReply, _ console: Console
    ) -> Bool {
        guard hello.retentionClock == .wall else {
            console.complain(
                "kith bench: this cluster's retention.clock is \"event\": its time follows its "
                    + "events, so its ingest cannot be measured by new ones")
            return false
        }
        var writer = ByteWriter()
        workload.append(batch: 0, count: settings.workload.batch, to: &writer)
        guard settings.workload.batch <= Int(hello.limits.batchEventsMax),
            writer.count + FrameHeader.byteCount <= Int(hello.limits.frameBytesMax)
        else {
            console.complain(
                "kith bench: batches of \(settings.workload.batch) events are \(writer.count) bytes; "
                    + "the node takes \(hello.limits.batchEventsMax) events and "
                    + "\(hello.limits.frameBytesMax) bytes (a smaller --batch)")
            return false
        }
        return true
    }

    /// Whether the load would not be mixed into events that somebody may want to keep.
    private static func checkSpace(
        _ settings: BenchSettings, _ runtime: Runtime, _ console: Console
    ) async throws(ClientError) -> Bool {
        guard settings.workload.space == NodeChoice.spaceStandard else { return true }
        let result: Result<CBORValue, ClientError>
        do {
            result = .success(
                try await Client.withClient(
                    addresses: settings.addresses, options: NodeChoice.clientOptions,
                    network: runtime.network, clock: runtime.clock, loop: runtime.loops[0]
                ) { client in try await MapAnswer.totals(of: client) })
        } catch {
            result = .failure(error as? ClientError ?? .closed)
        }
        let accepted = try result.get()["events"]?["accepted"]
        guard accepted == .unsigned(0) else {
            console.complain(
                "kith bench: this cluster holds events already, and those of a load test would be mixed "
                    + "into space \(NodeChoice.spaceStandard); give it a space of its own: --space "
                    + "load-test")
            return false
        }
        return true
    }

    private static let sampleReads = 50

    /// Whether most of the busiest visitors are there.
    private static func checkPeople(
        _ load: GetLoad, _ settings: BenchSettings, _ runtime: Runtime, _ console: Console
    ) async throws(ClientError) -> Bool {
        let count = min(sampleReads, settings.workload.visitors)
        let result: Result<Int, ClientError>
        do {
            let found = try await Client.withClient(
                addresses: settings.addresses, options: NodeChoice.clientOptions,
                network: runtime.network, clock: runtime.clock, loop: runtime.loops[0]
            ) { client in
                var found = 0
                for visitor in 0..<count {
                    if try await client.get(load.read(ofVisitor: visitor)).profile != nil {
                        found += 1
                    }
                }
                return found
            }
            result = .success(found)
        } catch {
            result = .failure(error as? ClientError ?? .closed)
        }
        let found = try result.get()
        guard found * 2 > count else {
            console.complain(
                "kith bench: of the \(count) busiest visitors of seed \(settings.workload.seed) in "
                    + "space \(settings.workload.space), \(count - found) are not there; first: "
                    + "kith bench ingest with the same --seed, --visitors, --skew and --space")
            return false
        }
        return true
    }

    private static func liveLine(
        _ kind: BenchSettings.Kind, _ console: Console
    ) -> @Sendable (LoadTally, LatencyHistogram, Double) -> Void {
        guard console.hasLiveLine else { return { _, _, _ in } }
        let last = LastDrawn()
        return { tally, latency, seconds in
            let before = last.exchange(tally.answered, seconds)
            console.drawLive(
                LoadReport.liveLine(
                    kind, tally, latency, seconds: seconds, answeredBefore: before.answered,
                    secondsBefore: before.seconds))
        }
    }

    /// What the live line last said.
    private final class LastDrawn: Sendable {
        private let state = Mutex((answered: 0, seconds: 0.0))

        func exchange(_ answered: Int, _ seconds: Double) -> (answered: Int, seconds: Double) {
            state.withLock { state in
                defer { state = (answered, seconds) }
                return state
            }
        }
    }

    /// Processor time of this program so far, user and system.
    private static func processorSeconds() -> Double {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        return [usage.ru_utime, usage.ru_stime].reduce(0) {
            $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6
        }
    }
}

// What a load test prints: what was measured and everything that it depends on.

import KithBytes
import KithClient
import KithWire

/// The result of one load test.
struct LoadReport: Sendable {
    var settings: BenchSettings
    var outcome: LoadRun.Outcome
    /// Events that were made before the clock started.
    var preparedEvents = 0
    /// Bytes of an event as it is sent; 0 for reads.
    var eventBytesSent = 0
    /// Processor time that this program used while the clock ran, in seconds.
    var processorSeconds = 0.0

    private var tally: LoadTally { outcome.tally }
    private var unit: String { settings.kind == .ingest ? "events" : "reads" }

    /// Answers a second; errors do not count.
    var rate: Double { outcome.seconds > 0 ? Double(tally.answered) / outcome.seconds : 0 }

    /// Part of one core that the load generator took.
    private var generatorShare: Double {
        outcome.seconds > 0 ? processorSeconds / outcome.seconds : 0
    }

    private func micros(_ part: Double) -> Double { Double(outcome.latency.value(at: part)) / 1e3 }

    // MARK: For people

    /// The line that is drawn about once a second.
    static func liveLine(
        _ kind: BenchSettings.Kind, _ tally: LoadTally, _ latency: LatencyHistogram,
        seconds: Double, answeredBefore: Int, secondsBefore: Double
    ) -> String {
        let interval = max(seconds - secondsBefore, 1e-9)
        return [
            Words.padded(Words.seconds(seconds), to: 8, isRight: true),
            Words.grouped(Int(Double(tally.answered - answeredBefore) / interval))
                + (kind == .ingest ? " events/s now" : " reads/s now"),
            Words.grouped(Int(Double(tally.answered) / max(seconds, 1e-9))) + " average",
            "p99 " + Words.latency(Double(latency.value(at: 0.99)) / 1e3),
            Words.grouped(tally.errors) + " errors",
        ].joined(separator: "   ") + (silence(tally, isShort: true).map { "   \($0)" } ?? "")
    }

    /// Which nodes did not answer at some time, or refused, and why; nil where all answered.
    private static func silence(_ tally: LoadTally, isShort: Bool = false) -> String? {
        guard !tally.silentNodes.isEmpty else { return nil }
        return tally.silences.map { node in
            isShort ? NodeSilence(node.node, node.conduct).text : node.text
        }.joined(separator: "; ")
    }

    /// The summary, without the last line end.
    func text(_ style: Style) -> String {
        let latencies = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map {
            "\($0.0) \(Words.latency(micros($0.1)))"
        }
        let greatest = "max \(Words.latency(Double(outcome.latency.greatest) / 1e3))"
        var rows = [
            (
                settings.kind == .ingest ? "latency of a batch" : "latency of a read",
                (latencies + [greatest]).joined(separator: "   ")
            ),
            ("results", results),
            ("workload", workload),
            ("load", load),
            (
                "cluster",
                settings.addresses.map(\.description).joined(separator: ", ")
                    + (settings.kind == .ingest
                        ? "; an answer means synced to disk" : "; linearizable reads")
            ),
            (
                "load generator",
                "\(Int((generatorShare * 100).rounded())) % of a core"
                    + (settings.kind == .ingest
                        ? ", \(Words.grouped(min(preparedEvents, tally.settled))) events made before "
                            + "the clock started" : "")
            ),
        ]
        if let silence = Self.silence(tally) { rows.append(("not all answered", silence)) }
        if tally.breaks > 0 { rows.append(("connections broken", Words.grouped(tally.breaks))) }
        let heading =
            style.bold("\(Words.grouped(Int(rate))) \(unit)/s")
            + "  \(Words.grouped(tally.answered)) \(unit) in \(Words.seconds(outcome.seconds))"
        return
            ([heading]
            + rows.map { "  " + style.dim(Words.padded($0.0, to: 20)) + $0.1 })
            .joined(separator: "\n")
    }

    private var results: String {
        var parts: [String] = []
        func add(_ name: String, _ count: Int, always: Bool = false) {
            if count > 0 || always { parts.append("\(name) \(Words.grouped(count))") }
        }
        add("ok", tally.ok, always: true)
        add("duplicate", tally.duplicate)
        add("not kept", tally.notKept)
        add("no such profile", tally.notFound)
        add("sent again (overloaded)", tally.retriedOverloaded)
        add("sent again (unknown)", tally.retriedUnknown)
        add("rejected", tally.rejected)
        add("unknown", tally.unknown)
        add("overloaded", tally.overloaded)
        add("refused", tally.refused)
        add("errors", tally.errors, always: true)
        return parts.joined(separator: "   ")
    }

    private var workload: String {
        let workload = settings.workload
        var parts = [
            "seed \(workload.seed)", "\(Words.grouped(workload.visitors)) visitors",
            "Zipf \(Words.decimal(workload.skew))",
        ]
        if settings.kind == .ingest {
            parts.append("\(Words.decimal(percent(workload.logins))) % logins")
            parts.append(
                "\(Words.grouped(workload.eventBytes)) bytes an event as JSON, "
                    + "\(Words.grouped(eventBytesSent)) as sent")
        }
        parts.append("space \(workload.space)")
        return parts.joined(separator: ", ")
    }

    private func percent(_ share: Double) -> Double { (share * 10_000).rounded() / 100 }

    private var load: String {
        var parts: [String] = []
        if settings.kind == .ingest {
            parts.append("batches of \(Words.grouped(settings.workload.batch))")
        }
        parts.append("\(settings.connections) connections, \(settings.inFlight) in flight on each")
        if let rate = settings.rate {
            parts.append("open loop, \(Words.grouped(Int(rate))) \(unit)/s due")
        } else {
            parts.append("closed loop")
        }
        return parts.joined(separator: ", ")
    }

    // MARK: For programs

    /// The summary as one JSON object.
    var json: String {
        func count(_ number: Int) -> CBORValue { .integer(Int64(number)) }
        func whole(_ number: Double) -> CBORValue { .integer(Int64(number.rounded())) }
        let workload = settings.workload
        var members: [CBORMember] = [
            CBORMember("bench", .text(settings.kind.rawValue)),
            CBORMember("events", count(tally.answered)),
            CBORMember("seconds", .double((outcome.seconds * 1e6).rounded() / 1e6)),
            CBORMember("eventsPerSecond", whole(rate)),
            CBORMember("p50Micros", whole(micros(0.5))),
            CBORMember("p99Micros", whole(micros(0.99))),
            CBORMember("p999Micros", whole(micros(0.999))),
            CBORMember("maxMicros", whole(Double(outcome.latency.greatest) / 1e3)),
            CBORMember("meanMicros", whole(outcome.latency.mean / 1e3)),
            CBORMember("requests", count(Int(outcome.latency.count))),
            CBORMember("ok", count(tally.ok)),
            CBORMember("retriedOverloaded", count(tally.retriedOverloaded)),
            CBORMember("retriedUnknown", count(tally.retriedUnknown)),
            CBORMember("unknown", count(tally.unknown)),
            CBORMember("overloaded", count(tally.overloaded)),
            CBORMember("refused", count(tally.refused)),
            CBORMember("errors", count(tally.errors)),
            CBORMember("connectionsBroken", count(tally.breaks)),
            CBORMember(
                "silentNodes",
                .array(tally.silences.map { .unsigned(UInt64($0.node.rawValue)) })),
            CBORMember("silences", .array(tally.silences.map { .text($0.text) })),
            CBORMember("seed", .unsigned(workload.seed)),
            CBORMember("visitors", count(workload.visitors)),
            CBORMember("skew", .double(workload.skew)),
            CBORMember("space", .text(workload.space)),
            CBORMember("connections", count(settings.connections)),
            CBORMember("inFlight", count(settings.inFlight)),
            CBORMember("loop", settings.rate == nil ? "closed" : "open"),
            CBORMember("rate", settings.rate.map { .double($0) } ?? .null),
            CBORMember(
                "nodes", .array(settings.addresses.map { .text($0.description) })),
            CBORMember("generatorCores", .double((generatorShare * 1e3).rounded() / 1e3)),
        ]
        switch settings.kind {
        case .ingest:
            members += [
                CBORMember("duplicate", count(tally.duplicate)),
                CBORMember("rejected", count(tally.rejected)),
                CBORMember("notKept", count(tally.notKept)),
                CBORMember("synced", true),
                CBORMember("logins", .double(workload.logins)),
                CBORMember("eventBytes", count(workload.eventBytes)),
                CBORMember("eventBytesSent", count(eventBytesSent)),
                CBORMember("batch", count(workload.batch)),
                CBORMember("preparedEvents", count(preparedEvents)),
            ]
        case .get:
            members += [
                CBORMember("notFound", count(tally.notFound)),
                CBORMember("consistency", "linearizable"),
            ]
        }
        return JSONText.make(.map(members))
    }
}

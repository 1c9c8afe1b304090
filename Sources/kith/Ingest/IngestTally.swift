import KithBytes
package import KithCore
package import KithWire

/// What became of the lines of one `kith ingest`.
package struct IngestTally: Equatable, Sendable {
    package var accepted = 0
    package var duplicate = 0
    /// By reason.
    package var refused: [RejectionReason: Int] = [:]
    package var expiredOnArrival = 0
    package var forgotten = 0
    package var suppressed = 0
    /// May or may not be stored: sent without a certain answer, also after trying again.
    package var unknown = 0
    /// Not stored, since the nodes said that they had no room for them, also after trying again.
    package var overloaded = 0
    /// Not stored, since they reached no node that would take them, also after trying again.
    package var unsent = 0
    /// Old lines that were not kept the first time, and were not sent to the last time.
    package var leftProvisional = 0

    // Of lines that were taken or not: what of them was not.
    /// Identifiers that were none, by namespace and reason.
    package var ignored: [String: [IgnoredIdentifier: Int]] = [:]
    package var linksRefused: [RefusalRule: Int] = [:]
    package var linksVoid: [LinkVoid: Int] = [:]
    /// Lines that were taken, and whose links were not tried to the last time.
    package var linksLeft = 0
    package var traitsRefused = 0
    /// Lines with something else where an object belongs, by place and kind.
    package var wrongKinds: [String: [String: Int]] = [:]
    /// Events whose time was later than their arrival, and is their arrival now.
    package var timesMoved = 0
    /// Members of objects that were left out, since a later one has their name.
    package var repeatedNames = 0
    /// Events without a message id of their own.
    package var withoutMessageID = 0

    package init() {}

    package var refusedTotal: Int { refused.values.reduce(0, +) }

    /// Lines that have their outcome.
    package var total: Int {
        accepted + duplicate + refusedTotal + expiredOnArrival + forgotten + suppressed + unknown
            + overloaded + unsent + leftProvisional
    }

    /// Lines that are not stored for certain, or may not be, and that might be another time.
    package var unsettled: Int { unknown + overloaded + unsent + leftProvisional }

    /// Whether lines were to be sent again, and were not.
    package var isLeft: Bool { leftProvisional > 0 || linksLeft > 0 }

    package mutating func count(_ outcome: LineOutcome) {
        switch outcome {
        case .answered(let result): count(result)
        case .unsent: unsent += 1
        }
    }

    /// Counts what was told of a line; of one that is not settled nothing is to be counted.
    package mutating func count(_ told: [ToldNote]) {
        for note in told {
            switch note {
            case .ignored(let reason, let namespace, _, let count):
                ignored[namespace ?? "(unknown)", default: [:]][reason, default: 0] += count
            case .linkRefused(let rule, _): linksRefused[rule, default: 0] += 1
            case .linkVoid(let cause, _): linksVoid[cause, default: 0] += 1
            case .traitsRefused(let count): traitsRefused += count
            case .timeMoved: timesMoved += 1
            case .noMessageID: withoutMessageID += 1
            case .repeatedNames(let names): repeatedNames += names.count
            case .wrongKind(let place, let problem):
                wrongKinds[place, default: [:]][problem.kind, default: 0] += 1
            case .fault, .isNull: break
            }
        }
    }

    package mutating func count(_ result: IngestResult) {
        switch result {
        case .ok: accepted += 1
        case .duplicate: duplicate += 1
        case .rejected(let reason): refused[reason, default: 0] += 1
        case .expiredOnArrival: expiredOnArrival += 1
        case .forgotten: forgotten += 1
        case .suppressed: suppressed += 1
        case .unknown: unknown += 1
        case .overloaded: overloaded += 1
        }
    }

    // MARK: Rendering

    /// The summary for people.
    package func text(fileCount: Int, seconds: Double) -> String {
        let files = "\(Words.grouped(fileCount)) " + (fileCount == 1 ? "file" : "files")
        var text = "\(files), \(Self.events(total)) in \(Words.seconds(seconds))"
        if total > 0, seconds > 0 {
            text += " (\(Words.grouped(Int(Double(total) / seconds))) events/s)"
        }
        var rows = [("accepted", accepted)]
        rows.append(("duplicate", duplicate))
        rows.append(("refused", refusedTotal))
        for (reason, count) in refusedSorted { rows.append(("  " + reason.name, count)) }
        for (name, count) in [("forgotten", forgotten), ("suppressed", suppressed)] + toldRows
        where count > 0 {
            rows.append((name, count))
        }
        let names = max(24, (rows.map(\.0.count).max() ?? 0) + 1)
        let width = rows.map { Words.grouped($0.1).count }.max() ?? 0
        for (name, count) in rows {
            text +=
                "\n  " + Words.padded(name, to: names)
                + Words.padded(Words.grouped(count), to: width, isRight: true)
        }
        if expiredOnArrival > 0 {
            text +=
                "\n"
                + (expiredOnArrival == 1
                    ? "1 event of an anonymous visitor is older than retention and was not kept."
                    : "\(Words.grouped(expiredOnArrival)) events of anonymous visitors are older than "
                        + "retention and were not kept.")
        }
        if unknown > 0 {
            text +=
                "\n\(Self.events(unknown)) may or may not be stored: no certain answer came. "
                + "Ingest them again: events with a messageId count once."
        }
        if overloaded > 0 {
            text +=
                "\n\(Self.events(overloaded)) \(overloaded == 1 ? "was" : "were") not taken: nodes had "
                + "no room or did not answer. "
                + "Ingest them again later: events with a messageId count once."
        }
        if unsent > 0 {
            text +=
                "\n\(Self.events(unsent)) could not be sent: no node took them. "
                + "Ingest them again later: events with a messageId count once."
        }
        if leftProvisional > 0 {
            text +=
                "\n\(Self.events(leftProvisional)) older than retention "
                + "\(leftProvisional == 1 ? "was" : "were") not sent to the end. "
                + "Ingest them again: events with a messageId count once."
        }
        if linksLeft > 0 {
            text +=
                "\nThe links of \(Self.events(linksLeft)) older than retention were not tried to the "
                + "end. Ingest them again: events with a messageId count once."
        }
        return text
    }

    private static func events(_ count: Int) -> String {
        Words.grouped(count) + (count == 1 ? " event" : " events")
    }

    /// What of taken lines was not taken, and what was mended.
    private var toldRows: [(String, Int)] {
        var rows: [(String, Int)] = []
        for (namespace, reasons) in ignoredSorted {
            for (reason, count) in reasons {
                rows.append(("ignored \(namespace): \(reason)", count))
            }
        }
        for (place, kinds) in wrongKindsSorted {
            for (kind, count) in kinds { rows.append(("ignored \(place): \(kind)", count)) }
        }
        for (rule, count) in linksRefusedSorted { rows.append(("links refused: \(rule)", count)) }
        for (cause, count) in linksVoidSorted { rows.append(("links void: \(cause)", count)) }
        return rows + [
            ("traits over the limit", traitsRefused), ("times moved to arrival", timesMoved),
            ("names given twice", repeatedNames), ("without message id", withoutMessageID),
        ]
    }

    private var ignoredSorted: [(String, [(String, Int)])] {
        ignored.sorted { $0.key < $1.key }.map { namespace, reasons in
            (namespace, reasons.map { ($0.key.name, $0.value) }.sorted { $0.0 < $1.0 })
        }
    }

    private var wrongKindsSorted: [(String, [(String, Int)])] {
        wrongKinds.sorted { $0.key < $1.key }.map { place, kinds in
            (place, kinds.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        }
    }

    private var linksRefusedSorted: [(String, Int)] {
        linksRefused.map { ($0.key.text, $0.value) }.sorted { $0.0 < $1.0 }
    }

    private var linksVoidSorted: [(String, Int)] {
        linksVoid.map { ($0.key.text, $0.value) }.sorted { $0.0 < $1.0 }
    }

    private static func object(_ counts: [(String, Int)]) -> CBORValue {
        .map(counts.map { CBORMember(.text($0.0), .integer(Int64($0.1))) })
    }

    private var refusedSorted: [(RejectionReason, Int)] {
        refused.sorted { $0.key.name < $1.key.name }.map { ($0.key, $0.value) }
    }

    /// The summary for programs.
    package func json(
        fileCount: Int, seconds: Double, errors: [String], lines: [LineNote] = [],
        stoppedAt: String? = nil
    ) -> String {
        let reasons = refusedSorted.map { CBORMember(.text($0.0.name), .integer(Int64($0.1))) }
        let value: CBORValue = [
            "files": .integer(Int64(fileCount)), "events": .integer(Int64(total)),
            "accepted": .integer(Int64(accepted)), "duplicate": .integer(Int64(duplicate)),
            "rejected": .integer(Int64(refusedTotal)), "rejectedByReason": .map(reasons),
            "expiredOnArrival": .integer(Int64(expiredOnArrival)),
            "forgotten": .integer(Int64(forgotten)), "suppressed": .integer(Int64(suppressed)),
            "unknown": .integer(Int64(unknown)), "overloaded": .integer(Int64(overloaded)),
            "unsent": .integer(Int64(unsent)),
            "leftProvisional": .integer(Int64(leftProvisional)),
            "linksLeft": .integer(Int64(linksLeft)),
            "ignoredIdentifiers": .map(
                ignoredSorted.map { CBORMember(.text($0.0), Self.object($0.1)) }),
            "linksRefused": Self.object(linksRefusedSorted),
            "linksVoid": Self.object(linksVoidSorted),
            "traitsRefused": .integer(Int64(traitsRefused)),
            "wrongKinds": .map(
                wrongKindsSorted.map { CBORMember(.text($0.0), Self.object($0.1)) }),
            "timesMoved": .integer(Int64(timesMoved)),
            "repeatedNames": .integer(Int64(repeatedNames)),
            "withoutMessageId": .integer(Int64(withoutMessageID)),
            "lines": .array(lines.map(\.value)),
            "stoppedAt": stoppedAt.map { .text($0) } ?? .null,
            "seconds": .double(seconds),
            "eventsPerSecond": .double(seconds > 0 ? (Double(total) / seconds).rounded() : 0),
            "errors": .array(errors.map { .text($0) }),
        ]
        return JSONText.make(value)
    }
}

/// A line of which something is to be told, as `--json` lists it.
package struct LineNote: Equatable, Sendable {
    package var file: String
    package var line: Int
    /// The reason of a refusal, nil for a line that was taken.
    package var reason: String?
    package var text: String

    package init(file: String, line: Int, reason: String?, text: String) {
        self.file = file
        self.line = line
        self.reason = reason
        self.text = text
    }

    var value: CBORValue {
        [
            "file": .text(file), "line": .integer(Int64(line)),
            "rejected": reason.map { .text($0) } ?? .null, "message": .text(text),
        ]
    }
}

extension RejectionReason {
    /// What the reason means to somebody who looks at the line.
    package var explanation: String {
        switch self {
        case .invalidJSON: "not one JSON object"
        case .invalidType: "type must be identify, track, page, screen, group or alias"
        case .missingEventName: "a track needs the event's name in \"event\""
        case .noIdentifier: "no identifier that can be used"
        case .eventTooLarge: "larger than the node takes"
        case .invalidTimestamp: "a time is not ISO 8601 or milliseconds, or not in 1970 to 9999"
        case .missingPreviousID: "an alias needs \"previousId\""
        }
    }
}

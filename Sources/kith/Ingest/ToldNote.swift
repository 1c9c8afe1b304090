package import KithCore
package import KithWire

/// What a node told of one line, its names spelt out.
package enum ToldNote: Equatable, Sendable {
    case fault(EventFault)
    /// `count` identifiers were none; the namespace is nil where no configured one is named.
    case ignored(IgnoredIdentifier, namespace: String?, place: String, count: Int)
    case isNull(place: String)
    case linkRefused(RefusalRule, namespace: String)
    case linkVoid(LinkVoid, namespace: String)
    case timeMoved
    case noMessageID
    case traitsRefused(Int)
    /// No object is where one belongs: nothing of it was read.
    case wrongKind(place: String, FieldProblem)
    /// Of the members of one name the last counts. No node tells of it: it is seen in the JSON.
    case repeatedNames(JSONTranscoder.RepeatedNames)

    /// `names` are those of the reply; decoding it has checked every number.
    package init(_ about: EventNote.About, _ names: NoteNames) {
        func name(_ namespace: UInt8) -> String { names.namespaces[Int(namespace)] }
        self =
            switch about {
            case .fault(let fault): .fault(fault)
            case .ignored(let reason, let namespace, let place, let count):
                .ignored(
                    reason, namespace: namespace.map { name($0) }, place: names[place],
                    count: Int(count))
            case .isNull(let place): .isNull(place: names[place])
            case .linkRefused(let rule, let namespace):
                .linkRefused(rule, namespace: name(namespace))
            case .linkVoid(let cause, let namespace): .linkVoid(cause, namespace: name(namespace))
            case .timeMoved: .timeMoved
            case .noMessageID: .noMessageID
            case .traitsRefused(let count): .traitsRefused(Int(count))
            case .wrongKind(let container, let problem):
                .wrongKind(place: names[container], problem)
            }
    }

    /// Whether it is about a link.
    var isLink: Bool {
        switch self {
        case .linkRefused, .linkVoid: true
        default: false
        }
    }

    /// Whether it is about the line's JSON, which only the first batch with the line knows.
    var isOfJSON: Bool {
        if case .repeatedNames = self { true } else { false }
    }

    /// What a line of a taken event says of it; nil for what only the sums tell.
    package var line: String? {
        switch self {
        case .fault, .isNull, .timeMoved, .noMessageID: return nil
        case .ignored(let reason, let namespace, let place, let count):
            let what = namespace ?? "identifier"
            return
                "\(what) ignored: \(reason.name) (\(place)\(count > 1 ? ", \(count) of them" : ""))"
        case .linkRefused(let rule, let namespace):
            return "link to \(namespace) refused: \(rule.text)"
        case .linkVoid(let cause, let namespace):
            return "link to \(namespace) void: \(cause.text)"
        case .traitsRefused(let count):
            return "\(count) \(count == 1 ? "trait" : "traits") over the limit"
        case .wrongKind(let place, let problem):
            return "\(place) ignored: \(problem.kindWords), not an object"
        case .repeatedNames(let names):
            let name = Words.printable("\"\(names.name)\"")
            return names.count == 1
                ? "\(name) is given twice: the last counts"
                : "\(names.count) names are given again, \(name) among them: the last of each counts"
        }
    }

    /// Why an event was refused, in words: the field and the kind of its value, or the identifiers
    /// that were looked at. Never a value.
    package static func explanation(_ reason: RejectionReason, _ told: [ToldNote]) -> String {
        for case .fault(let fault) in told { return fault.explanation }
        guard reason == .noIdentifier else { return reason.explanation }
        let looked = told.compactMap { note -> String? in
            switch note {
            case .ignored(let reason, _, let place, _): "\(place) is \(reason.predicate)"
            case .isNull(let place): "\(place) is null"
            case .wrongKind(let place, let problem): "\(place) is \(problem.kindWords)"
            default: nil
            }
        }
        return looked.isEmpty
            ? "no identifier is there"
            : "no identifier that can be used: " + looked.joined(separator: ", ")
    }
}

extension FieldProblem {
    /// The kind of what is there instead of another, as programs see it.
    var kind: String {
        switch self {
        case .isBoolean: "boolean"
        case .isNumber: "number"
        case .isArray: "array"
        case .isOtherText: "text"
        default: "other"
        }
    }

    /// The same for people.
    var kindWords: String {
        switch self {
        case .isBoolean: "a boolean"
        case .isNumber: "a number"
        case .isArray: "an array"
        case .isOtherText: "a text"
        default: "no JSON value"
        }
    }
}

extension IgnoredIdentifier {
    /// What is wrong with the value, behind "is".
    var predicate: String {
        switch self {
        case .blocked: "a blocked value"
        case .empty: "empty"
        case .invalid: "invalid"
        case .limit: "one too many"
        case .tooLong: "too long"
        case .unknownNamespace: "of a type that is no namespace"
        case .zeros: "only zeros"
        }
    }
}

extension EventFault {
    /// What is wrong, by field and kind.
    package var explanation: String {
        let name = "\"\(field.name)\""
        let wanted =
            switch field {
            case .type: "identify, track, page, screen, group or alias"
            case .event: "the event's name"
            case .previousID: "who the person was before"
            default: "ISO 8601 or milliseconds since 1970"
            }
        switch problem {
        case .absent: return "\(name) is missing: \(wanted)"
        case .isNull: return "\(name) is null: \(wanted)"
        case .isBoolean: return "\(name) is a boolean, not \(wanted)"
        case .isNumber: return "\(name) is a number, not \(wanted)"
        case .isArray: return "\(name) is an array, not \(wanted)"
        case .isObject: return "\(name) is an object, not \(wanted)"
        case .isEmpty: return "\(name) is empty, not \(wanted)"
        case .isOtherText: return "\(name) is a text, but not \(wanted)"
        case .isNoTime:
            return place == 0
                ? "\(name) is a text that is no ISO 8601 time"
                : "\(name) is no ISO 8601 time: it goes wrong at byte \(place)"
        case .looksLikeSeconds:
            return "\(name) looks like seconds: milliseconds since 1970 are expected"
        case .before1970: return "\(name) is before 1970"
        case .after9999: return "\(name) is after 9999"
        case .isNoIdentifier: return "\(name) is no identifier that can be used"
        case .isOther: return "\(name) is no JSON value"
        }
    }
}

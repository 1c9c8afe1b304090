#if KITH_PLANTED
internal import KithBytes
internal import KithCore
internal import KithWire

/// The rules of a node as a run with planted faults has them; where none is planted, as they are.
enum PlantedRules {
    static func request<Waiting>(answeredBy reply: Frame, of waiting: [UInt64: Waiting]) -> UInt64 {
        if planted(.repliesByOrder), let first = waiting.keys.min() { return first }
        return PlainRules.request(answeredBy: reply, of: waiting)
    }

    static func isWithinGate(_ byteCount: Int, _ most: Int) -> Bool {
        planted(.gateOpen) || PlainRules.isWithinGate(byteCount, most)
    }

    static func result(of event: EventResult) -> IngestResult {
        switch event {
        case .overloaded where planted(.overloadAnsweredOK): .ok
        case .unknown where planted(.unknownAnsweredOK): .ok
        case .rejected where planted(.unknownAnsweredOK): .ok
        default: PlainRules.result(of: event)
        }
    }

    static func results(ofItems results: [IngestResult]) -> [IngestResult] {
        var results = PlainRules.results(ofItems: results)
        if planted(.resultsShifted), let last = results.popLast() { results.insert(last, at: 0) }
        return results
    }

    static func asksHome(afterHint isByHint: Bool) -> Bool {
        !planted(.hintBelieved) && PlainRules.asksHome(afterHint: isByHint)
    }

    static func isKnown(_ seen: StartID, in starts: StartList?) -> Bool {
        planted(.foldersBelieved) || PlainRules.isKnown(seen, in: starts)
    }

    static func takes(_ step: PeerForwards.Step) -> Bool {
        !planted(.forwardsForgotten) && PlainRules.takes(step)
    }

    static func reaches(_ end: LogIndex, _ seen: LogIndex) -> Bool {
        planted(.foldersBelieved) || PlainRules.reaches(end, seen)
    }

    static func answer(pointingTo parent: LeafID) -> Group.GroupRead {
        planted(.pointerNotFollowed) ? .absent : PlainRules.answer(pointingTo: parent)
    }
}
#endif

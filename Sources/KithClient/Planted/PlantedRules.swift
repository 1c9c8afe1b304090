#if KITH_PLANTED
internal import KithBytes
internal import KithWire

/// The rules of a client as a run with planted faults has them; where none is planted, as they are.
enum PlantedRules {
    static func request<Waiting>(answeredBy reply: Frame, of waiting: [UInt64: Waiting]) -> UInt64 {
        if planted(.clientRepliesByOrder), let first = waiting.keys.min() { return first }
        return PlainRules.request(answeredBy: reply, of: waiting)
    }
}
#endif

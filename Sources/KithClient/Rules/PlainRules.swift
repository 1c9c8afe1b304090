internal import KithWire

/// The rules of a client that a checker must notice when they are broken, each written once and
/// under its name. Product code asks `Rules`: these, but in a build with `KITH_PLANTED`.
enum PlainRules {
    /// A reply belongs to the request that it names, whatever was sent before or after.
    static func request<Waiting>(answeredBy reply: Frame, of waiting: [UInt64: Waiting]) -> UInt64 {
        reply.requestID
    }
}

#if KITH_PLANTED
typealias Rules = PlantedRules
#else
typealias Rules = PlainRules
#endif

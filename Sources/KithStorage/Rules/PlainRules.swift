internal import KithPorts

/// The rules of the log that a checker must notice when they are broken, each written once and
/// under its name. Product code asks `Rules`: these, but in a build with `KITH_PLANTED`.
enum PlainRules {
    // MARK: Writing

    /// A frame is synced before anybody is told of it.
    static var syncsFrames: Bool { true }

    /// A write or a sync that failed ends the log: nobody knows what is stored.
    static func writeFailed(_ error: DiskError) throws(DiskError) { throw error }

    // MARK: Recovery

    /// What the checksum does not cover as written is not a frame.
    static func isIntact<Checksum: Equatable>(_ stored: Checksum, _ computed: Checksum) -> Bool {
        stored == computed
    }

    /// A log that was lost is not a first start: somebody knows, or it was closed once.
    static func mayMakeLog(_ options: LogOptions, wasClosed: Bool) -> Bool {
        options.mayCreate && !wasClosed
    }

    /// A frame written later, behind bytes that are none, proves damage: that is no torn tail.
    static func proofOfDamage(_ later: LogFrame?) -> LogFrame? { later }

    /// The log goes on where its torn tail begins.
    static func end(ofTornTail tail: Range<Int>) -> Int { tail.lowerBound }
}

#if KITH_PLANTED
typealias Rules = PlantedRules
#else
typealias Rules = PlainRules
#endif

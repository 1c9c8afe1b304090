#if KITH_PLANTED
internal import KithBytes
internal import KithPorts

/// The rules of the log as a run with planted faults has them; where none is planted, as they are.
enum PlantedRules {
    static var syncsFrames: Bool { !planted(.syncSkipped) && PlainRules.syncsFrames }

    static func writeFailed(_ error: DiskError) throws(DiskError) {
        if !planted(.writeErrorIgnored) { try PlainRules.writeFailed(error) }
    }

    static func isIntact<Checksum: Equatable>(_ stored: Checksum, _ computed: Checksum) -> Bool {
        planted(.checksumIgnored) || PlainRules.isIntact(stored, computed)
    }

    static func mayMakeLog(_ options: LogOptions, wasClosed: Bool) -> Bool {
        planted(.lostLogForgiven) || PlainRules.mayMakeLog(options, wasClosed: wasClosed)
    }

    static func proofOfDamage(_ later: LogFrame?) -> LogFrame? {
        planted(.middleCut) ? nil : PlainRules.proofOfDamage(later)
    }

    static func end(ofTornTail tail: Range<Int>) -> Int {
        planted(.tailKept) ? tail.upperBound : PlainRules.end(ofTornTail: tail)
    }
}
#endif

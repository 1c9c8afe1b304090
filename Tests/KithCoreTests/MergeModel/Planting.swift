import KithBytes

@testable import KithCore

/// Runs `body` with faults of the merge machines planted, by their names. Builds without
/// `KITH_PLANTED` have none.
func planting<Value>(_ faults: [String], _ body: () -> Value) -> Value {
    if faults.isEmpty { return body() }
    #if KITH_PLANTED
    let board = MarkBoard()
    board.plant(
        bits: faults.reduce(0) { bits, fault in bits | PlantedFaults(name: fault)!.rawValue })
    return board.record(body)
    #else
    preconditionFailure("a build without planted faults has no \(faults)")
    #endif
}

#if KITH_PLANTED
public import KithBytes
internal import KithCore

/// The faults that can be planted in a run, by name: those of a node, then those of the merge
/// machines. Only in builds with `KITH_PLANTED`.
public enum PlantedFault {
    /// Every name.
    public static var names: [String] { NodeFault.names + PlantedFaults.names }

    /// Plants the fault in all that runs under the board; false where no fault has the name.
    public static func plant(_ name: String, on board: MarkBoard) -> Bool {
        if let fault = NodeFault(name: name) {
            board.plant(fault)
            return true
        }
        guard let fault = PlantedFaults(name: name) else { return false }
        board.plant(bits: fault.rawValue)
        return true
    }
}
#endif

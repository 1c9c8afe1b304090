#if KITH_PLANTED
import Foundation
import KithBytes
import KithPorts
import KithRuntime
import KithSimulation

/// A real node with a planted fault: what the environment names is planted on all its loops. Only
/// in builds with `KITH_PLANTED`.
enum PlantedNode {
    static let variable = "KITH_PLANTED_FAULT"

    /// Plants on every loop of a process, before a node is opened there. From the first loop.
    static func plant(in runtime: Runtime) {
        guard let name = ProcessInfo.processInfo.environment[variable] else { return }
        plant(name)
        // Before anything of the node, which comes later into each loop's queue.
        for loop in runtime.loops.dropFirst() { loop.start { plant(name) } }
    }

    /// Plants on the calling thread, for as long as the process lives.
    private static func plant(_ name: String) {
        let board = MarkBoard()
        precondition(PlantedFault.plant(name, on: board), "no planted fault \(name)")
        board.stay()
        _ = Unmanaged.passRetained(board)
    }
}
#endif

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
        let board = MarkBoard()
        precondition(PlantedFault.plant(name, on: board), "no planted fault \(name)")
        for loop in runtime.loops {
            // Before anything of the node, which comes later into each loop's queue. The board
            // lives as long as the task, that is, as the process.
            loop.start {
                board.stay()
                await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
                withExtendedLifetime(board) {}
            }
        }
        board.stay()
    }
}
#endif

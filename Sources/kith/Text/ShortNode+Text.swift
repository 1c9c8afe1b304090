import KithBytes
import KithCore
import KithStorage
package import KithWire

extension ShortNode {
    /// What the node lacks, and what to do about it.
    package var text: String {
        let name = "node \(node.rawValue)"
        return switch shortage {
        case .busy: "\(name) has too much to do; it takes events again by itself"
        case .disk:
            "\(name) has less than \(LogOptions().reserveBytes >> 20) MiB free on its disk, or cannot "
                + "tell, and takes no events; make room there"
        case .memory:
            "\(name) holds as much in memory as it may and takes no events; raise memory.limitMiB in "
                + "its cluster file, or give it more memory"
        }
    }
}

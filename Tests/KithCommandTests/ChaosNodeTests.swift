import Testing
import kith

/// How long faults hold a process of `kith chaos`.
@Suite struct ChaosNodeTests {
    @Test func `a process goes on when the last of its pauses has ended`() {
        var node = ChaosNode(number: 1, folder: "/")

        node.pause(until: 300)
        node.pause(until: 500)
        node.pause(until: 400)

        #expect(!node.endPause(at: 300))
        #expect(!node.endPause(at: 400))
        #expect(node.endPause(at: 500))
        // It goes on once.
        #expect(!node.endPause(at: 600))
    }
}

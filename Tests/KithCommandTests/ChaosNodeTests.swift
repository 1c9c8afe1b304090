import Testing
import kith

/// How long faults hold a process of `kith chaos`.
@Suite struct ChaosNodeTests {
    @Test func `a process goes on when the last of its pauses has ended`() {
        var node = ChaosNode(number: 1, folder: "/")

        node.pause(until: 300)
        node.pause(until: 500)
        node.pause(until: 400)

        // It goes on once.
        let ends = [300, 400, 500, 600].map { node.endPause(at: $0) }
        #expect(ends == [false, false, true, false])
    }
}

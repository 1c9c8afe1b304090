// A simulated cluster as the world of a plan.

package import KithClient
package import KithPorts

extension ClusterRun {
    package var work: PlannedWork { plan.work }
    package var nodeCount: Int { plan.settings.nodeCount }

    package func start(_ body: @escaping @Sendable () async -> Void) {
        cluster.clientLane.start(body)
    }

    package func wait(nanoseconds: UInt64, subject: UInt64) async {
        await simulator.wait(nanoseconds: nanoseconds, subject: subject)
    }

    /// The same node first, and a number that the cluster takes.
    package func client(of number: Int) -> Client { cluster.client(number + nodeCount) }
    package func client(at node: Int) -> Client { cluster.client(at: node) }

    package func connect(to node: Int) async throws(NetworkError) -> any ByteStream {
        try await cluster.network.host("client").connect(
            host: "127.0.0.1", port: UInt16(7100 + node), loop: cluster.clientLane)
    }

    package func trace(_ text: @autoclosure () -> String) {
        simulator.tell(text())
    }

    package func passTime(milliseconds: Int64) {
        cluster.clientClock.pass(milliseconds: milliseconds)
        for node in cluster.nodes { node.clock.pass(milliseconds: milliseconds) }
    }
}

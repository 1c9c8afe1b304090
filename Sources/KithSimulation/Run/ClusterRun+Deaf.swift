// Clients that ask and never read, and what the connections of nodes may hold of memory, with them
// and without. They ask for what changes nothing that is counted.

internal import KithBytes
internal import KithPorts
internal import KithServer
internal import KithWire

extension ClusterRun {
    /// Between two looks at what connections hold.
    private static let lookNanoseconds: UInt64 = 50_000_000
    /// Requests of one deaf client.
    private static let deafRequestsMax = 20_000

    /// A client asks the node for one thing again and again, and reads nothing but the greeting,
    /// until the fault is over.
    func deafen(_ fault: Fault, _ chance: inout Xoshiro256) {
        let request = deafRequest(&chance)
        let lane = simulator.lane(node: "deaf")
        let host = cluster.network.host("deaf")
        let end = simulator.nanoseconds + fault.nanoseconds
        lane.start { [self] in
            // Refused where the node is down.
            guard
                let stream = try? await host.connect(
                    host: "127.0.0.1", port: UInt16(7100 + fault.node), loop: lane)
            else { return }
            // A stream that is closed ends whoever waits for it.
            simulator.schedule(
                after: end > simulator.nanoseconds ? end - simulator.nanoseconds : 0,
                subject: UInt64(fault.number)
            ) { stream.close() }
            do throws(NetworkError) {
                try await stream.write(
                    Self.frame(Hello(clusterName: "", role: .client, software: "deaf")))
                guard !(try await stream.read(atMost: 4_096)).isEmpty else { return }
                countInjected(fault)
                for _ in 0..<Self.deafRequestsMax where !isOver { try await stream.write(request) }
            } catch {
                return  // the node has had enough, or is gone
            }
        }
        look(until: end, fault)
    }

    private func deafRequest(_ chance: inout Xoshiro256) -> [UInt8] {
        let frame =
            switch chance.below(6) {
            case 0: Self.frame(Stats())
            case 1: Self.frame(Status())
            case 2: Self.frame(Ping())
            case 3:
                Self.frame(
                    Get(space: "default", namespace: "user_id", value: "nobody that there is"))
            default:
                // The answer names it.
                Self.frame(
                    Get(
                        space: "default", namespace: String(repeating: "x", count: 250),
                        value: "x"))
            }
        let count = 1 + chance.below(32)
        return Array(repeatElement(frame, count: count).joined())
    }

    private static func frame(_ message: some WireMessage) -> [UInt8] {
        var writer = ByteWriter()
        FrameWriter.write(message, requestID: 1, into: &writer)
        return writer.bytes
    }

    private func look(until end: UInt64, _ fault: Fault) {
        checkConnections()
        guard !isOver, !isHealed, simulator.nanoseconds < end else { return }
        simulator.schedule(after: Self.lookNanoseconds, subject: UInt64(fault.number)) { [self] in
            look(until: end, fault)
        }
    }

    /// No connection may hold more than it has room for.
    func checkConnections() {
        for number in 1...plan.settings.nodeCount {
            let memory = cluster.connectionMemory(number)
            if let excess = memory.excess(clientBytesMax: plan.settings.tuning.outboxBytesMax) {
                broke("16 memory of connections", "n\(number): \(excess)")
            }
        }
    }
}

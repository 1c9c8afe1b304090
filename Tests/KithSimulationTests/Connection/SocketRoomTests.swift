import KithBytes
import Testing

@testable import KithServer
@testable import KithSimulation

/// The places of a node never need more sockets than the process may have.
@Suite struct SocketRoomTests {
    private func settings(nodes: Int) -> NodeSettings {
        var settings = ClusterSettings(seed: 1)
        settings.nodeCount = nodes
        return NodeSettings(
            configuration: settings.configuration(), nodeID: NodeID(1), software: "test")
    }

    @Test(arguments: [1, 2, 3, 16], [60, 128, 472, 1_024, 4_000, 10_000, 10_600, 65_000])
    func `all connections together fit into the room that there is`(nodes: Int, room: Int) {
        var settings = settings(nodes: nodes)
        let most = settings.socketCount
        let fits = settings.fit(intoSockets: room)

        // Ten for each other node, and something of what is left for each kind.
        #expect(fits == (room - 10 * (nodes - 1) >= 3))
        guard fits else { return }
        #expect(settings.socketCount <= room, "\(settings.socketCount)")
        #expect(settings.connectionsMax >= 1 && settings.strangersMax >= 1)
        #expect(settings.connectionsMax >= 2 * settings.strangersMax || room < 160)
        if most <= room { #expect(settings.socketCount == most) }
    }

    @Test func `as many as were wanted where there is room, and none where there is too little`() {
        var alone = settings(nodes: 1)
        #expect(alone.socketCount == 10_512)
        let fits = alone.fit(intoSockets: 10_512)
        #expect(fits)
        #expect(alone.connectionsMax == 10_000 && alone.strangersMax == 256)
        let fitsIntoTwo = alone.fit(intoSockets: 2)
        #expect(!fitsIntoTwo)
        var many = settings(nodes: 8)
        let fitsIntoLess = many.fit(intoSockets: 72)
        let fitsJust = many.fit(intoSockets: 73)
        #expect(!fitsIntoLess && fitsJust)
        #expect(many.connectionsMax == 1 && many.strangersMax == 1)
    }
}

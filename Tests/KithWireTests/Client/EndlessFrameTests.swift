import KithBytes
import KithClient
import KithWire
import Testing

/// A length that was changed on its way swallows the answers that follow: they are bytes, and none
/// of them an answer.
@Suite struct EndlessFrameTests {
    @Test func `a node whose frame never ends is left, though bytes of it come`() throws {
        let endless: TestNetwork.Script = { node in
            try await node.greet()
            var request = try await node.next()
            var bytes = ScriptedNode.frame(Pong(), request.requestID)
            // The second lowest byte of the length: 512 KiB are still to come.
            bytes[2] ^= 8
            try await node.stream.write(bytes)
            while true {
                request = try await node.next()
                try await node.reply(Pong(), to: request)
            }
        }
        var options = ClientOptions()
        options.silenceMillisMax = 250

        let (portsUsed, network) = try ClientTests.run(
            ports: [7101, 7102], options: options,
            nodes: [7101: endless, 7102: ClientTests.goodNode]
        ) { client in
            var portsUsed: [UInt16?] = []
            for _ in 0..<6 {
                _ = await ClientTests.failure { () async throws(ClientError) in
                    try await client.ping(millis: 100)
                }
                portsUsed.append(await client.address?.port)
            }
            return portsUsed
        }

        #expect(portsUsed.prefix(2) == [7101, 7101])
        #expect(portsUsed.last == 7102)
        #expect(network.connectedPorts == [7101, 7102])
    }
}

import KithClient
import Testing

@Suite struct NodeAddressTests {
    @Test(arguments: [
        ("127.0.0.1:7101", "127.0.0.1", 7101), ("[::1]:80", "::1", 80), ("node-2:1", "node-2", 1),
    ])
    func `an address is read and written`(_ text: String, _ host: String, _ port: Int) {
        let address = NodeAddress(text)

        #expect(address?.host == host)
        #expect(address?.port == UInt16(port))
        #expect(address?.description == text)
    }

    @Test(arguments: [
        "", "host", "host:", ":1", "host:0", "host:65536", "host:x", "::1:80", "[]:1",
    ])
    func `what is no address is refused`(_ text: String) {
        #expect(NodeAddress(text) == nil)
    }

    @Test func `a list is good as a whole or not at all`() {
        #expect(NodeAddress.list("a:1,b:2")?.map(\.description) == ["a:1", "b:2"])
        #expect(NodeAddress.list("a:1,,b:2") == nil)
        #expect(NodeAddress.list("") == nil)
    }
}

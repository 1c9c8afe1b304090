/// Where a node listens.
public struct NodeAddress: Hashable, Sendable {
    /// A name or a numeric address, without brackets.
    public var host: String
    /// The TCP port.
    public var port: UInt16

    /// An address of its parts.
    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`; an IPv6 host stands in square brackets. `nil` for anything else.
    public init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    /// Reads a comma-separated list; `nil` where any part of it is no address.
    public static func list(_ text: String) -> [NodeAddress]? {
        var addresses: [NodeAddress] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let address = NodeAddress(part) else { return nil }
            addresses.append(address)
        }
        return addresses
    }
}

extension NodeAddress: CustomStringConvertible {
    public var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

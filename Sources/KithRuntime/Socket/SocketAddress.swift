// Addresses of the kernel's kind: numeric ones are parsed on the spot, names go through the
// system's resolver, which blocks and so belongs on a worker thread.

internal import CLinux
internal import Glibc

/// An IPv4 or IPv6 address with its port.
struct SocketAddress: Sendable {
    private var storage = sockaddr_storage()
    private(set) var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

    /// For the kernel to fill in.
    init() {}

    private init(copying info: addrinfo) {
        length = min(info.ai_addrlen, length)
        withUnsafeMutableBytes(of: &storage) { bytes in
            bytes.copyMemory(
                from: UnsafeRawBufferPointer(start: info.ai_addr, count: Int(length)))
        }
    }

    /// The address that a numeric host names; nil if it is a name.
    static func numeric(_ host: String, _ port: UInt16) -> SocketAddress? {
        guard case .success(let found) = lookUp(host, port, AI_NUMERICHOST) else { return nil }
        return found.first
    }

    enum LookUp: Sendable {
        /// Never empty.
        case success([SocketAddress])
        /// The resolver's words.
        case failure(String)
    }

    /// All addresses of a host. Blocks for as long as the resolver does.
    static func resolve(_ host: String, _ port: UInt16) -> LookUp {
        lookUp(host, port, AI_ADDRCONFIG)
    }

    private static func lookUp(_ host: String, _ port: UInt16, _ flags: Int32) -> LookUp {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else { return .failure(String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(list) }
        var found: [SocketAddress] = []
        var next = list
        while let entry = next {
            found.append(SocketAddress(copying: entry.pointee))
            next = entry.pointee.ai_next
        }
        return found.isEmpty ? .failure("no addresses") : .success(found)
    }

    var family: Int32 { Int32(storage.ss_family) }

    var port: UInt16 {
        withUnsafeBytes(of: storage) { bytes in
            // `sin_port` and `sin6_port` are both at offset 2, in network order.
            UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        }
    }

    /// `127.0.0.1:7101` or `[::1]:7101`.
    var text: String {
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let code = withPointer { address, length in
            getnameinfo(
                address, length, &host, socklen_t(NI_MAXHOST), nil, 0,
                NI_NUMERICHOST | NI_NUMERICSERV)
        }
        guard code == 0 else { return "unknown address" }
        let name = String(
            decoding: host.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return family == AF_INET6 ? "[\(name)]:\(port)" : "\(name):\(port)"
    }

    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    mutating func withMutablePointer<R>(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> R
    ) -> R {
        length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) }
        }
    }

    /// Which address a socket has at its own end.
    static func local(of raw: Int32) -> SocketAddress? {
        var address = SocketAddress()
        let result = systemCall { address.withMutablePointer { getsockname(raw, $0, $1) } }
        guard case .success = result else { return nil }
        return address
    }

    /// Which address a socket is connected to.
    static func peer(of raw: Int32) -> SocketAddress? {
        var address = SocketAddress()
        let result = systemCall { address.withMutablePointer { getpeername(raw, $0, $1) } }
        guard case .success = result else { return nil }
        return address
    }
}

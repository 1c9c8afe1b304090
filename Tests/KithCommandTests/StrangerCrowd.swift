// Many strangers at all ports of a cluster at once. They are a process of their own, since one with
// thousands of open sockets is no place for `Process` of Foundation and the tests that use it: the
// test program, run once more, with KITH_STRANGERS in its environment. It speaks to the test that
// started it over its standard input and output, a line a step:
//
//     "strangers hold N"      N connections are open and stay so
//     "strangers sent N in M" N strings were sent over M further connections
//     (a line comes in)       they let go of everything
//     "strangers left"        and end when their input does

import Foundation
import Glibc
import KithBytes
import KithWire
import Synchronization

/// What strangers are told.
struct StrangerOrders {
    /// A file of it: ports, groups, and then what was overheard.
    static let variable = "KITH_STRANGERS"

    let ports: [UInt16]
    let groups: Int
    let overheard: Overheard

    var text: String {
        "\(ports.map { String($0) }.joined(separator: " "))\n\(groups)\n\(overheard.text)\n"
    }

    init(ports: [UInt16], groups: Int, overheard: Overheard) {
        self.ports = ports
        self.groups = groups
        self.overheard = overheard
    }

    /// Those of this process; nil where it is none of strangers.
    init?() {
        guard let path = FuzzSettings.value(Self.variable),
            let text = try? String(contentsOfFile: path, encoding: .utf8)
        else { return nil }
        let lines = text.split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false)
        guard lines.count == 3, let groups = Int(lines[1]) else { return nil }
        ports = lines[0].split(separator: " ").compactMap { UInt16($0) }
        self.groups = groups
        overheard = Overheard(text: String(lines[2]))
    }
}

/// The strangers' side.
final class StrangerCrowd {
    private let orders: StrangerOrders
    private var held: [PlainSocket] = []

    /// Connections that greet and are then silent, a fifth of them as nodes do.
    static let idle = 2_000
    /// Connections that stop in the middle of something.
    static let halfOpen = 300
    /// Connections that ask and do not read, over all nodes.
    static let deaf = 12
    /// Threads that send strings.
    private static let threads = 6

    init(_ orders: StrangerOrders) { self.orders = orders }

    /// Does all of it, as the file's head says.
    func run(seed: UInt64, start: Int, strings: Int) {
        Self.allowDescriptors(Self.idle + Self.halfOpen + 500)
        hold()
        say("strangers hold \(held.count)")
        let (sent, visits) = visit(seed: seed, start: start, strings: strings)
        say("strangers sent \(sent) in \(visits)")
        _ = readLine()
        held = []
        say("strangers left")
        _ = readLine()
    }

    private func say(_ text: String) {
        FileHandle.standardOutput.write(Data("\n\(text)\n".utf8))
    }

    private static func allowDescriptors(_ count: Int) {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = min(max(limit.rlim_cur, rlim_t(count)), limit.rlim_max)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    // MARK: Holding

    private func hold() {
        for number in 0..<Self.idle {
            let port = orders.ports[number % orders.ports.count]
            if number % 5 == 0 {
                keep(PeerStranger.greet(port: port, orders.overheard, millis: 10_000))
            } else {
                keep(greeted(port))
            }
        }
        for number in 0..<Self.halfOpen { keep(halfOpen(number)) }
        for number in 0..<Self.deaf { keep(deaf(number)) }
    }

    private func keep(_ socket: PlainSocket?) {
        if let socket { held.append(socket) }
    }

    private func greeted(_ port: UInt16) -> PlainSocket? {
        guard let socket = PlainSocket(port: port, millis: 10_000), socket.send(Stranger.hello),
            socket.receive() != nil
        else { return nil }
        return socket
    }

    private func halfOpen(_ number: Int) -> PlainSocket? {
        let port = orders.ports[number % orders.ports.count]
        switch number / orders.ports.count % 4 {
        case 0: return PlainSocket(port: port, millis: 1000)
        case 1:
            let socket = PlainSocket(port: port, millis: 1000)
            _ = socket?.send(Array(Stranger.hello.dropLast(3)))
            return socket
        case 2:
            let socket = greeted(port)
            _ = socket?.send(Self.beginning(.ingest, promising: 1 << 20, of: 2000))
            return socket
        default:
            let socket = PeerStranger.greet(port: port, orders.overheard, millis: 10_000)
            _ = socket?.send(Self.beginning(.peerPerform, promising: 15 << 20, of: 20_000))
            return socket
        }
    }

    /// The first `count` bytes of a frame of `length`.
    private static func beginning(
        _ type: FrameType, promising length: UInt32, of count: Int
    ) -> [UInt8] {
        var bytes = Stranger.frame(type, [UInt8](repeating: 0, count: count))
        for place in 0..<4 { bytes[place] = UInt8(truncatingIfNeeded: length >> (8 * place)) }
        return bytes
    }

    /// Asks for far more than the kernel keeps, and takes none of it.
    private func deaf(_ number: Int) -> PlainSocket? {
        let port = orders.ports[number % orders.ports.count]
        guard number >= orders.ports.count else {
            let socket = PeerStranger.greet(port: port, orders.overheard, millis: 200)
            let requests = (0..<4000).map {
                Stranger.frame(.peerStatus, [], id: UInt64($0))
            }
            _ = socket?.send(Array(requests.joined()))
            return socket
        }
        let socket = greeted(port)
        var batch = IngestBatchWriter(space: "fuzz", hasStamps: false)
        let long = CBORValue.text(String(repeating: "x", count: 4000))
        for place in 0..<3 {
            let traits = (0..<5).map { CBORMember(.text("t\(place)-\($0)"), long) }
            let event: CBORValue = [
                "type": "identify", "userId": .text("deaf-\(number)"), "traits": .map(traits),
            ]
            batch.append(stamp: nil, bytes: event.encoded())
        }
        let get = Get(space: "fuzz", namespace: "user_id", value: "deaf-\(number)").encoded()
        _ = socket?.send(Stranger.frame(.ingest, batch.payload))
        _ = socket?.receive()
        _ = socket?.send(Array((0..<400).map { Stranger.frame(.get, get, id: $0) }.joined()))
        return socket
    }

    // MARK: Visiting

    private func visit(seed: UInt64, start: Int, strings: Int) -> (sent: Int, visits: Int) {
        let sent = Mutex(0)
        let visits = Mutex(start)
        let leaving = DispatchGroup()
        let orders = orders
        for _ in 0..<Self.threads {
            leaving.enter()
            Thread.detachNewThread {
                var idle = 0
                while sent.withLock({ $0 }) < strings, idle < 100 {
                    let visit = visits.withLock { number in
                        number += 1
                        return number
                    }
                    var fuzzer = ByteFuzzer(seed: seed, string: visit)
                    let port = fuzzer.pick(orders.ports)
                    let count =
                        fuzzer.chance(oneIn: 2)
                        ? Stranger(port: port, isStamped: false).visit(&fuzzer)
                        : PeerStranger(
                            port: port, overheard: orders.overheard, groups: orders.groups
                        ).visit(&fuzzer)
                    idle = count == 0 ? idle + 1 : 0
                    sent.withLock { $0 += count }
                }
                leaving.leave()
            }
        }
        leaving.wait()
        return (sent.withLock { $0 }, visits.withLock { $0 } - start)
    }
}

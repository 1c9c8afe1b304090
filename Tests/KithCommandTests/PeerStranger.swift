import KithBytes
import KithCore
import KithWire

/// Somebody who greets as a node of the cluster does, and then asks what no node would.
struct PeerStranger {
    let port: UInt16
    let overheard: Overheard
    let groups: Int

    private var payloads: [[UInt8]] { overheard.requests.map(\.payload) }

    /// Connects and greets as a node; with digests that are right, or damaged ones. Nil where the
    /// node does not answer.
    static func greet(
        port: UInt16, _ overheard: Overheard, millis: Int,
        damage: (inout [UInt8]) -> Void = { _ in }
    ) -> PlainSocket? {
        guard let socket = PlainSocket(port: port, millis: millis),
            socket.send(Stranger.frame(.hello, overheard.hello)), socket.receive() != nil
        else { return nil }
        var greeting = overheard.greeting
        damage(&greeting)
        guard socket.send(Stranger.frame(.peerGreeting, greeting)), socket.receive() != nil else {
            return nil
        }
        return socket
    }

    /// One connection from beginning to end; how many strings it sent.
    func visit(_ fuzzer: inout ByteFuzzer) -> Int {
        let isPeer = !fuzzer.chance(oneIn: 6)
        let samples = payloads
        let socket = Self.greet(port: port, overheard, millis: 1000) { greeting in
            guard !isPeer else { return }
            fuzzer.damage(&greeting, samples: samples)
            // Whose cluster file agrees is believed what it says of folders, which only
            // authentication can change: here the digests are always wrong.
            for place in 0..<min(8, greeting.count) { greeting[place] ^= 0x55 }
        }
        guard let socket else { return isPeer ? 0 : 1 }
        var sent = 0
        for _ in 0...fuzzer.below(80) {
            var (type, payload) = request(&fuzzer)
            if !fuzzer.chance(oneIn: 4), !Self.tellsOfFolders(type) {
                fuzzer.damage(&payload, samples: samples)
            }
            if fuzzer.chance(oneIn: 12) { type = FrameType(rawValue: fuzzer.byte()) }
            var bytes = Stranger.frame(type, payload, id: fuzzer.next())
            if fuzzer.chance(oneIn: 60) { fuzzer.damage(&bytes, samples: samples) }
            sent += 1
            guard socket.send(bytes) else { break }
            if fuzzer.chance(oneIn: 3) { socket.discard() }
        }
        if !fuzzer.chance(oneIn: 8) { socket.finish() }
        return sent
    }

    /// What a node says of data folders is believed, so that a damaged word would end another.
    private static func tellsOfFolders(_ type: FrameType) -> Bool {
        type == .peerHeartbeat || type == .peerGreeting
    }

    /// A request of one of the types 0x40 to 0x47, which could be meant.
    private func request(_ fuzzer: inout ByteFuzzer) -> (FrameType, [UInt8]) {
        let leaf = leaf(&fuzzer)
        let isRight = !fuzzer.chance(oneIn: 4)
        let group =
            isRight
            ? GroupTable(groupCount: groups).group(of: leaf)
            : GroupID(UInt16(truncatingIfNeeded: fuzzer.next()))
        switch fuzzer.below(9) {
        case 0, 1:
            let heard = fuzzer.pick(overheard.requests)
            var payload = heard.payload
            // Of whatever group, led by the node or not, the records' own or not.
            if fuzzer.chance(oneIn: 2), payload.count > 1, !Self.tellsOfFolders(heard.type) {
                payload[0] = UInt8(fuzzer.below(groups + 1))
                payload[1] = 0
            }
            return (heard.type, payload)
        case 2, 3:
            var operations = OperationWriter()
            for _ in 0..<fuzzer.below(4) { operations.touch(self.leaf(&fuzzer)) }
            for _ in 0..<fuzzer.below(2) { operations.time() }
            let find = FindRequest(
                record: leaf, leaf: leaf, other: self.leaf(&fuzzer), proof: .none,
                stamp: Int64(bitPattern: fuzzer.next()))
            let perform = PeerPerform(
                group: group, isIngest: fuzzer.chance(oneIn: 2),
                isWaiting: fuzzer.chance(oneIn: 2),
                deadlineMillis: UInt32(truncatingIfNeeded: fuzzer.next()), operations: operations,
                finds: Array(repeating: find, count: fuzzer.below(40)),
                waits: Array(repeating: leaf, count: fuzzer.below(40)))
            return (.peerPerform, perform.encoded())
        case 4:
            let read = PeerRead(
                group: group, leaf: leaf, record: leaf, deadlineMillis: .max)
            return (.peerRead, read.encoded())
        case 5: return (.peerTotals, PeerTotals(group: group).encoded())
        case 6: return (.peerMark, PeerMark(group: group).encoded())
        case 7:
            let search = PeerForwards(
                group: group, search: UInt64(fuzzer.below(20)),
                step: PeerForwards.Step.allCases[fuzzer.below(3)], cursor: fuzzer.next(),
                lost: (0..<fuzzer.below(4)).map { _ in
                    PeerForwards.LostGroup(
                        group: GroupID(UInt16(fuzzer.below(300))), mark: .none)
                })
            return (.peerForwards, search.encoded())
        default:
            return fuzzer.chance(oneIn: 2)
                ? (.peerStatus, []) : (.peerGreeting, overheard.greeting)
        }
    }

    /// One of a few, so that they meet; no identifier's.
    private func leaf(_ fuzzer: inout ByteFuzzer) -> LeafID {
        LeafID(high: UInt64(fuzzer.below(4)) << 62 | 5, low: UInt64(fuzzer.below(40)))
    }
}

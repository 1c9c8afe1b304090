// Who has a place at a node. Nobody is kept out by those who ask for nothing.
//
//   accepted ──▶ stranger ──Hello──▶ client     one of `clientsMax`
//                   │      ──greeting of a node──▶ node   some for each other node of the cluster
//                   └── all places taken: the one that has been there longest goes
//
// Where all places for clients are taken, a newcomer gets that of the client that has been idle
// longest; where none is idle, of one that stopped half-way through a frame or its replies. A
// request in work is never broken off: where every client has one, the newcomer is refused, with
// an error that says so. Places for nodes are apart, so a node that returns is not a matter of what
// clients do. The one that goes is told and ends by itself; of those that take long for it the
// oldest is broken off, so that they never fill the room of strangers, as which nodes come too.

internal import KithBytes
internal import Synchronization

/// All connections of a node, by what they are. Used from all loops; the lock is held for a look at
/// all clients at most.
final class ConnectionPlaces: Sendable {
    private struct State {
        var connections: [UInt64: Connection] = [:]
        var last: UInt64 = 0
        /// Ascending, so in the order they came.
        var strangers: [UInt64] = []
        var clients: Set<UInt64> = []
        /// Clients whose place is another's and that have not ended, in the order they lost it.
        var leaving: [UInt64] = []
        var nodes: [NodeID: [UInt64]] = [:]
        /// Clients in the order in which they would have to go, last first, as the last look at all
        /// of them found them.
        var candidates: [Candidate] = []
        /// Before this nobody looks at all clients again, unless some were found idle.
        var nextLook: UInt64 = 0
        var wereIdle = true
        var counts = Counts()
    }

    /// What became of connections that had no place, since the node began.
    struct Counts: Equatable, Sendable {
        /// Clients that were closed for another.
        var closedForOthers: UInt64 = 0
        /// Clients that were refused since all others had requests in work.
        var refused: UInt64 = 0
        /// Connections that were closed before they had said what they are, for another.
        var strangersClosed: UInt64 = 0
    }

    private struct Candidate {
        let number: UInt64
        let burden: ConnectionDeadlines.Burden
        let since: UInt64
    }

    private let state = Mutex(State())
    private let clientsMax: Int
    private let strangersMax: Int
    /// All connections together, with those that are about to end.
    private let connectionsMax: Int

    /// Connections from one other node: two links, and those of its former lives that have not
    /// ended yet.
    static let perNodeMax = 8
    /// Clients that one look at all of them finds to go.
    private static let candidatesMax = 256
    /// Nanoseconds between two looks at all clients that find nobody.
    private static let lookNanoseconds: UInt64 = 10_000_000

    /// For a node of a cluster with that many other nodes.
    init(clientsMax: Int, strangersMax: Int, otherNodes: Int) {
        precondition(clientsMax > 0 && strangersMax > 0, "a node without places")
        self.clientsMax = clientsMax
        self.strangersMax = strangersMax
        connectionsMax = clientsMax + 2 * strangersMax + otherNodes * Self.perNodeMax
    }

    /// Whether another connection may be accepted: those that end have ended in time.
    var hasRoom: Bool { state.withLock { $0.connections.count < connectionsMax } }

    var counts: Counts { state.withLock { $0.counts } }
    /// All connections.
    var count: Int { state.withLock { $0.connections.count } }

    /// How many are what.
    var standing: (strangers: Int, clients: Int, nodes: Int) {
        state.withLock { state in
            let nodes = state.nodes.values.reduce(0) { $0 + $1.count }
            return (state.strangers.count, state.clients.count, nodes)
        }
    }

    /// All connections, in the order they came.
    var all: [Connection] {
        state.withLock { state in
            state.connections.keys.sorted().compactMap { state.connections[$0] }
        }
    }

    /// A connection was accepted; it is a stranger until it has greeted. Returns its number.
    func enter(_ connection: Connection) -> UInt64 {
        let (number, leaving) = state.withLock { state in
            var leaving: Connection?
            if state.strangers.count >= strangersMax {
                mark(.placesStrangersFull)
                state.counts.strangersClosed += 1
                // It keeps its entry until it has ended, and takes nobody's place any more.
                leaving = state.connections[state.strangers.removeFirst()]
            }
            state.last += 1
            state.connections[state.last] = connection
            state.strangers.append(state.last)
            return (state.last, leaving)
        }
        leaving?.close()
        return number
    }

    /// What becomes of a stranger that is a client.
    enum Admission {
        case admitted
        /// In place of that one, which must be told.
        case instead(of: Connection)
        /// All others have requests in work.
        case refused
    }

    /// A stranger has greeted as a client.
    func admitClient(_ number: UInt64, at now: UInt64) -> Admission {
        let (admission, slow): (Admission, Connection?) = state.withLock { state in
            state.strangers.removeAll { $0 == number }
            guard state.clients.count >= clientsMax else {
                state.clients.insert(number)
                return (.admitted, nil)
            }
            guard let victim = nextToGo(&state, now) else {
                mark(.placesClientsBusy)
                state.counts.refused += 1
                return (.refused, nil)
            }
            mark(.placesClientsFull)
            state.counts.closedForOthers += 1
            state.clients.remove(victim.number)
            state.clients.insert(number)
            var slow: Connection?
            if state.leaving.count >= strangersMax {
                slow = state.connections[state.leaving.removeFirst()]
            }
            state.leaving.append(victim.number)
            return (.instead(of: victim.connection), slow)
        }
        slow?.close()
        return admission
    }

    /// The client that goes for another. O(1) on average while some are idle; else O(clients)
    /// every `lookNanoseconds`.
    private func nextToGo(
        _ state: inout State, _ now: UInt64
    ) -> (number: UInt64, connection: Connection)? {
        for isSecondLook in [false, true] {
            while let candidate = state.candidates.popLast() {
                // Somebody may have become idle since.
                if candidate.burden != .idle, now >= state.nextLook { break }
                guard state.clients.contains(candidate.number),
                    let connection = state.connections[candidate.number],
                    connection.burden(at: now) == (candidate.burden, candidate.since)
                else { continue }
                return (candidate.number, connection)
            }
            let wereIdle = state.wereIdle
            if isSecondLook || now < state.nextLook && !wereIdle { return nil }
            look(&state, now)
        }
        return nil
    }

    private func look(_ state: inout State, _ now: UInt64) {
        var found: [Candidate] = []
        for number in state.clients.sorted() {
            guard let (burden, since) = state.connections[number]?.burden(at: now) else { continue }
            if burden != .inWork {
                found.append(Candidate(number: number, burden: burden, since: since))
            }
        }
        found.sort { ($0.burden, $0.since, $0.number) < ($1.burden, $1.since, $1.number) }
        state.candidates = found.prefix(Self.candidatesMax).reversed()
        state.wereIdle = state.candidates.last?.burden == .idle
        state.nextLook = now &+ Self.lookNanoseconds
    }

    /// A stranger has greeted as a node of the cluster. Of those of a node that are too many the
    /// longest idle goes.
    func admitNode(_ number: UInt64, _ id: NodeID, at now: UInt64) {
        let leaving: Connection? = state.withLock { state in
            state.strangers.removeAll { $0 == number }
            var numbers = state.nodes[id] ?? []
            guard !numbers.contains(number) else { return nil }
            var leaving: Connection?
            if numbers.count >= Self.perNodeMax {
                mark(.placesNodeFull)
                let oldest = numbers.indices.min { left, right in
                    let sinces = [left, right].map {
                        state.connections[numbers[$0]]?.burden(at: now).since ?? 0
                    }
                    return (sinces[0], left) < (sinces[1], right)
                }
                if let oldest { leaving = state.connections[numbers.remove(at: oldest)] }
            }
            numbers.append(number)
            state.nodes[id] = numbers
            return leaving
        }
        leaving?.close()
    }

    /// A connection has ended.
    func leave(_ number: UInt64) {
        state.withLock { state in
            state.connections[number] = nil
            state.strangers.removeAll { $0 == number }
            state.clients.remove(number)
            state.leaving.removeAll { $0 == number }
            for id in state.nodes.keys.sorted() {
                state.nodes[id]?.removeAll { $0 == number }
                if state.nodes[id]?.isEmpty == true { state.nodes[id] = nil }
            }
        }
    }
}

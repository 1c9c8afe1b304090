internal import KithCore

/// The ingest requests of one connection that are in work, in the order sent. Several are, since
/// most events settle in one round, and a few, whose links must travel, in a dozen: the next
/// request need not wait for those.
///
///     request 1  ███████ ─ ─ links ─ ─ ▶ reply
///     request 2          ███████ ─ ─ gate ─ ─ links ─ ─ ▶ reply
///     request 3                  ███████ ─ ─ …
///
/// Order: a request begins when the first round of each before it has ended. An event that shares
/// an identifier with one of theirs that is unsettled waits at its request's *gate* until no
/// earlier request has such an event. So a request waits for earlier ones only, and what shares an
/// identifier takes effect in the order sent.
///
/// Touched by its connection only, between two awaits.
struct IngestFlights {
    /// Names a request in work; ascending in the order sent.
    typealias Flight = UInt64

    private struct State {
        let flight: Flight
        /// Nobody may begin until this has ended: more of it is to be read.
        var isAlone: Bool
        /// The first round has ended, and `unsettled` says what is left.
        var hasBegun = false
        var unsettled: [LeafID] = []
        var bell = Doorbell()
    }

    private var states: [State] = []
    private var begun: Flight = 0
    private var bell = Doorbell()

    /// Requests of a connection in work at a time.
    static let flightsMax = 4

    /// Whether another request may begin.
    var hasRoom: Bool {
        states.count < Self.flightsMax && states.allSatisfy { $0.hasBegun && !$0.isAlone }
    }

    /// A request begins; `hasRoom` must hold. With `isAlone` no other does until it ends.
    mutating func begin(isAlone: Bool) -> Flight {
        precondition(hasRoom, "\(states.count) requests in work")
        begun += 1
        states.append(State(flight: begun, isAlone: isAlone))
        return begun
    }

    /// The request is more than one piece; to be said before its first round has ended.
    mutating func stayAlone(_ flight: Flight) {
        guard let index = states.firstIndex(where: { $0.flight == flight }) else { return }
        states[index].isAlone = true
    }

    /// A round of the request has ended: those that wait for it look again.
    mutating func roundEnded(_ flight: Flight, _ machine: IngestMachine) {
        guard let index = states.firstIndex(where: { $0.flight == flight }),
            !states[index].isAlone
        else { return }
        states[index].unsettled = machine.unsettledLeaves()
        states[index].hasBegun = true
        ring(after: index)
    }

    /// The request is answered.
    mutating func end(_ flight: Flight) {
        guard let index = states.firstIndex(where: { $0.flight == flight }) else { return }
        states.remove(at: index)
        ring(after: index - 1)
    }

    private mutating func ring(after index: Int) {
        for later in states.indices where later > index { states[later].bell.ring() }
        bell.ring()
    }

    /// The identifiers of events of earlier requests that are not settled, ascending.
    func unsettled(before flight: Flight) -> [LeafID] {
        states.filter { $0.flight < flight }.flatMap(\.unsettled).sorted()
    }

    /// Who waits for earlier requests is woken when one of them has got on.
    mutating func wait(_ flight: Flight, _ continuation: CheckedContinuation<Void, Never>) {
        guard let index = states.firstIndex(where: { $0.flight == flight }) else {
            return continuation.resume()
        }
        states[index].bell.wait(continuation)
    }

    /// Who waits for room is woken when there may be some.
    mutating func wait(_ continuation: CheckedContinuation<Void, Never>) { bell.wait(continuation) }
}

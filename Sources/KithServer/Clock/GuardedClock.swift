internal import KithBytes
internal import KithCore
internal import KithPorts
internal import KithWire
internal import Synchronization

/// The clock of a node: its wall time is what the node's guard believes, for all that decides or
/// stamps anything. Shared by all loops of the node; a reading costs an uncontended lock.
///
/// While the node is astray, more than an hour off the median of all clocks, its wall time is
/// `none`: what it still logs of its own (merges under way) then moves no log time, since that
/// never falls.
final class GuardedClock: Clock {
    private let clock: any Clock
    private let state: Mutex<ClockGuard>
    /// What is refused because of the clock, to be asked before each request.
    private let standing: Atomic<UInt8>
    /// Requests that came before the others were asked; as many as connections have in work.
    private let waiting = Mutex<[CheckedContinuation<Void, Never>]>([])

    /// The time of a clock that nobody may stamp anything by.
    static let none = LogTime(0)

    /// What a node may do by its clock.
    enum Standing: UInt8 {
        /// The other nodes' clocks have not been asked for yet.
        case unheard
        case sound
        /// Reads and merges; events wait until somebody has looked at the clock.
        case refusesEvents
        case astray
    }

    /// A clock that is believed at once, or, where `mustHear`, once others have been asked.
    init(_ clock: any Clock, stepMillisMax: Int64, mustHear: Bool) {
        self.clock = clock
        standing = Atomic(mustHear ? Standing.unheard.rawValue : Standing.sound.rawValue)
        state = Mutex(
            ClockGuard(
                ClockGuard.Reading(wall: clock.wallTime(), boot: clock.bootNanoseconds()),
                stepMillisMax: stepMillisMax))
    }

    func wallTime() -> LogTime { timeAndStanding().time }

    /// The wall time, and what the node may do by the reading that it comes from: a reading may be
    /// the first to find that the clock has made a step.
    func timeAndStanding() -> (time: LogTime, standing: Standing) {
        read { guarded, reading in
            let time = guarded.time(reading)
            if guarded.refusesEvents, self.now == .sound { self.set(.refusesEvents) }
            let standing = self.now
            return (standing == .astray || standing == .unheard ? Self.none : time, standing)
        }
    }

    func monotonicNanoseconds() -> UInt64 { clock.monotonicNanoseconds() }
    func bootNanoseconds() -> UInt64 { clock.bootNanoseconds() }
    func sleep(nanoseconds: UInt64, on loop: any Loop) async throws {
        try await clock.sleep(nanoseconds: nanoseconds, on: loop)
    }

    /// The wall clock itself, believed or not: what other nodes are told.
    var shown: LogTime { clock.wallTime() }

    /// To be called with the guard's lock: whoever read the clock last says what holds.
    private func set(_ standing: Standing) {
        self.standing.store(standing.rawValue, ordering: .relaxed)
    }

    /// What the node may do, as the last look at the clock found.
    var now: Standing { Standing(rawValue: standing.load(ordering: .relaxed)) ?? .astray }

    /// Takes in what another node said of its wall clock just now.
    func hear(_ wall: LogTime, of node: NodeID) {
        read { guarded, reading in guarded.hear(wall, of: node, at: reading.boot) }
        look()
    }

    /// Has the clock compared with the last time that the data folder has seen, and looks at it.
    func compare(with seen: LogTime?, isAccepted: Bool) {
        read { guarded, _ in guarded.compare(with: seen, isAccepted: isAccepted) }
        look()
    }

    /// Why the node does not take a request now; nil where it does. `ofEvents`: whether it brings
    /// some, which has the clock read. At a start suspends until the others were asked, a second at
    /// most.
    func refusal(ofEvents: Bool, of node: NodeID) async -> ErrorReply? {
        if now == .unheard { await waitUntilHeard() }
        switch ofEvents ? timeAndStanding().standing : now {
        case .sound: return nil
        case .refusesEvents where !ofEvents: return nil
        case .refusesEvents, .astray, .unheard: return refusal(of: node)
        }
    }

    /// When events arrive that have just come.
    enum Arrival {
        case at(LogTime)
        /// None are taken, and why.
        case refused(ErrorReply)
    }

    /// The arrival of events that node `node` has been sent, or why it takes none. Suspends as
    /// `refusal` does. Both come from one reading: no event has the time of a doubted clock.
    func arrival(at node: NodeID) async -> Arrival {
        if now == .unheard { await waitUntilHeard() }
        let (time, standing) = timeAndStanding()
        return standing == .sound ? .at(time) : .refused(refusal(of: node))
    }

    private func refusal(of node: NodeID) -> ErrorReply {
        mark(.clockRefuses)
        let why = look().text ?? "its clock is being put right"
        return ErrorReply(code: .clock, text: "node \(node.rawValue): \(why)")
    }

    private func waitUntilHeard() async {
        await withCheckedContinuation { continuation in
            let mustWait = waiting.withLock { waiting in
                guard now == .unheard else { return false }
                waiting.append(continuation)
                return true
            }
            if !mustWait { continuation.resume() }
        }
    }

    /// Looks at the clock, and judges anew what the node may do. Where others must be asked first,
    /// that is over with `haveHeard`. O(nodes).
    @discardableResult
    func look(haveHeard: Bool = false) -> Report {
        let report = read { guarded, reading in
            let believed = guarded.time(reading)
            let report = Report(
                believed: believed, shown: LogTime(reading.wall), problem: guarded.problem,
                heldBackMillis: guarded.heldBackMillis, behindMillis: guarded.behindMillis,
                steps: guarded.steps,
                refusesEvents: guarded.refusesEvents, differences: guarded.differences)
            if haveHeard || self.now != .unheard {
                let standing = report.standing
                if standing == .astray, self.now != .astray { mark(.clockAstray) }
                self.set(standing)
            }
            return report
        }
        guard haveHeard else { return report }
        let heard = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        for continuation in heard { continuation.resume() }
        return report
    }

    private func read<Result>(
        _ body: (inout ClockGuard, ClockGuard.Reading) -> Result
    ) -> Result {
        state.withLock { guarded in
            body(
                &guarded,
                ClockGuard.Reading(wall: clock.wallTime(), boot: clock.bootNanoseconds()))
        }
    }

    /// How a node stands to its clock.
    struct Report {
        let believed: LogTime
        let shown: LogTime
        let problem: ClockGuard.Problem?
        let heldBackMillis: Int64
        /// How far believed time is behind the last time that the folder had seen at the start.
        let behindMillis: Int64
        let steps: UInt64
        let refusesEvents: Bool
        /// By node, how far its clock is ahead of believed time.
        let differences: [(node: NodeID, millis: Int64)]

        /// What the node may do by it.
        var standing: Standing {
            if case .astray = problem { return .astray }
            return refusesEvents ? .refusesEvents : .sound
        }

        /// What is wrong, and what to do, for people; nil where nothing is.
        var text: String? {
            switch problem {
            case .astray(let millis, let clocks):
                "its time is \(Self.span(millis)) the median of \(clocks) clocks, so it does not "
                    + "serve: set its clock right, and start it again if it does not recover"
            case .unconfirmed(let millis):
                "its wall clock is suddenly \(Self.span(millis)) what it was, and is not followed"
                    + (refusesEvents ? ", and events are refused" : "")
                    + ": set it right, or start the node again if it is right now"
            case .behind(let millis, let isAccepted):
                "its clock is \(Self.span(-millis)) the last time that its data folder has seen"
                    + Self.consequence(isAccepted: isAccepted, refusesEvents: refusesEvents)
            case .apart(let millis, let clocks):
                "its clock is \(Self.span(millis)) "
                    + (clocks < ClockGuard.clocksMin
                        ? "that of the other node" : "the median of \(clocks)")
                    + ": look at both"
            case nil: nil
            }
        }

        private static func consequence(isAccepted: Bool, refusesEvents: Bool) -> String {
            if refusesEvents {
                return ", and events are refused: set it right and start the node again; or, if it "
                    + "is right now, start it once with --accept-clock"
            }
            return isAccepted
                ? ", as was accepted: until it has come so far, anonymous profiles end so much earlier"
                : ": look at its time service"
        }

        /// "3 h ahead of", "12 s behind".
        private static func span(_ millis: Int64) -> String {
            let seconds = millis.magnitude / 1_000
            let text =
                switch seconds {
                case 0..<120: "\(seconds) s"
                case 120..<7_200: "\(seconds / 60) min"
                case 7_200..<172_800: "\(seconds / 3_600) h"
                default: "\(seconds / 86_400) days"
                }
            return "\(text) \(millis > 0 ? "ahead of" : "behind")"
        }
    }
}

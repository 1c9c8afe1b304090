/// At which step of a merge which node died, over all crashes of a set of runs: how full it is says
/// how much of what can happen a search has seen.
///
///     step of the merge                 which node died
///     seal asked, not durable           the loser's leader, where the merge's coordinator is too
///     sealed, nobody told               the winner's leader
///     absorb asked, not durable         one node that leads both groups
///     absorbed, not forwarded           a client's router that leads neither
///     …                                 another node
///
/// A router is a node that a client waits at for the answer to a batch that names one of the two
/// leaves: what dies with it is the way from the link to its acknowledgement.
///
/// Filled from what the records of all nodes say right before the crash (`SimulatedCluster.
/// noteCrash`), not from what the run meant to do.
public struct CrashMatrix: Equatable, Sendable {
    /// How far a merge was. Where something is "asked" the crash comes before its sync.
    public enum Step: String, CaseIterable, Sendable {
        case sealAsked = "seal asked, not durable"
        case sealed = "sealed, nobody told"
        case absorbAsked = "absorb asked, not durable"
        case absorbed = "absorbed, not forwarded"
        case forwardAsked = "forward asked, not durable"
        case winnerSealed = "winner sealed itself"
        case winnerMoved = "winner merged itself"
        case winnerEmpty = "winner without a profile"
        case winnerDown = "winner's node is down"
        case declined = "declined, not reopened"
        case reopenAsked = "reopening asked, not durable"
    }

    /// What the node that died had to do with it.
    public enum Role: String, CaseIterable, Sendable {
        case loser = "loser's leader"
        case winner = "winner's leader"
        case both = "leader of both"
        case router = "a client's router"
        case other = "another node"
    }

    /// One place of the table.
    public struct Cell: Hashable, Sendable, CustomStringConvertible {
        public var step: Step
        public var role: Role

        public init(_ step: Step, _ role: Role) {
            self.step = step
            self.role = role
        }

        public var description: String { "\(step.rawValue) / \(role.rawValue)" }

        /// Whether there is such a crash at all.
        var isPossible: Bool {
            step != .winnerDown || role != .winner && role != .both
        }
    }

    private var counts = [Int](repeating: 0, count: Step.allCases.count * Role.allCases.count)

    /// An empty table.
    public init() {}

    private static func place(_ cell: Cell) -> Int {
        let step = Step.allCases.firstIndex(of: cell.step) ?? 0
        let role = Role.allCases.firstIndex(of: cell.role) ?? 0
        return step * Role.allCases.count + role
    }

    /// How many merges were at that step when such a node died.
    public subscript(cell: Cell) -> Int {
        get { counts[Self.place(cell)] }
        set { counts[Self.place(cell)] = newValue }
    }

    /// Adds what another run has.
    public mutating func add(_ other: CrashMatrix) {
        for place in counts.indices { counts[place] += other.counts[place] }
    }

    /// Every cell that there can be, by steps.
    public static var cells: [Cell] {
        Step.allCases.flatMap { step in Role.allCases.map { Cell(step, $0) } }
            .filter(\.isPossible)
    }

    /// The cells that are empty.
    public var missing: [Cell] { Self.cells.filter { self[$0] == 0 } }

    /// The table, a line a step.
    public var text: String {
        let width = 30
        func padded(_ text: String, _ count: Int) -> String {
            text + String(repeating: " ", count: max(1, count - text.count))
        }
        var lines = [
            padded("", width) + Role.allCases.map { padded($0.rawValue, 18) }.joined()
        ]
        for step in Step.allCases {
            lines.append(
                padded(step.rawValue, width)
                    + Role.allCases.map { role in
                        let cell = Cell(step, role)
                        return padded(cell.isPossible ? "\(self[cell])" : "–", 18)
                    }.joined())
        }
        return lines.map { line in
            var line = line
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }
}

package import KithClient
package import KithPorts

/// What carries out a plan: a simulated cluster (`ClusterRun`), or real processes. A world gives
/// time, clients and connections; what clients do in it, and what every node is asked in the end,
/// is the same in every world and stands in the extensions.
///
///     PlannedWork ──▶ PlanWorld+Clients ──▶ History ────┐
///                     PlanWorld+Final   ──▶ FinalState ─┴▶ Checker
///
/// A world is touched on one loop only, on which everything that `start` begins runs.
package protocol PlanWorld: AnyObject, Sendable {
    /// What clients do.
    var work: PlannedWork { get }
    /// Nodes, numbered from 1.
    var nodeCount: Int { get }
    /// What clients were answered so far.
    var history: History { get set }
    /// What clients leave to chance.
    var random: Xoshiro256 { get set }
    /// Clients that are not done.
    var clientsLeft: Int { get set }
    /// The clients of the steps that are not done, by the steps' numbers.
    var doing: [Int: Int] { get set }
    /// The run has failed or is done: nobody tries anything again.
    var isOver: Bool { get }
    /// Nanoseconds since the clients began.
    var now: UInt64 { get }

    /// Begins a root task on the world's loop.
    func start(_ body: @escaping @Sendable () async -> Void)
    /// Returns after so long. `subject` says in a trace what waits.
    func wait(nanoseconds: UInt64, subject: UInt64) async
    /// The client of that number, which speaks to node (`number` mod n) + 1 first and falls back
    /// to the others.
    func client(of number: Int) -> Client
    /// A client that speaks to that node only.
    func client(at node: Int) -> Client
    /// A connection of its own to a node, without a greeting.
    func connect(to node: Int) async throws(NetworkError) -> any ByteStream
    /// Has every wall clock go forward.
    func passTime(milliseconds: Int64)
    /// Tells who follows each step of a run, if anybody does.
    func trace(_ text: @autoclosure () -> String)
    /// Writes down what happened.
    func note(_ text: String)
    /// A rule was broken.
    func broke(_ invariant: String, _ text: String)
}

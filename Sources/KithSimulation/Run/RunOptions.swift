/// What is asked of a run. All else is drawn from the seed; what is said here replaces the draw and
/// shifts no other.
public struct RunOptions: Sendable {
    /// Says everything that is not said here.
    public var seed: UInt64
    public var nodes: Int?
    public var groups: Int?
    /// Event loops a node.
    public var loops: Int?
    /// Each actor has a lane of its own, or all of a loop share one.
    public var hasLanePerActor: Bool?
    /// Names of the workloads to mix.
    public var workloads: [String]?
    /// Steps of the work a second of virtual time, evenly spread.
    public var rate: Int?
    /// Steps of the work.
    public var steps: Int?
    /// Clients with a greater number do nothing.
    public var clients: Int?
    /// Only steps with these numbers are done; nil for all.
    public var onlySteps: Set<Int>?
    /// Which kinds of faults may be drawn.
    public var faults = FaultSchedule.Choice()
    /// Of what was drawn only faults with these numbers happen; nil for all.
    public var onlyFaults: Set<Int>?
    #if KITH_PLANTED
    /// The fault of the program that is planted in this run (`PlantedFault`).
    public var planted: String?
    #endif

    /// All that the seed says.
    public init(seed: UInt64) { self.seed = seed }
}

/// What a run showed.
public struct RunReport: Sendable {
    /// What was asked for.
    public var options: RunOptions
    /// The size of the cluster, the work and the faults.
    public var summary = ""
    /// Over all that happened; the same in each run of one build.
    public var hash: UInt64 = 0
    /// Jobs run and events fired.
    public var steps = 0
    /// Virtual time that passed.
    public var nanoseconds: UInt64 = 0
    /// Requests that clients made, tries counted one by one.
    public var calls = 0
    /// Distinct events that were acknowledged.
    public var events = 0
    /// Virtual time from the first step of the work to the answer of the last.
    public var workNanoseconds: UInt64 = 0
    /// How often each kind of fault was injected, in the order of the kinds; none that was not.
    public var faults: [(kind: FaultKind, count: Int)] = []
    /// The schedule, as it was laid out.
    public var schedule: [Fault] = []
    /// The numbers of the steps that the work had.
    public var stepNumbers: [Int] = []
    /// Branches of the program that the run came to, and what was under way when nodes died.
    public var coverage = Coverage()
    /// The rules that were broken, the first one first.
    public var violations: [Violation] = []
    /// The last things that the run wrote down.
    public var notes: [String] = []
    /// The size of the cluster.
    public var nodes = 0
    public var groups = 0
    public var loops = 0
    public var hasLanePerActor = false
    /// The greatest number of a client.
    public var clients = 0

    /// No rule was broken.
    public var isOk: Bool { violations.isEmpty }

    /// A run that has not begun.
    init(_ options: RunOptions) { self.options = options }
}

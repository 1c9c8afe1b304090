/// One way to use a cluster, and to wear it out. Each writes its steps into a plan that others
/// write into as well, about persons of its own.
protocol Workload: SendableMetatype {
    /// As traces name it.
    static var name: String { get }
    /// One line: what it does to a cluster.
    static var help: String { get }
    /// What it needs time to do, beside what it does in any case.
    static var passing: WorkloadTimes.Passing { get }

    /// One instance; what it is like, `plan` draws.
    init(_ plan: inout PlanWriter)
    /// Writes about so many steps.
    mutating func steps(count: Int, into plan: inout PlanWriter)
}

extension Workload {
    static var passing: WorkloadTimes.Passing { .anything }
}

/// Anonymous profiles that are written once and then only looked at, over and over, while their end
/// comes near and clocks go wrong: a read that is judged by a clock which is set back later shows.
struct Watch: Workload {
    static let name = "watch"
    static let help = "a few visitors who are looked at over and over until they have ended"
    static let passing = WorkloadTimes.Passing.retention

    private let clients: Int

    init(_ plan: inout PlanWriter) { clients = 1 + plan.random.below(3) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        let watched = 1 + plan.random.below(3)
        for person in 0..<watched {
            // Ends with the last passes of time, some milliseconds after the first.
            let time = plan.times.start - Int64(plan.random.below(UInt64(4)))
            plan.ingest(
                client: 0, at: UInt64(person),
                [plan.event([plan.cookie(person)], at: 0, time: time)])
        }
        let first = plan.times.passes.first?.at ?? 0
        let percent = min(90, first / max(1, plan.times.end / 100))
        for at in plan.moments(max(2, count - watched), from: percent, to: 100) {
            let client = plan.random.below(clients)
            if plan.random.oneIn(8) {
                // Somebody else, who brings log time on in one of the groups.
                let other = plan.cookie(100 + plan.random.below(20))
                plan.ingest(client: client, at: at, [plan.event([other], at: at)])
            } else {
                plan.get(client: client, at: at, plan.cookie(plan.random.below(watched)))
            }
        }
    }
}

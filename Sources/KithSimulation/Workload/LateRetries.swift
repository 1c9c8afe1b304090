/// Batches that are sent again hours later under the same message ids, when their profiles have
/// been merged away.
struct LateRetries: Workload {
    static let name = "retries"
    static let help = "whole batches again, hours later and through other nodes, within a day"
    static let passing = WorkloadTimes.Passing.hours

    private let clients: Int

    init(_ plan: inout PlanWriter) { clients = 2 + plan.random.below(4) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        var sent: [[PlannedEvent]] = []
        for at in plan.moments(count) {
            let client = plan.random.below(clients)
            let person = plan.random.below(5)
            if !sent.isEmpty, plan.random.oneIn(3) {
                var again = plan.pick(sent)
                if plan.random.oneIn(3) { again += plan.pick(sent) }
                if plan.random.oneIn(3) { again.shuffle(using: &plan.random) }
                plan.ingest(client: client, at: at, again)
                continue
            }
            if plan.random.oneIn(8) {
                plan.get(client: client, at: at, plan.cookie(person))
                continue
            }
            let size = 1 + plan.random.below(4)
            let events = (0..<size).map { _ in
                switch plan.random.below(5) {
                case 0: plan.event([plan.user(person), plan.cookie(person)], at: at)
                case 1: plan.event([plan.cookie(person), plan.device(person)], at: at)
                case 2: plan.event([plan.device(person)], at: at)
                case 3: plan.event([plan.user(person)], at: at, kind: .page)
                default: plan.event([plan.cookie(person)], at: at)
                }
            }
            sent.append(events)
            plan.ingest(client: client, at: at, events)
        }
    }
}

/// Events of long ago that name identifiers which have been merged away since, or have expired.
struct LateEvents: Workload {
    static let name = "late"
    static let help = "events of days and months ago for merged and expired identifiers"
    static let passing = WorkloadTimes.Passing.retention

    private let clients: Int

    init(_ plan: inout PlanWriter) { clients = 1 + plan.random.below(5) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        let retention = plan.times.retention
        for at in plan.moments(count) {
            let client = plan.random.below(clients)
            let person = plan.random.below(6)
            let wall = plan.times.wall(at)
            let ages: [Int64] = [
                0, 1_000, 86_400_000, retention / 2, retention - 1, retention, retention + 1,
                retention * 3,
            ]
            let time = wall - plan.pick(ages)
            switch plan.random.below(9) {
            case 0: plan.get(client: client, at: at, plan.cookie(person))
            case 1: plan.get(client: client, at: at, plan.user(person))
            case 2, 3:
                plan.ingest(
                    client: client, at: at,
                    [plan.event([plan.user(person), plan.cookie(person)], at: at, time: time)])
            case 4:
                plan.ingest(
                    client: client, at: at,
                    [plan.event([plan.cookie(person), plan.device(person)], at: at, time: time)])
            case 5:
                plan.ingest(
                    client: client, at: at,
                    [
                        plan.event(
                            [plan.email(person), plan.device(person + 50)], at: at, time: time)
                    ])
            case 6:
                plan.ingest(
                    client: client, at: at, [plan.event([plan.device(person)], at: at, time: time)])
            default:
                plan.ingest(
                    client: client, at: at, [plan.event([plan.cookie(person)], at: at, time: time)])
            }
        }
    }
}

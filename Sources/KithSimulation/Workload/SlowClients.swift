/// Clients that ask much at once and read nothing, beside some that behave.
struct SlowClients: Workload {
    static let name = "slow"
    static let help = "clients that stop reading their answers, beside clients that wait for theirs"

    private let clients: Int
    private var hasFlooded = false

    init(_ plan: inout PlanWriter) { clients = 1 + plan.random.below(4) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        for at in plan.moments(count) {
            let person = plan.random.below(5)
            if plan.random.oneIn(6) {
                // Now and then more than a node's buffer takes of answers.
                let isFlood = !hasFlooded && plan.random.oneIn(8)
                if isFlood { hasFlooded = true }
                plan.act(
                    client: clients + plan.random.below(3), at: at,
                    .stall(
                        requests: isFlood ? 6_000 : 1 + plan.random.below(300),
                        nanoseconds: 1_000_000 + plan.random.below(UInt64(5_000_000_000))))
                continue
            }
            let client = plan.random.below(clients)
            if plan.random.oneIn(4) {
                plan.get(client: client, at: at, plan.cookie(person))
                if plan.random.oneIn(3) { plan.act(client: client, at: at, .stats) }
            } else {
                plan.ingest(
                    client: client, at: at,
                    [
                        plan.event([plan.cookie(person)], at: at),
                        plan.event([plan.user(person), plan.cookie(person)], at: at),
                    ])
            }
        }
    }
}

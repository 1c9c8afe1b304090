/// One tablet, many members who log in on it one after another.
struct ShopTablet: Workload {
    static let name = "tablet"
    static let help = "one device on which many accounts log in, with cookies of their own or not"

    private let clients: Int

    init(_ plan: inout PlanWriter) { clients = 1 + plan.random.below(5) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        let tablet = plan.device(0)
        let members = 2 + count / 3
        for (turn, at) in plan.moments(count).enumerated() {
            let member = turn * members / max(1, count)
            let client = plan.random.below(clients)
            let events: [PlannedEvent] =
                switch plan.random.below(8) {
                case 0: [plan.event([tablet], at: at)]
                case 1: [plan.event([plan.cookie(member), tablet], at: at)]
                case 2:
                    [
                        plan.event([plan.user(member), tablet], at: at, kind: .identify),
                        plan.event([tablet], at: at),
                    ]
                case 3: [plan.event([plan.user(member), plan.cookie(member), tablet], at: at)]
                default: [plan.event([plan.user(member), tablet], at: at)]
                }
            plan.ingest(client: client, at: at, events)
            if plan.random.oneIn(8) {
                plan.get(client: client, at: at, tablet, isQuarantine: plan.random.oneIn(2))
            }
        }
    }
}

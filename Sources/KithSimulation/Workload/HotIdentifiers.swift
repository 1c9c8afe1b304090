/// One identifier that many clients write at once, while it is being linked.
struct HotIdentifiers: Workload {
    static let name = "hot"
    static let help = "one identifier under fire from many clients while links move it about"

    private let clients: Int

    init(_ plan: inout PlanWriter) { clients = 4 + plan.random.below(8) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        let hot = plan.cookie(0)
        for at in plan.moments(count) {
            let client = plan.random.below(clients)
            switch plan.random.below(12) {
            case 0: plan.get(client: client, at: at, hot)
            case 1:
                let other = plan.cookie(1 + plan.random.below(8))
                plan.ingest(client: client, at: at, [plan.event([hot, other], at: at)])
            case 2:
                plan.ingest(client: client, at: at, [plan.event([plan.user(0), hot], at: at)])
            case 3:
                plan.ingest(
                    client: client, at: at,
                    [plan.event([plan.cookie(1 + plan.random.below(8))], at: at)])
            default:
                let events = (0..<(1 + plan.random.below(4))).map { _ in plan.event([hot], at: at) }
                plan.ingest(client: client, at: at, events)
            }
        }
    }
}

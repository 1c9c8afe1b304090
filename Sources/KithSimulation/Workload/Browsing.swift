/// Visitors of a site, few of them often and most of them seldom (Zipf), some of whom log in.
struct Browsing: Workload {
    static let name = "browsing"
    static let help = "Zipf-distributed visitors who look at pages, log in and are looked up"

    private let visitors: Int
    private let clients: Int

    init(_ plan: inout PlanWriter) {
        visitors = 3 + plan.random.below(30)
        clients = 1 + plan.random.below(6)
    }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        for at in plan.moments(count) {
            let visitor = zipf(&plan.random)
            let client = plan.random.below(clients)
            let cookie = plan.cookie(visitor * 2 + plan.random.below(2))
            let account = plan.user(visitor)
            switch plan.random.below(10) {
            case 0: plan.get(client: client, at: at, plan.random.oneIn(2) ? cookie : account)
            case 1:
                plan.ingest(
                    client: client, at: at,
                    [
                        plan.event(
                            [account, cookie], at: at, kind: .identify, traits: [("plan", "v\(at)")]
                        )
                    ])
            case 2: plan.ingest(client: client, at: at, [plan.event([account], at: at)])
            case 3:
                plan.ingest(
                    client: client, at: at,
                    [plan.event([account, plan.email(visitor), cookie], at: at)])
            default:
                let events = (0..<(1 + plan.random.below(3))).map { _ in
                    plan.event([cookie], at: at, kind: plan.pick([.track, .track, .track, .page]))
                }
                plan.ingest(client: client, at: at, events)
            }
        }
    }

    /// The visitor whose turn it is: number k about k times as seldom as the first.
    private func zipf(_ random: inout Xoshiro256) -> Int {
        let whole = (1...visitors).reduce(0.0) { $0 + 1 / Double($1) }
        var left = whole * Double(random.below(UInt64(1) << 32)) / Double(UInt64(1) << 32)
        for visitor in 1...visitors {
            left -= 1 / Double(visitor)
            if left < 0 { return visitor - 1 }
        }
        return 0
    }
}

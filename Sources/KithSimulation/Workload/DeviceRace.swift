/// Two accounts that claim one device, a cookie or both, at once and again later; the device writes
/// on its own meanwhile, for its owner, for nobody, or for its quarantine.
struct DeviceRace: Workload {
    static let name = "race"
    static let help = "accounts that race for one device, which is contested from then on"

    private let clients: Int
    private var device = 0

    init(_ plan: inout PlanWriter) { clients = 2 + plan.random.below(6) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        var left = count
        while left > 0 {
            let steps = min(left, 6 + plan.random.below(20))
            race(steps, &plan)
            left -= steps
            device += 1
        }
    }

    private func race(_ count: Int, _ plan: inout PlanWriter) {
        let shared = plan.random.oneIn(2) ? plan.cookie(device) : plan.device(device)
        let other = plan.device(device + 500)
        let accounts = (0..<(2 + plan.random.below(2))).map { plan.user(device * 4 + $0) }
        let begin = UInt64(plan.random.below(80))
        for at in plan.moments(count, from: begin, to: begin + 20) {
            let account = plan.pick(accounts)
            let event =
                switch plan.random.below(12) {
                case 0...3: plan.event([account, shared], at: at)
                case 4: plan.event([account, other], at: at)
                case 5: plan.event([shared, other], at: at)
                case 6: plan.event([account, shared, other], at: at, kind: .identify)
                case 7: plan.event([account, plan.email(device)], at: at)
                case 8: plan.event([plan.email(device), shared], at: at)
                case 9: plan.event([other], at: at)
                case 10 where plan.random.oneIn(3):
                    // The person behind one account says who the other one is.
                    plan.alias(accounts[0].value, to: accounts[1], at: at)
                default: plan.event([shared], at: at)
                }
            let client = plan.random.below(clients)
            plan.ingest(client: client, at: at, [event])
            if plan.random.oneIn(4) {
                plan.ingest(client: plan.random.below(clients), at: at, [event])
            }
            if plan.random.oneIn(6) {
                plan.get(
                    client: client, at: at, plan.random.oneIn(2) ? shared : account,
                    isQuarantine: plan.random.oneIn(2))
            }
        }
    }
}

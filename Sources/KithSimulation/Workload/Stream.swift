/// Connections that send batch upon batch without waiting for an answer, each about persons of its
/// own: visits, log-ins, log-outs and devices that change hands, so close that the next batch comes
/// while links of those before still travel. What comes of it is a matter of order alone.
struct Stream: Workload {
    static let name = "stream"
    static let help = "connections that do not wait for answers, each about persons of its own"

    private let clients: Int
    private let persons: Int

    init(_ plan: inout PlanWriter) {
        clients = 1 + plan.random.below(4)
        persons = 1 + plan.random.below(6)
    }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        var left = count
        var turn = 0
        while left > 0 {
            // A new set of persons each time, since all that can happen to one happens soon.
            let steps = min(left, 4 + plan.random.below(12))
            let client = plan.random.below(clients)
            let from = UInt64(plan.random.below(95))
            for at in plan.moments(steps, from: from, to: from + 1 + UInt64(plan.random.below(5))) {
                let events = (0..<(1 + plan.random.below(4))).map { _ in
                    event(turn * 10 + plan.random.below(persons), at, &plan)
                }
                plan.ingest(client: client, at: at, events, isHasty: !plan.random.oneIn(16))
                if plan.random.oneIn(12) {
                    plan.get(client: clients, at: at, plan.cookie(turn * 10))
                }
            }
            left -= steps
            turn += 1
        }
    }

    private func event(
        _ person: Int, _ at: UInt64, _ plan: inout PlanWriter
    ) -> PlannedEvent {
        let account = plan.user(person * 3 + plan.random.below(3))
        let (cookie, device) = (plan.cookie(person), plan.device(person))
        return switch plan.random.below(12) {
        case 0, 1: plan.event([cookie], at: at)
        case 2: plan.event([device], at: at)
        case 3: plan.event([cookie, device], at: at)
        case 4, 5: plan.event([plan.user(person * 3), cookie], at: at, kind: .identify)
        case 6, 7: plan.event([account, cookie], at: at)
        case 8: plan.event([account, device], at: at)
        case 9: plan.event([account, plan.email(person)], at: at)
        case 10: plan.event([plan.email(person), cookie], at: at)
        default: plan.event([account], at: at)
        }
    }
}

/// History that is loaded in big batches, old times and many persons a batch, while the same
/// persons are live.
struct Import: Workload {
    static let name = "import"
    static let help = "big batches of years ago beside live traffic of the same persons"

    private let people: Int

    init(_ plan: inout PlanWriter) { people = 5 + plan.random.below(40) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        let batches = max(1, count / 5)
        for at in plan.moments(batches) {
            let events = (0..<(20 + plan.random.below(120))).map { _ in
                let person = plan.random.below(people)
                let age = 86_400_000 * (1 + Int64(plan.random.below(UInt64(900))))
                let time = plan.times.wall(at) - age
                return switch plan.random.below(6) {
                case 0:
                    plan.event(
                        [plan.user(person), plan.email(person)], at: at, time: time,
                        kind: .identify, traits: [("since", "\(time)")])
                case 1:
                    plan.event(
                        [plan.user(person), plan.cookie(person), plan.device(person)], at: at,
                        time: time)
                case 2 where plan.random.oneIn(4):
                    // Of anonymous ones nothing that old is taken, unless they are members now.
                    plan.event([plan.cookie(person + people)], at: at, time: time)
                default: plan.event([plan.user(person)], at: at, time: time)
                }
            }
            plan.ingest(client: 0, at: at, events)
            if plan.random.oneIn(4) { plan.ingest(client: 1, at: at, events) }
        }
        for at in plan.moments(count - batches) {
            let person = plan.random.below(people)
            let client = 2 + plan.random.below(3)
            if plan.random.oneIn(4) {
                plan.get(client: client, at: at, plan.user(person))
            } else {
                let other = plan.random.oneIn(2) ? plan.cookie(person) : plan.device(person)
                plan.ingest(
                    client: client, at: at,
                    [plan.event([plan.user(person), other], at: at), plan.event([other], at: at)])
            }
        }
    }
}

/// Traits of one person that many set and delete from several identifiers, with times that differ
/// and times that are equal, before and after these are linked.
struct TraitContest: Workload {
    static let name = "traits"
    static let help = "one trait set and deleted from all sides, with equal and different times"

    private let clients: Int
    private var person = 0

    init(_ plan: inout PlanWriter) { clients = 2 + plan.random.below(5) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        var left = count
        while left > 0 {
            let steps = min(left, 8 + plan.random.below(20))
            contest(steps, &plan)
            left -= steps
            person += 1
        }
    }

    private func contest(_ count: Int, _ plan: inout PlanWriter) {
        let sides = [
            plan.user(person), plan.email(person), plan.cookie(person), plan.device(person),
        ]
        let names = ["plan", "city", "", "naïve", "email"]
        for at in plan.moments(count) {
            let wall = plan.times.wall(at)
            // Few times, so that many are equal; the message id decides then.
            let time = wall - Int64(plan.random.below(UInt64(3))) * 1_000
            let client = plan.random.below(clients)
            let side = plan.pick(sides)
            if plan.random.oneIn(8) {
                plan.get(client: client, at: at, side)
                continue
            }
            var named = [side]
            if plan.random.oneIn(3) {
                let other = plan.pick(sides)
                if other != side { named.append(other) }
            }
            let isOfMail = named.contains { $0.namespace == "email" }
            var traits: [(name: String, value: String?)] = []
            for name in names where plan.random.oneIn(2) {
                // As a trait a valid address names somebody, so this one is none.
                if name == "email" {
                    if !isOfMail {
                        traits.append((name, plan.random.oneIn(3) ? nil : "no address"))
                    }
                } else {
                    traits.append((name, plan.random.oneIn(4) ? nil : "v\(plan.random.below(9))"))
                }
            }
            let event = plan.event(
                named, at: at, time: time, kind: plan.pick([.track, .identify, .screen, .group]),
                traits: traits)
            plan.ingest(client: client, at: at, [event])
        }
    }
}

/// Several spaces in which the same strings name other persons.
struct SameStrings: Workload {
    static let name = "spaces"
    static let help = "the same identifiers in several spaces, linked differently in each"

    private let spaces: [String]
    private let clients: Int

    init(_ plan: inout PlanWriter) {
        spaces = Array(["default", "shop", "s", "default-2"].prefix(2 + plan.random.below(3)))
        clients = 1 + plan.random.below(5)
    }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        for at in plan.moments(count) {
            let place = plan.random.below(spaces.count)
            plan.space = spaces[place]
            let client = plan.random.below(clients)
            let person = plan.random.below(4)
            // Who is whose differs from space to space.
            let mate = (person + place) % 4
            switch plan.random.below(6) {
            case 0: plan.get(client: client, at: at, plan.cookie(person))
            case 1: plan.get(client: client, at: at, plan.user(mate))
            case 2, 3:
                plan.ingest(
                    client: client, at: at,
                    [
                        plan.event(
                            [plan.user(mate), plan.cookie(person)], at: at,
                            traits: [("space", spaces[place])])
                    ])
            default:
                plan.ingest(client: client, at: at, [plan.event([plan.cookie(person)], at: at)])
            }
        }
        plan.space = "default"
    }
}

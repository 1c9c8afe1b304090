/// Accounts and cookies joined by aliases in a chain, in all orders and from all sides.
struct AliasChain: Workload {
    static let name = "alias"
    static let help = "aliases a to b, b to c, c to d at once and in every order"

    private let clients: Int
    private var chain = 0

    init(_ plan: inout PlanWriter) { clients = 2 + plan.random.below(5) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        var left = count
        while left > 0 {
            let length = 2 + plan.random.below(5)
            link(length, &plan)
            left -= length * 2
            chain += 1
        }
    }

    private func link(_ length: Int, _ plan: inout PlanWriter) {
        let users = (0...length).map { plan.user(chain * 10 + $0) }
        let begin = UInt64(plan.random.below(70))
        // Of a branch one former name goes to two persons, who race for its cookie.
        let isBranch = plan.random.oneIn(6)
        var links = (0..<length).map { (users[$0].value, users[$0 + 1]) }
        if isBranch { links.append((users[0].value, users[length])) }
        if plan.random.oneIn(3) {
            // A cookie of that name has been seen; its person is the user.
            links.append((plan.cookie(chain).value, users[0]))
        }
        links.shuffle(using: &plan.random)
        let isBurst = plan.random.oneIn(2)
        for (at, link) in zip(
            plan.moments(links.count, from: begin, to: begin + (isBurst ? 1 : 30)), links)
        {
            plan.ingest(
                client: plan.random.below(clients), at: at,
                [plan.alias(link.0, to: link.1, at: at)])
        }
        for at in plan.moments(length, from: begin, to: begin + 30) {
            let client = plan.random.below(clients)
            switch plan.random.below(4) {
            case 0: plan.get(client: client, at: at, plan.pick(users))
            case 1:
                plan.ingest(client: client, at: at, [plan.event([plan.cookie(chain)], at: at)])
            default:
                let user = plan.pick(users)
                plan.ingest(
                    client: client, at: at,
                    [
                        plan.event(
                            [user, plan.device(chain * 10)], at: at, traits: [("u", user.value)])
                    ]
                    .filter { _ in !plan.random.oneIn(3) }
                        + [plan.event([user], at: at, traits: [("plan", "v\(at)")])])
            }
        }
    }
}

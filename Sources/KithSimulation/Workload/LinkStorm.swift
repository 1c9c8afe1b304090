/// Identifiers that links join in a shape, all at once and in an order made to hurt: every link
/// finds roots that others are moving.
struct LinkStorm: Workload {
    static let name = "storm"
    static let help =
        "links as stars, chains, cliques and cycles, in the worst orders, from all sides"

    /// How the links of one person lie.
    enum Shape: CaseIterable { case star, chain, clique, cycle, tree }
    /// In which order they are sent.
    enum Order: CaseIterable { case forward, backward, endsFirst, shuffled }

    private let clients: Int
    private var persons = 0

    init(_ plan: inout PlanWriter) { clients = 2 + plan.random.below(8) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        var left = count
        while left > 0 {
            left -= person(most: left, &plan)
            persons += 1
        }
    }

    /// One person's storm; gives the number of its steps.
    private func person(most: Int, _ plan: inout PlanWriter) -> Int {
        let size = 3 + plan.random.below(10)
        let nodes = (0..<size).map { plan.cookie(persons * 100 + $0) }
        var links = Self.links(plan.pick(Shape.allCases), size)
        order(&links, plan.pick(Order.allCases), &plan.random)
        links = Array(links.prefix(max(1, most)))
        let account = plan.random.oneIn(2) ? plan.user(persons) : nil
        let hasEvents = plan.random.oneIn(2)
        var steps = 0
        let begin = UInt64(plan.random.below(60))
        if hasEvents {
            for (at, node) in zip(plan.moments(size, from: begin, to: begin + 10), nodes) {
                plan.ingest(
                    client: plan.random.below(clients), at: at,
                    [plan.event([node], at: at, traits: [("seen", node.value)])])
                steps += 1
            }
        }
        // In one plan of two all links are sent in the same millisecond.
        let burst = plan.random.oneIn(2) ? begin + 11 : begin + 40
        for (at, link) in zip(plan.moments(links.count, from: begin + 10, to: burst), links) {
            let event = plan.event([nodes[link.0], nodes[link.1]], at: at)
            plan.ingest(client: plan.random.below(clients), at: at, [event])
            steps += 1
            if plan.random.oneIn(6) {
                plan.get(client: plan.random.below(clients), at: at, plan.pick(nodes))
                steps += 1
            }
        }
        if let account {
            let at = plan.moments(1, from: begin, to: begin + 40)[0]
            plan.ingest(
                client: plan.random.below(clients), at: at,
                [plan.event([account, plan.pick(nodes)], at: at, kind: .identify)])
            steps += 1
        }
        return max(1, steps)
    }

    /// Pairs of places.
    private static func links(_ shape: Shape, _ size: Int) -> [(Int, Int)] {
        switch shape {
        case .star: (1..<size).map { (0, $0) }
        case .chain: (1..<size).map { ($0 - 1, $0) }
        case .cycle: (0..<size).map { ($0, ($0 + 1) % size) }
        case .tree: (1..<size).map { (($0 - 1) / 2, $0) }
        case .clique: (0..<size).flatMap { one in (0..<one).map { (one, $0) } }
        }
    }

    private func order(
        _ links: inout [(Int, Int)], _ order: Order, _ random: inout Xoshiro256
    ) {
        switch order {
        case .forward: break
        case .backward: links.reverse()
        case .endsFirst:
            links = links.indices.map {
                $0 % 2 == 0 ? links[$0 / 2] : links[links.count - 1 - $0 / 2]
            }
        case .shuffled: links.shuffle(using: &random)
        }
    }
}

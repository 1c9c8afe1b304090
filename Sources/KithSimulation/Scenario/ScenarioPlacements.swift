/// Which seeds put the identifiers of a scenario on which nodes.
///
/// A seed draws the hash key, which says where identifiers live. Of a story about few identifiers
/// every assignment of nodes to them can be had; of one about more, those of the first two, and
/// some more seeds for the rest.
enum ScenarioPlacements {
    /// As many identifiers are placed in every way.
    private static let placedInEveryWay = 3
    /// Seeds beside those that place the first two, where there are more identifiers than that.
    private static let furtherSeeds = 12
    /// Far above what any assignment has needed; names that are one identifier never part.
    private static let seedsTried: UInt64 = 4_000

    /// The first seeds that together give every assignment, in their order.
    public static func seeds(of scenario: Scenario, nodes: Int, groups: Int) -> [UInt64] {
        let hasFew = homes(of: scenario, .max, nodes, groups, seed: 0).count <= placedInEveryWay
        let placed = hasFew ? placedInEveryWay : 2
        var seen: Set<[Int]> = []
        var seeds: [UInt64] = []
        var further = hasFew ? 0 : furtherSeeds
        for seed in 1...seedsTried {
            let homes = homes(of: scenario, placed, nodes, groups, seed: seed)
            let waysLeft = (0..<homes.count).reduce(1) { ways, _ in ways * nodes } - seen.count
            if seen.insert(homes).inserted {
                seeds.append(seed)
            } else if further > 0 {
                further -= 1
                seeds.append(seed)
            } else if waysLeft == 0 {
                break
            }
        }
        return seeds
    }

    /// The nodes of the first identifiers that the scenario names.
    private static func homes(
        of scenario: Scenario, _ count: Int, _ nodes: Int, _ groups: Int, seed: UInt64
    ) -> [Int] {
        var settings = ClusterSettings(seed: seed)
        settings.nodeCount = nodes
        settings.groups = groups
        settings.identity = scenario.rules
        var homes: [Int] = []
        for mention in scenario.mentioned {
            if homes.count == count { break }
            let (identifier, space) = (mention.identifier, mention.space)
            if let home = settings.home(of: identifier.namespace, identifier.value, space: space) {
                homes.append(home)
            }
        }
        return homes
    }
}

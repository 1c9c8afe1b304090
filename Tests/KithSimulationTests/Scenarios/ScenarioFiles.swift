import Foundation

@testable import KithSimulation

/// The scenario files beside the tests, and what the environment asks of them.
///
///     KITH_SCENARIO     only files whose name contains this
///     KITH_SEED         the first seed (default 1)
///     KITH_SEEDS        seeds a placement (default 2)
///     KITH_PLACEMENTS   numbers of groups, comma-separated (default 1,2,4,7)
///     KITH_NODES        nodes (default 1, 3 and 5); with KITH_SEED just that seed
///     KITH_EVERYWHERE   1 for every placement on several nodes, not a share of them
///     KITH_VARIANT      only this naming and order
enum ScenarioFiles {
    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Scenarios")

    static let environment = ProcessInfo.processInfo.environment

    /// All file names, sorted.
    static let all: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
        return names.filter { $0.hasSuffix(".scenario") }.sorted()
    }()

    /// Those to run.
    static var chosen: [String] {
        guard let part = environment["KITH_SCENARIO"] else { return all }
        return all.filter { $0.contains(part) }
    }

    static func load(_ name: String) throws -> Scenario {
        let text = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
        return try ScenarioParser.parse(text, file: "Tests/Scenarios/\(name)")
    }

    static var placements: [Int] {
        guard let text = environment["KITH_PLACEMENTS"] else { return [1, 2, 4, 7] }
        return text.split(separator: ",").compactMap { Int($0) }
    }

    static var seeds: Range<UInt64> {
        let first = environment["KITH_SEED"].flatMap { UInt64($0) }
        let count = environment["KITH_SEEDS"].flatMap { UInt64($0) } ?? (first == nil ? 2 : 1)
        return (first ?? 1)..<((first ?? 1) + count)
    }

    static func variants(of scenario: Scenario) -> [Int] {
        if let only = environment["KITH_VARIANT"].flatMap({ Int($0) }) { return [only] }
        return Array(0..<scenario.variantCount)
    }

    /// Whether runs with that many nodes are asked for.
    static func wants(_ isWanted: (Int) -> Bool) -> Bool {
        environment["KITH_NODES"].flatMap { Int($0) }.map(isWanted) ?? true
    }

    /// The runs of a scenario on several nodes: every placement of its identifiers, each with some
    /// order and naming; with `KITH_EVERYWHERE` each with every one.
    static func clusterRuns(of scenario: Scenario) -> [ScenarioRun] {
        let only = environment["KITH_NODES"].flatMap { Int($0) }
        let variants = variants(of: scenario)
        if environment["KITH_SEED"] != nil {
            return seeds.flatMap { seed in
                placements.flatMap { groups in
                    variants.map {
                        ScenarioRun(seed: seed, groups: groups, nodes: only ?? 3, variant: $0)
                    }
                }
            }
        }
        let isEverywhere = environment["KITH_EVERYWHERE"] == "1"
        var runs: [ScenarioRun] = []
        for (nodes, groups, share) in [(3, 3, 1), (3, 7, 9), (5, 5, 25)]
        where only == nil || only == nodes {
            let seeds = ScenarioPlacements.seeds(of: scenario, nodes: nodes, groups: groups)
            let all = seeds.count * variants.count
            let count = isEverywhere ? all : max(seeds.count, min(variants.count, variantsShown))
            for turn in stride(from: 0, to: count, by: isEverywhere ? 1 : share) {
                // Each seed in turn, each time with the variants a little further on.
                let variant = isEverywhere ? turn / seeds.count : turn * Self.variantStride
                runs.append(
                    ScenarioRun(
                        seed: seeds[turn % seeds.count], groups: groups, nodes: nodes,
                        variant: variants[variant % variants.count]))
            }
        }
        return runs
    }

    /// Orders and namings of a file that are run even where there are fewer placements.
    private static let variantsShown = 24
    /// Prime to the numbers of orders and namings, so that all of them have their turn.
    private static let variantStride = 7
}

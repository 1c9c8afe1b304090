import Testing

@testable import KithSimulation

/// Every case of the identity contract, over several placements of its identifiers and several
/// orders of everything that has no order.
@Suite struct ScenarioFileTests {
    @Test(.enabled(if: ScenarioFiles.wants { $0 == 1 }), arguments: ScenarioFiles.chosen)
    func `the story holds`(_ name: String) throws {
        let scenario = try ScenarioFiles.load(name)
        // A file with many orders meets many schedules with few seeds and placements.
        let hasManyOrders = scenario.variantCount > 30
        for groups in ScenarioFiles.placements.suffix(hasManyOrders ? 2 : .max) {
            for seed in ScenarioFiles.seeds.prefix(hasManyOrders ? 1 : .max) {
                // A seed places the identifiers; each number of groups gets placements of its own.
                let seed =
                    ScenarioFiles.environment["KITH_SEED"] == nil
                    ? seed &* 1000 &+ UInt64(groups) : seed
                let profiles = try runVariants(of: scenario, seed: seed, groups: groups)
                guard scenario.naming.isEmpty, let first = profiles.first else { continue }
                #expect(
                    profiles.allSatisfy { $0 == first },
                    "\(name): profiles depend on the order, seed \(seed), \(groups) groups")
            }
        }
    }

    @Test(.enabled(if: ScenarioFiles.wants { $0 > 1 }), arguments: ScenarioFiles.chosen)
    func `the story holds on several nodes, and each of them tells it`(_ name: String) throws {
        let scenario = try ScenarioFiles.load(name)
        var profiles: [UInt64: [[UInt8]?]] = [:]
        var failed = 0
        for run in ScenarioFiles.clusterRuns(of: scenario) {
            do {
                let found = try ScenarioRunner.run(scenario, run).profiles
                guard scenario.naming.isEmpty, run.nodes == 3, run.groups == 3 else { continue }
                #expect(
                    profiles.updateValue(found, forKey: run.seed) ?? found == found,
                    "\(name): profiles depend on the order, \(run.command(file: name))")
            } catch {
                Issue.record("\(error)")
                failed += 1
                if failed == 3 { return }
            }
        }
    }

    private func runVariants(
        of scenario: Scenario, seed: UInt64, groups: Int
    ) throws -> [[[UInt8]?]] {
        var profiles: [[[UInt8]?]] = []
        for variant in ScenarioFiles.variants(of: scenario) {
            let run = ScenarioRun(seed: seed, groups: groups, variant: variant)
            do {
                profiles.append(try ScenarioRunner.run(scenario, run).profiles)
            } catch {
                Issue.record("\(error)")
                return []
            }
        }
        return profiles
    }
}

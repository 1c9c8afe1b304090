import KithBytes
import KithCore
import KithWire
import Testing

@testable import KithSimulation

/// The checkers against a store that is trivially right, and against what it says, spoilt.
@Suite struct CheckerPropertyTests {
    private static func run(
        _ seed: UInt64, _ names: [String]? = nil, steps: Int = 80
    ) -> SimpleRun {
        var settings = ClusterSettings(seed: seed)
        if seed % 5 == 0 { settings.identity.sharedDevice = .first }
        if seed % 7 == 0 { settings.identity.alias = .refuse }
        var generator = WorkloadGenerator(seed: seed, settings: settings, steps: steps)
        generator.names = names
        return SimpleRun(generator.plan(), settings, seed: seed)
    }

    @Test(arguments: 1...150 as ClosedRange<UInt64>)
    func `a store that is right breaks no rule`(seed: UInt64) {
        let violations = Self.run(seed).violations()
        #expect(violations.isEmpty, "seed \(seed): \(violations.prefix(5))")
    }

    @Test(arguments: WorkloadGenerator.list.map(\.name), 1...8 as ClosedRange<UInt64>)
    func `no workload alone breaks a rule of a store that is right`(name: String, seed: UInt64) {
        let violations = Self.run(seed, [name]).violations()
        #expect(violations.isEmpty, "seed \(seed), \(name): \(violations.prefix(5))")
    }

    /// Ways to spoil what a cluster says in the end.
    enum Damage: CaseIterable {
        case lostCount, doubledCount, lostEvent, otherFirstSeen, otherLastSeen, lostTrait
        case changedTrait, lostIdentifier, strangeIdentifier, contested, lostProfile
        case swappedProfile, otherID, onNodeOnly, otherTotal, expiry
    }

    @Test(arguments: Damage.allCases, 1...30 as ClosedRange<UInt64>)
    func `whatever is spoilt in what a right store says is noticed`(damage: Damage, seed: UInt64) {
        var run = Self.run(seed, ["browsing", "hot", "storm", "traits", "spaces", "import"])
        var random = Xoshiro256(seed: seed, label: "damage")
        let profiles = run.profiles
        // Where time passes, some of what is spoilt may have been so.
        let passes = run.work.steps.contains { if case .pass = $0.action { true } else { false } }
        guard profiles.count > 1, !passes else { return }
        let profile = profiles[random.below(profiles.count)]
        var isDone = true
        switch damage {
        case .lostCount, .doubledCount, .lostEvent:
            let place = random.below(profile.events.count)
            run.change(profile.id) {
                switch damage {
                case .lostEvent: $0.eventsTotal -= $0.events.remove(at: place).count
                case .lostCount:
                    $0.events[place].count -= 1
                    $0.eventsTotal -= 1
                default:
                    $0.events[place].count += 1
                    $0.eventsTotal += 1
                }
            }
        case .otherFirstSeen: run.change(profile.id) { $0.firstSeen -= 1 }
        case .otherLastSeen: run.change(profile.id) { $0.lastSeen += 1 }
        case .lostTrait, .changedTrait:
            isDone = !profile.traits.isEmpty
            guard isDone else { break }
            let place = random.below(profile.traits.count)
            run.change(profile.id) {
                if damage == .lostTrait {
                    $0.traits.remove(at: place)
                } else {
                    $0.traits[place].value = [0x61, 0x21]
                }
            }
            // Of a mark only the name is looked at.
            if damage == .changedTrait, profile.traits[place].name.hasPrefix("e") { return }
        case .lostIdentifier:
            isDone = !profile.identifiers.isEmpty
            guard isDone else { break }
            let place = random.below(profile.identifiers.count)
            run.change(profile.id) { $0.identifiers.remove(at: place) }
        case .strangeIdentifier:
            let stranger = Profile.Identifier(
                identifierClass: .anonymous, namespace: "anonymous_id", value: "nobody",
                isContested: false)
            run.change(profile.id) { $0.identifiers.append(stranger) }
        case .contested:
            isDone = !profile.identifiers.isEmpty
            guard isDone else { break }
            run.change(profile.id) { $0.identifiers[0].isContested = true }
        case .lostProfile:
            for place in run.final.profiles.indices
            where run.final.profiles[place].answers[0]?.id == profile.id {
                run.final.profiles[place].answers = [nil, nil, nil]
                break
            }
        case .swappedProfile:
            let other = profiles.first { $0.id != profile.id }
            for place in run.final.profiles.indices
            where run.final.profiles[place].answers[0]?.id == profile.id {
                run.final.profiles[place].answers = [other, other, other]
                break
            }
        case .otherID:
            run.change(profile.id) {
                $0.id = LeafID(high: $0.id.high, low: $0.id.low ^ 1)
            }
        case .onNodeOnly:
            for place in run.final.profiles.indices
            where run.final.profiles[place].answers[0]?.id == profile.id {
                run.final.profiles[place].answers[2]?.eventsTotal += 1
            }
        case .otherTotal:
            for node in run.final.totals.indices {
                run.final.totals[node] = ["events": ["accepted": 1]]
            }
        case .expiry:
            run.change(profile.id) {
                $0.expiresAt = $0.expiresAt.map { $0 + 1 } ?? $0.lastSeen
            }
        }
        guard isDone else { return }
        #expect(!run.violations().isEmpty, "seed \(seed), \(damage) of \(profile.identifiers)")
    }
}

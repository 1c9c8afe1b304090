internal import KithBytes

/// Mixes workloads into a plan by a seed.
public struct WorkloadGenerator {
    private let seed: UInt64
    private let settings: ClusterSettings
    private let steps: Int
    /// Names of the workloads to mix; nil for all.
    public var names: [String]?
    /// How many to mix; nil for what the seed says.
    public var count: Int?
    /// When the last step is due, in nanoseconds; nil for what the seed says.
    public var end: UInt64?
    /// Whether wall clocks can be made to jump forward. Real ones cannot: then anonymous profiles
    /// end in mid-plan because they began so long ago, and no plan lasts for hours.
    public var hasJumps = true
    /// Steps a second of virtual time, evenly spread; nil for what the seed says.
    public var rate: Int?

    /// Plans of about so many steps.
    public init(seed: UInt64, settings: ClusterSettings, steps: Int) {
        self.seed = seed
        self.settings = settings
        self.steps = max(1, steps)
    }

    /// All that there are.
    static var all: [any Workload.Type] {
        [
            Browsing.self, HotIdentifiers.self, LinkStorm.self, DeviceRace.self, ShopTablet.self,
            AliasChain.self, LateRetries.self, LateEvents.self, ExpiryRace.self,
            HostileInput.self, SlowClients.self, Import.self, SameStrings.self, TraitContest.self,
            Stream.self, Watch.self,
        ]
    }

    /// Name and help of every workload.
    public static var list: [(name: String, help: String)] { all.map { ($0.name, $0.help) } }

    /// The plan of the seed.
    public mutating func plan() -> PlannedWork {
        var random = Xoshiro256(seed: seed, label: "workloads")
        let known = Self.all.filter { names?.contains($0.name) ?? true }
        var chosen: [any Workload.Type] = []
        let mixed = 1 + random.below(4)
        for _ in 0..<(count ?? mixed) where !known.isEmpty {
            chosen.append(known[random.below(known.count)])
        }
        // Whoever else writes brings log time on, and hides what watching is there for.
        var alone = Xoshiro256(seed: seed, label: "alone")
        if names == nil, count == nil, alone.oneIn(16) { chosen = [Watch.self] }
        var passing = chosen.map { $0.passing }.max() ?? .anything
        if passing == .anything, random.oneIn(4) { passing = .hours }
        if !hasJumps { passing = .anything }
        // Of one step a millisecond, or of ten, or one in ten.
        let drawn: UInt64 = [100_000, 1_000_000, 1_000_000, 10_000_000][random.below(4)]
        let density = rate.map { 1_000_000_000 / UInt64($0) } ?? drawn
        let times = WorkloadTimes(
            passing, end: end ?? UInt64(steps) * density + 1_000, start: settings.start.rawValue,
            retention: Int64(settings.anonymousDays) * 86_400_000, &random)
        var plan = PlanWriter(
            settings: settings, times: times, random: Xoshiro256(seed: seed, label: "steps"))
        plan.isEven = rate != nil
        for (place, type) in chosen.enumerated() {
            plan.begin("w\(place)")
            var workload = type.init(&plan)
            workload.steps(count: max(1, steps / chosen.count), into: &plan)
        }
        return plan.plan()
    }
}

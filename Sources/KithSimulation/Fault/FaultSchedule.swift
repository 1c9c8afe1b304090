// Which faults happen in a run. Each kind is switched off in about half of all runs, so that some
// runs have a lot of few kinds: what hides behind a crash is found in runs without crashes.
//
// Most faults fall shortly after a step of the work, where something is under way; the rest fall
// anywhere.

/// The faults of one run, laid out before it begins.
public struct FaultSchedule: Sendable {
    /// Ascending by time.
    public var faults: [Fault]

    /// No faults.
    public static let none = FaultSchedule(faults: [])

    /// Which kinds may be drawn.
    public struct Choice: Sendable {
        /// Only these; nil for all.
        public var only: Set<FaultKind>?
        /// Never these.
        public var without: Set<FaultKind> = []
        /// Also kinds that one copy of the data cannot survive.
        public var isBeyond = false
        /// Only kinds that wait for a merge, where nothing else says which.
        var isMerging = false
        /// Wall clocks go by themselves, so that one may stand still.
        var hasRunningClocks = true
        /// Nodes that lead groups; nil for all.
        var leaders: Int?

        /// All kinds within the budget.
        public init() {}

        func allows(_ kind: FaultKind) -> Bool {
            if without.contains(kind) { return false }
            if let only { return only.contains(kind) }
            return kind.group != .beyond || isBeyond
        }
    }

    /// The kinds that can act in such a run, each as often as it weighs.
    private static func kinds(
        _ choice: Choice, nodeCount: Int, hasPasses: Bool, _ random: inout Xoshiro256
    ) -> [FaultKind] {
        var kinds: [FaultKind] = []
        // Some kinds are drawn by themselves (`besides`), unless only they are wanted.
        for kind in FaultKind.allCases where !kind.isBesides || choice.only != nil {
            let isOn = random.oneIn(2)
            let weight = 1 << random.below(4)
            guard choice.allows(kind), isOn || choice.only != nil else { continue }
            let isMore = kind.group == .time && hasPasses
            kinds += repeatElement(kind, count: isMore ? weight * 4 : weight)
        }
        if choice.isMerging, choice.only == nil {
            kinds = [
                .crashInMerge, .crashInMerge, .crashInMerge, .cutInMerge, .cutInMerge,
                .jumpInMerge, .fullDisk,
            ].filter { choice.allows($0) }
        }
        return kinds.compactMap { kind in
            if kind.needsTwoNodes, nodeCount < 2 { return nil }
            if kind.needsTwoLeaders, choice.leaders ?? nodeCount < 2 { return nil }
            // A clock that stands still anyway is wrong in another way.
            guard kind == .freeze, !choice.hasRunningClocks else { return kind }
            return [.swing, .skew, .drift, .jumpBack, .jumpForward].first { choice.allows($0) }
        }
    }

    /// Faults for a run whose work has steps at these times (nanoseconds, ascending). `number` of
    /// them where that is given, else the seed says how many, and may say none. At `passes` wall
    /// clocks go far ahead: a wrong clock matters most there, so there are more of them.
    package static func drawn(
        seed: UInt64, nodeCount: Int, stepTimes: [UInt64], passes: [UInt64] = [], choice: Choice,
        number: Int? = nil
    ) -> FaultSchedule {
        var random = Xoshiro256(seed: seed, label: "faults")
        // A choice made by hand leaves nothing to chance but number and time.
        let kinds = kinds(choice, nodeCount: nodeCount, hasPasses: !passes.isEmpty, &random)
        let isCalm = random.oneIn(10) && choice.only == nil && number == nil
        let drawnCount =
            choice.isMerging ? 4 + random.below(28) : 1 + random.below(1 << random.below(6))
        let count = number ?? drawnCount
        let damage =
            damage(seed, nodeCount: nodeCount, stepTimes, choice, number: count + 1)
            + besides(seed, nodeCount: nodeCount, stepTimes, choice, number: count + 2)
        guard !kinds.isEmpty, !stepTimes.isEmpty, !isCalm else {
            return FaultSchedule(
                faults: damage.sorted { ($0.at, $0.number) < ($1.at, $1.number) })
        }
        let span = max(1, stepTimes[stepTimes.count - 1])
        var faults: [Fault] = []
        for number in 1...count {
            let kind = kinds[random.below(kinds.count)]
            let times =
                kind.group == .time && !passes.isEmpty && random.oneIn(2) ? passes : stepTimes
            let at =
                random.oneIn(5)
                ? random.below(span)
                : times[random.below(times.count)] + random.logarithmic(1_000...500_000_000)
            let node = 1 + random.below(nodeCount)
            var other = random.below(nodeCount + 1)
            if other == node || kind.needsTwoNodes && other == 0 { other = node % nodeCount + 1 }
            if other == node { other = 0 }
            faults.append(
                Fault(
                    number: number, kind: kind, at: at, node: node, other: other,
                    nanoseconds: duration(of: kind, &random), chance: random.next()))
        }
        faults += damage
        faults.sort { ($0.at, $0.number) < ($1.at, $1.number) }
        return FaultSchedule(faults: faults)
    }

    /// Beyond the budget one damage is certain, late enough that there is something to damage.
    private static func damage(
        _ seed: UInt64, nodeCount: Int, _ stepTimes: [UInt64], _ choice: Choice, number: Int
    ) -> [Fault] {
        var random = Xoshiro256(seed: seed, label: "damage")
        let kinds = FaultKind.allCases.filter { $0.group == .beyond && choice.allows($0) }
        guard choice.isBeyond, choice.only == nil, !kinds.isEmpty, !stepTimes.isEmpty else {
            return []
        }
        let kind = kinds[random.below(kinds.count)]
        let late = stepTimes.suffix((stepTimes.count + 1) / 2)
        let at =
            late[late.startIndex + random.below(late.count)]
            + random.logarithmic(1_000...500_000_000)
        return [
            Fault(
                number: number, kind: kind, at: at, node: 1 + random.below(nodeCount), other: 0,
                nanoseconds: duration(of: kind, &random), chance: random.next())
        ]
    }

    /// Whatever else goes wrong, some clients are deaf in a third of all runs, and in a quarter a
    /// folder is not what it was.
    private static func besides(
        _ seed: UInt64, nodeCount: Int, _ stepTimes: [UInt64], _ choice: Choice, number: Int
    ) -> [Fault] {
        guard choice.only == nil, !stepTimes.isEmpty else { return [] }
        var faults: [Fault] = []
        func add(_ kinds: [FaultKind], _ random: inout Xoshiro256) {
            let kinds = kinds.filter { choice.allows($0) }
            if kinds.isEmpty { return }
            for _ in 0...random.below(3) {
                var at = random.below(max(1, stepTimes[stepTimes.count - 1]))
                let node = 1 + random.below(nodeCount)
                let kind = kinds.count == 1 ? kinds[0] : kinds[random.below(kinds.count)]
                // Early, while there are nodes that hold nothing.
                if kind == .newFolder { at = min(at, stepTimes[stepTimes.count / 16]) }
                faults.append(
                    Fault(
                        number: number + faults.count, kind: kind, at: at, node: node, other: 0,
                        nanoseconds: duration(of: kind, &random), chance: random.next()))
            }
        }
        var deaf = Xoshiro256(seed: seed, label: "deaf")
        if deaf.oneIn(3) { add([.deafClient], &deaf) }
        var folders = Xoshiro256(seed: seed, label: "folders")
        if folders.oneIn(4) { add(FaultKind.allCases.filter { $0.group == .folder }, &folders) }
        return faults
    }

    private static func duration(of kind: FaultKind, _ random: inout Xoshiro256) -> UInt64 {
        switch kind {
        case .pause where random.oneIn(8), .clog where random.oneIn(8):
            random.within(30_000_000_000...180_000_000_000)
        case .crash, .kill, .crashAll, .crashAtOperation, .crashBeforeSync, .restartStorm, .stop,
            .tornWrite, .lostWrites, .reorderedWrites, .staleBytes, .tightBudgets, .crashInMerge,
            .cellRot:
            random.logarithmic(1_000_000...5_000_000_000)
        case .reset, .resetMidFrame, .halfOpen, .bitFlip, .lostAccept, .roughStart: 0
        // Long enough that the node tries to start.
        case .bitRot, .lostLog, .lostSegment, .headerRot, .cellLost, .emptyFolder, .olderFolder,
            .foreignFolder, .copiedFolder, .newFolder, .restoredFolder:
            random.logarithmic(1_000_000_000...15_000_000_000)
        // Within the time that a plan takes: what was seen before is asked for again.
        case .swing: random.logarithmic(1_000_000...2_000_000_000)
        default: random.logarithmic(1_000_000...15_000_000_000)
        }
    }

    /// When the last fault is over, in nanoseconds from the begin of the run; 0 without any.
    package var end: UInt64 { faults.map(\.end).max() ?? 0 }
}

extension Xoshiro256 {
    /// A number in `range`, each order of magnitude as likely as the others. Integers only, so
    /// that it is the same everywhere.
    package mutating func logarithmic(_ range: ClosedRange<UInt64>) -> UInt64 {
        let low = max(1, range.lowerBound)
        var high = low
        let doublings =
            (range.upperBound / low).bitWidth - (range.upperBound / low).leadingZeroBitCount
        for _ in 0..<below(UInt64(max(1, doublings))) { high = high &* 2 }
        return min(range.upperBound, within(high...(high &* 2)))
    }
}

/// What a scenario found: the place in the file, what it says, what came, and how to see it again.
struct ScenarioFailure: Error, Sendable, CustomStringConvertible {
    public let file: String
    public let title: String
    public let line: Int
    public let expected: String
    public let found: String
    public let run: ScenarioRun

    public var description: String {
        """
        \(file):\(line): \(title)
          expected  \(expected)
          found     \(found)
          run       seed \(run.seed), \(run.groups) groups, \(run.nodes) nodes, \
        variant \(run.variant)
          again     \(run.command(file: file))
        """
    }
}

/// One run of a scenario: a function of these.
public struct ScenarioRun: Sendable {
    /// Says the placement of identifiers, and everything that happens in which order.
    public var seed: UInt64
    public var groups: Int
    /// With several, clients are spread over them, and every answer is asked of each of them.
    public var nodes: Int
    /// Which naming and which order, of `Scenario.variantCount`.
    var variant: Int

    public init(seed: UInt64, groups: Int, nodes: Int = 1, variant: Int = 0) {
        self.seed = seed
        self.groups = groups
        self.nodes = nodes
        self.variant = variant
    }

    /// The command that repeats this run.
    public func command(file: String) -> String {
        let name = file.split(separator: "/").last.map(String.init) ?? file
        return "KITH_SCENARIO=\(name) KITH_SEED=\(seed) KITH_PLACEMENTS=\(groups) "
            + "KITH_NODES=\(nodes) KITH_VARIANT=\(variant) swift test --filter ScenarioFileTests"
    }
}

/// What one run of a scenario came to.
public struct ScenarioReport: Equatable, Sendable {
    /// Of the whole run: the same for the same seed and build.
    var traceHash: UInt64
    var stepCount: Int
    /// Every mentioned identifier's profile, encoded; nil where there is none.
    public var profiles: [[UInt8]?]
}

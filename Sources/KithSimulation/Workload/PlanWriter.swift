internal import KithBytes
internal import KithWire

/// What a workload writes its steps with. Events get their numbers here, and identifiers a prefix,
/// so that no two workloads of a plan speak of one person.
struct PlanWriter {
    let settings: ClusterSettings
    let times: WorkloadTimes
    var random: Xoshiro256
    /// The first of the clients of the workload at hand; client 1 does nothing but pass time.
    private(set) var firstClient = 2
    /// What the identifiers of the workload at hand begin with.
    private(set) var prefix = ""
    /// The space that steps are about.
    var space = "default"
    /// Moments are never in heaps.
    var isEven = false
    private(set) var steps: [PlannedWork.Step] = []
    private var clientsMax = 0
    private var eventCount = 0
    /// Events of the workload at hand that are known by a trait of their own.
    private var markedCount = 0

    /// So many of these a workload, and no more: all may be one person's, who keeps 256 traits.
    private static let markedMax = 200

    /// An empty plan.
    init(settings: ClusterSettings, times: WorkloadTimes, random: Xoshiro256) {
        self.settings = settings
        self.times = times
        self.random = random
        for pass in times.passes {
            append(client: 1, at: pass.at, .pass(milliseconds: pass.milliseconds))
        }
    }

    /// From here on another workload writes.
    mutating func begin(_ prefix: String) {
        self.prefix = prefix
        firstClient += clientsMax
        clientsMax = 0
        markedCount = 0
        space = "default"
    }

    /// The plan, its steps in the order of their times.
    func plan() -> PlannedWork {
        var steps = steps.enumerated().sorted {
            ($0.element.at, $0.offset) < ($1.element.at, $1.offset)
        }
        .map(\.element)
        for place in steps.indices { steps[place].number = place + 1 }
        return PlannedWork(steps: steps)
    }

    // MARK: Steps

    /// Client `client` of the workload, from 0, sends a batch; a hasty one before those that it
    /// sent are answered.
    mutating func ingest(
        client: Int, at: UInt64, _ events: [PlannedEvent], isHasty: Bool = false
    ) {
        append(client: own(client), at: at, .ingest(space: space, events))
        steps[steps.count - 1].isHasty = isHasty
    }

    /// Client `client` of the workload asks for a profile.
    mutating func get(
        client: Int, at: UInt64, _ identifier: PlannedIdentifier, isQuarantine: Bool = false
    ) {
        append(
            client: own(client), at: at,
            .get(space: space, identifier, isQuarantine: isQuarantine))
    }

    /// Client `client` of the workload does something else.
    mutating func act(client: Int, at: UInt64, _ action: PlannedWork.Action) {
        append(client: own(client), at: at, action)
    }

    private mutating func own(_ client: Int) -> Int {
        clientsMax = max(clientsMax, client + 1)
        return firstClient + client
    }

    private mutating func append(client: Int, at: UInt64, _ action: PlannedWork.Action) {
        steps.append(PlannedWork.Step(number: 0, client: client, at: at, action: action))
    }

    // MARK: Draws

    /// So many moments, ascending, in a part of the plan given in percent.
    mutating func moments(_ count: Int, from: UInt64 = 0, to: UInt64 = 100) -> [UInt64] {
        let first = times.end / 100 * from
        let width = max(1, times.end / 100 * (to - from))
        // In a third of all plans in heaps: more happens at once.
        let heaps: [UInt64]? =
            random.oneIn(3) && !isEven ? (0..<3).map { _ in first + random.below(width) } : nil
        return (0..<count).map { _ in
            guard let heaps else { return first + random.below(width) }
            return heaps[random.below(heaps.count)] + random.below(width / 50 + 1)
        }.sorted()
    }

    /// One of them.
    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[random.below(elements.count)]
    }

    // MARK: Identifiers

    /// An account of this workload.
    func user(_ number: Int) -> PlannedIdentifier {
        PlannedIdentifier("user_id", "\(prefix)u\(number)")
    }

    /// A cookie of this workload.
    func cookie(_ number: Int) -> PlannedIdentifier {
        PlannedIdentifier("anonymous_id", "\(prefix)a\(number)")
    }

    /// A device of this workload.
    func device(_ number: Int) -> PlannedIdentifier {
        PlannedIdentifier("device_id", "\(prefix)d\(number)")
    }

    /// An e-mail address of this workload.
    func email(_ number: Int) -> PlannedIdentifier {
        PlannedIdentifier("email", "\(prefix)e\(number)@x.com")
    }

    // MARK: Events

    /// The kind of the next event: a `track` where there are as many others as can be told apart.
    mutating func kind(_ wanted: PlannedEvent.Kind) -> PlannedEvent.Kind {
        if wanted == .track { return wanted }
        markedCount += 1
        return markedCount <= Self.markedMax ? wanted : .track
    }

    /// The number of the next event.
    mutating func nextNumber() -> Int {
        eventCount += 1
        return eventCount
    }

    /// An event's time where it is sent at `at`: mostly just now, else some minutes ago.
    mutating func time(_ at: UInt64) -> Int64 {
        let wall = times.wall(at)
        switch random.below(4) {
        case 0: return wall
        case 1: return wall - Int64(random.below(UInt64(5)))
        default: return wall - Int64(random.below(UInt64(600_000)))
        }
    }
}

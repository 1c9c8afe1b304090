/// The root tasks of a world that have not returned yet: what `Lane.start` began. Known so that a
/// deadlock can name them and a shutdown can cancel them.
struct RootTasks {
    private struct Root {
        let lane: String
        var task: Task<Void, Never>?
    }

    private var live: [Int: Root] = [:]
    private var started = 0

    /// True when all have returned.
    var isEmpty: Bool { live.isEmpty }

    /// A number for a root task that is about to begin.
    mutating func open(lane: String) -> Int {
        started += 1
        live[started] = Root(lane: lane, task: nil)
        return started
    }

    /// Makes a root task known under its number, unless it has returned already.
    mutating func attach(_ task: Task<Void, Never>, to number: Int) {
        live[number]?.task = task
    }

    /// Forgets a root task that is returning.
    mutating func close(_ number: Int) {
        live[number] = nil
    }

    /// In the order in which they began: a dictionary's own order would differ between processes.
    private var ordered: [(number: Int, root: Root)] {
        live.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Cancels all, the oldest first.
    func cancelAll() {
        for (_, root) in ordered { root.task?.cancel() }
    }

    /// Cancels those that began on the lane called `name`, the oldest first.
    func cancelAll(onLane name: String) {
        for (_, root) in ordered where root.lane == name { root.task?.cancel() }
    }

    /// One line for each, the oldest first.
    var descriptions: [String] {
        ordered.map { "root task \($0.number) on lane \($0.root.lane)" }
    }
}

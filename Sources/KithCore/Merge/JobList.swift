/// Jobs under way, each under a number that is its own until it is removed; then the number may be
/// given to another.
struct JobList<Job: Sendable>: Sendable {
    private var jobs: [Job?] = []
    private var free: [Int] = []

    /// How many there are.
    var count: Int { jobs.count - free.count }

    /// The numbers in use, ascending. O(the most that there ever were).
    var numbers: [Int] { jobs.indices.filter { jobs[$0] != nil } }

    /// The job of that number, which must be in use.
    subscript(number: Int) -> Job {
        get {
            guard let job = jobs[number] else { preconditionFailure("no job \(number)") }
            return job
        }
        _modify {
            guard var job = jobs[number] else { preconditionFailure("no job \(number)") }
            defer { jobs[number] = job }
            yield &job
        }
    }

    /// Takes a job in, under the number that was free last.
    mutating func add(_ job: Job) {
        if let number = free.popLast() {
            jobs[number] = job
        } else {
            jobs.append(job)
        }
    }

    /// Ends the job of that number, which must be in use.
    mutating func remove(_ number: Int) {
        precondition(jobs[number] != nil, "no job \(number)")
        jobs[number] = nil
        free.append(number)
    }

    /// Whether some job is as `predicate` says. O(n).
    func contains(where predicate: (Job) -> Bool) -> Bool {
        jobs.contains { $0.map(predicate) ?? false }
    }
}

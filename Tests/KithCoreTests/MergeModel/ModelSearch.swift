/// What a search came to.
struct ModelSearch {
    struct Failure {
        var seed: UInt64
        var profile: ModelProfile
        var what: String
    }

    var runs = 0
    var failures: [Failure] = []
    var totals = ModelTotals()
    var swallowed = 0
    var erases = 0
    var attached = 0
    var declined = 0
    var contests = 0
    var refusals = 0
    var reads = 0
    var acks = 0
    var links = 0
    var steps = 0

    /// Runs seeds from `seed` on until `runs` are done or `stop` of them have failed.
    mutating func search(
        from seed: UInt64, runs count: Int, stop: Int = 1, profile: ModelProfile? = nil,
        faults: [String] = [], note: (UInt64) -> Void = { _ in }
    ) {
        for offset in 0..<UInt64(count) {
            note(seed + offset)
            let model = Model(seed: seed + offset, profile: profile)
            let what = planting(faults) { model.run() }
            runs += 1
            add(model)
            if let what {
                failures.append(Failure(seed: seed + offset, profile: model.profile, what: what))
                if failures.count >= stop { return }
            }
        }
    }

    private mutating func add(_ model: Model) {
        totals.accepted += model.oracle.totals.accepted
        totals.duplicate += model.oracle.totals.duplicate
        totals.forgotten += model.oracle.totals.forgotten
        totals.expiredOnArrival += model.oracle.totals.expiredOnArrival
        totals.quarantined += model.oracle.totals.quarantined
        totals.expired += model.oracle.totals.expired
        totals.merges += model.oracle.totals.merges
        swallowed += model.oracle.swallowed
        erases += model.oracle.erases
        attached += model.oracle.attached
        declined += model.oracle.declined
        contests += model.oracle.contests
        refusals += model.oracle.refusals
        reads += model.oracle.reads
        acks += model.oracle.acked.count
        links += model.oracle.edges.count
        steps += model.steps
    }

    /// The command that repeats a failing run, line by line.
    static func command(_ failure: Failure, _ faults: [String]) -> String {
        "scripts/model --seed \(failure.seed) --runs 1 --profile \(failure.profile.rawValue)"
            + (faults.isEmpty ? "" : " --faults \(faults.joined(separator: ","))") + " --trace"
    }
}

import Glibc
import KithCore
import Testing

/// The settings of a search: `scripts/model --help` explains them.
enum ModelEnvironment {
    static func value(_ name: String) -> String? {
        guard let text = getenv(name) else { return nil }
        let value = String(cString: text)
        return value.isEmpty ? nil : value
    }
}

@Suite struct `Merge model` {
    /// Seeds of the ordinary test run; the debug build takes a smaller slice.
    static var sliceRuns: Int {
        #if DEBUG
        120
        #else
        3_000
        #endif
    }

    @Test func `random runs of the merge break no rule of the oracle`() {
        var search = ModelSearch()

        search.search(from: 1, runs: Self.sliceRuns)

        for failure in search.failures {
            Issue.record(
                "seed \(failure.seed) (\(failure.profile)): \(failure.what)\n\(ModelSearch.command(failure, []))"
            )
        }
        // The runs must have met what they are for.
        #expect(search.totals.merges > 0 && search.totals.expired > 0 && search.erases > 0)
        #expect(search.swallowed > 0 && search.contests > 0 && search.attached > 0)
        #expect(search.declined > 0)
    }

    @Test(.enabled(if: ModelEnvironment.value("KITH_MODEL_RUNS") != nil))
    func `a long search`() {
        let runs = Int(ModelEnvironment.value("KITH_MODEL_RUNS") ?? "") ?? 1
        let seed = UInt64(ModelEnvironment.value("KITH_MODEL_SEED") ?? "") ?? 1
        let stop = Int(ModelEnvironment.value("KITH_MODEL_STOP") ?? "") ?? 1
        let profile = ModelEnvironment.value("KITH_MODEL_PROFILE").flatMap(ModelProfile.init)
        let faults =
            ModelEnvironment.value("KITH_MODEL_FAULTS")?.split(separator: ",").map(String.init)
            ?? []
        if ModelEnvironment.value("KITH_MODEL_TRACE") != nil {
            let model = Model(seed: seed, profile: profile, isTracing: true)
            let what = planting(faults) { model.run() }
            if let what { Issue.record("seed \(seed): \(what)") }
            return
        }
        let file = ModelEnvironment.value("KITH_MODEL_SEEDFILE").map {
            open($0, O_WRONLY | O_CREAT, 0o644)
        }
        var search = ModelSearch()
        var began = timespec()
        clock_gettime(CLOCK_MONOTONIC, &began)

        search.search(from: seed, runs: runs, stop: stop, profile: profile, faults: faults) {
            seed in
            // A trap leaves the number of its run behind.
            guard let file else { return }
            let text = Array("\(seed)            \n".utf8.prefix(16))
            _ = text.withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, 0) }
        }

        var ended = timespec()
        clock_gettime(CLOCK_MONOTONIC, &ended)
        print(
            "model runs \(search.runs) seconds \(ended.tv_sec - began.tv_sec) failures \(search.failures.count)"
        )
        print(
            "  \(search.totals) swallowed \(search.swallowed) erases \(search.erases) attached \(search.attached) "
                + "declined \(search.declined) "
                + "contests \(search.contests) refusals \(search.refusals) reads \(search.reads) "
                + "acks \(search.acks) links \(search.links) steps \(search.steps)")
        var kinds: [(what: String, count: Int, seed: UInt64)] = []
        for failure in search.failures {
            if let place = kinds.firstIndex(where: { $0.what == failure.what }) {
                kinds[place].count += 1
            } else {
                kinds.append((failure.what, 1, failure.seed))
            }
        }
        for kind in kinds { print("  \(kind.count) x \(kind.what), first seed \(kind.seed)") }
        if faults.isEmpty {
            for failure in search.failures.prefix(5) {
                Issue.record("\(failure.what)\n\(ModelSearch.command(failure, faults))")
            }
        }
    }
}

#if KITH_PLANTED
import Glibc
import KithCore
import Testing

/// The checker checked: every rule of the merge that can be broken by a switch is broken, and the
/// random model or a directed story must notice. `scripts/model --faults NAME` searches for one.
@Suite struct `Planted faults` {
    /// Runs within which a search from seed 1 must come upon the fault: about four times what it
    /// took.
    static let found: [(fault: String, runs: Int)] = [
        ("nowin", 20), ("noproof", 40), ("higher", 40), ("noab", 60), ("abnomove", 600),
        ("evthrough", 60), ("through", 1_500), ("proof", 400), ("abdrop", 200), ("abdropall", 60),
        ("rootany", 400), ("swallow0", 100), ("swallow1", 100), ("forgothome", 20),
        ("tombnocopy", 600), ("tombnomove", 600), ("linkold", 200), ("linkdead", 40),
        ("contnodup", 400), ("nocontest", 40), ("contlinks", 1_500), ("prunefree", 60),
        ("relnover", 40), ("acknover", 60), ("members", 60), ("duplinks", 20),
        ("swallowroot", 2_000), ("twofinds", 100), ("contsealed", 2_500), ("contskip", 1_500),
        ("contstay", 60), ("aliasall", 1_500), ("refsalias", 500), ("refsfirst", 5_000),
        ("stalelo", 1_500),
    ]

    @Test(arguments: found.map(\.fault))
    func `a random search comes upon a planted fault`(fault: String) {
        let runs = Self.found.first { $0.fault == fault }!.runs
        var search = ModelSearch()

        search.search(from: 1, runs: runs, faults: [fault])

        print(
            "planted \(fault): \(search.runs) runs, \(search.failures.first?.what ?? "not found")")
        #expect(search.failures.count == 1)
    }

    /// The table itself refuses what this fault does.
    @Test func `an expiry of sealed records is trapped`() async {
        await #expect(processExitsWith: .failure) {
            var search = ModelSearch()
            search.search(from: 1, runs: 200, faults: ["expsealed"])
            if !search.failures.isEmpty { exit(1) }
        }
    }

    @Test func `forgetting that clears the contested flag is noticed`() {
        let flags = `Merge stories`.contestedDeviceForgottenTwice(fault: "contreset")

        #expect(flags?.contains(.contested) != true)
    }

    @Test func `an absorb with one mark is noticed`() {
        let outcome = `Merge stories`.lateCopyBehindTwoMerges(fault: "vecnomove")

        #expect(outcome != .stale)
    }

    /// Without marks nothing is wrong, only kept for ever.
    @Test func `without settled marks ledgers grow`() {
        var sizes: [Int] = []
        for fault in [nil, "nofence"] {
            let script = MergeScript(groupCount: 2, fault: fault)
            let winner = script.name("user_id", group: 0)
            var last: MergeScript.Name?
            for _ in 0..<30 {
                let device = script.name("device_id", group: 1, above: last?.leaf)
                last = device
                script.send(device)
                script.send(winner, device)
            }
            let machine = script.shards.machine(winner.leaf.shard)
            sizes.append(
                machine.table.find(winner.leaf).map { machine.table.ledger($0).count } ?? 0)
        }
        #expect(sizes[1] > sizes[0] * 5)
    }
}
#endif

#if KITH_PLANTED
import Glibc
import Testing

@testable import KithCore

/// The checker checked: every rule of the merge that can be broken by a switch is broken, and the
/// random model or a directed story must notice. `scripts/model --planted` prints the whole table,
/// `scripts/model --faults NAME` searches for one.
@Suite struct `Planted faults` {
    /// Runs within which a search from seed 1 must come upon the fault: about four times what it
    /// took.
    static let found: [(fault: String, runs: Int)] = [
        ("nowin", 40), ("noproof", 40), ("higher", 40), ("noab", 40), ("abnomove", 5_000),
        ("evthrough", 60), ("through", 1_500), ("proof", 200), ("abdrop", 200), ("abdropall", 200),
        ("rootany", 200), ("swallow0", 40), ("swallow1", 200), ("forgothome", 40),
        ("tombnocopy", 300), ("linkold", 400), ("linkdead", 160), ("contnodup", 250),
        ("nocontest", 60), ("contreset", 400), ("contlinks", 4_800), ("prunefree", 40),
        ("relnover", 100), ("acknover", 5_500), ("members", 60), ("duplinks", 40),
        ("swallowroot", 4_000), ("twofinds", 150), ("contsealed", 1_700), ("contstay", 460),
        ("aliasall", 1_200), ("refsalias", 340), ("stalelo", 1_500), ("declforget", 5_000),
        ("reopnover", 9_600), ("noroom", 200), ("endgone", 2_000), ("relsnomove", 5_000),
    ]
    /// The same for faults that a directed story notices in the ordinary run of tests.
    static let foundLate: [(fault: String, runs: Int)] = [
        ("tombnomove", 3_500), ("contskip", 1_500), ("relnoab", 17_000), ("absany", 5_500),
    ]
    /// Noticed by a test of their own only; a search of 20,000 runs does not come upon `refsfirst`.
    static let foundOtherwise = [
        "vecnomove", "expsealed", "nofence", "refsfirst", "hugeprof", "ledgerfull",
    ]

    private func search(for fault: String, within runs: Int) {
        var search = ModelSearch()

        search.search(from: 1, runs: runs, faults: [fault])

        if let failure = search.failures.first {
            print("planted \(fault): caught in run \(search.runs) of \(runs): \(failure.what)")
        } else {
            print("planted \(fault): not caught in \(runs) runs")
        }
        #expect(search.failures.count == 1)
    }

    @Test(arguments: found.map(\.fault))
    func `a random search comes upon a planted fault`(fault: String) {
        search(for: fault, within: Self.found.first { $0.fault == fault }!.runs)
    }

    @Test(
        .enabled(if: ModelEnvironment.value("KITH_MODEL_PLANTED") != nil),
        arguments: foundLate.map(\.fault))
    func `a longer search comes upon a planted fault`(fault: String) {
        search(for: fault, within: Self.foundLate.first { $0.fault == fault }!.runs)
    }

    @Test func `every fault that can be planted is looked for`() {
        let sought = Self.found.map(\.fault) + Self.foundLate.map(\.fault) + Self.foundOtherwise

        #expect(sought.sorted() == PlantedFaults.names.sorted())
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
        let flags = planting(["contreset"]) { `Merge stories`.contestedDeviceForgottenTwice() }

        #expect(flags?.contains(.contested) != true)
    }

    @Test func `an absorb with one mark is noticed`() {
        let outcome = planting(["vecnomove"]) { `Merge stories`.lateCopyBehindTwoMerges() }

        #expect(outcome != .stale)
    }

    @Test func `a duty to release that stays behind is noticed`() {
        let state = planting(["relsnomove"]) { `Merge stories`.deviceOfAForgottenContact() }

        #expect(state == .forward)
    }

    @Test func `a profile too large to be read is noticed`() {
        let world = ReviewWorld(groups: 2)
        planting(["hugeprof"]) { LargeProfiles.link(world) }

        #expect(LargeProfiles.bytes(world) > FacetLimits.profileBytesMax)
    }

    @Test(arguments: [1, 2])
    func `a link whose ledgers remember too much is noticed`(groups: Int) {
        let world = ReviewWorld(groups: groups)
        let isMade = planting(["ledgerfull"]) {
            LedgerBoundTests.links(world, remembering: Ledger.entriesMax / 2)
        }

        #expect(isMade)
    }

    @Test func `an absorb without forget times is noticed`() {
        let result = planting(["tombnomove"]) { `Merge stories`.forgetMovedWithItsRelease() }

        #expect(result == .ok)
    }

    @Test func `a contested flag skipped at a root that has moved is noticed`() {
        let flags = planting(["contskip"]) { `Merge stories`.contestedWhileItsOwnerMoves() }

        #expect(flags?.contains(.contested) == false)
    }

    @Test func `a release without its ledger is noticed`() {
        #expect(planting(["relnoab"]) { `Merge stories`.lateCopyAfterRelease() })
    }

    @Test func `an absorb at any root is noticed`() {
        #expect(!planting(["absany"]) { `Merge stories`.absorbBehindAnExpiredRoot() })
    }

    @Test func `an absorb that joins leaves whose link has ended is noticed`() {
        #expect(planting(["endgone"]) { `Merge stories`.absorbBehindAnExpiredLink() }.winner)
    }

    @Test func `a declined absorb that is not remembered is noticed`() {
        let outcome = planting(["declforget"]) { `Merge stories`.lateCopyOfADeclinedAbsorb() }

        #expect(outcome != .declined)
    }

    @Test func `refusals looked at before the facets are noticed`() {
        let flags = planting(["refsfirst"]) { `Merge stories`.refusedThenJoined() }

        #expect(flags?.contains(.unlisted) == true)
    }

    /// Without marks nothing is wrong, only kept for ever.
    @Test func `without settled marks ledgers grow`() {
        var sizes: [Int] = []
        for faults in [[], ["nofence"]] {
            let script = MergeScript(groupCount: 2)
            let winner = script.name("user_id", group: 0)
            planting(faults) {
                for number in 0..<30 {
                    let device = script.name("device_id", group: 1, number: number)
                    script.send(device)
                    script.send(winner, device)
                }
            }
            let machine = script.shards.machine(winner.leaf.shard)
            sizes.append(
                machine.table.find(winner.leaf).map { machine.table.ledger($0).count } ?? 0)
        }
        #expect(sizes[1] > sizes[0] * 5)
    }
}
#endif

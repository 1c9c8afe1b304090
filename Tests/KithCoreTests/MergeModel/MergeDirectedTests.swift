import KithCore
import Testing

/// Stories that chance tells too seldom: each ends differently under one planted fault.
@Suite struct `Merge stories` {
    /// A device stays contested through two forgets, the second at its own home.
    static func contestedDeviceForgottenTwice(fault: String? = nil) -> FacetFlags? {
        let script = MergeScript(groupCount: 2, sharedDevice: .first, fault: fault)
        let first = script.name("user_id", group: 0)
        let second = script.name("user_id", group: 0, above: first.leaf)
        let device = script.name("device_id", group: 1)
        script.send(first, device)
        script.send(second, device)
        script.now += 1000
        script.forget(first)
        script.now += 1000
        script.send(device)
        script.now += 1000
        script.forget(device)
        script.now += 1000
        script.send(device)
        return script.flagsAtHome(device)
    }

    @Test func `a contested device stays contested through forgets of its owner and of itself`() {
        let flags = Self.contestedDeviceForgottenTwice()

        #expect(flags?.contains(.contested) == true)
    }

    /// A late copy of an absorb, redirected to a group that never heard of the loser's group but
    /// through the absorb of the record between.
    static func lateCopyBehindTwoMerges(fault: String? = nil) -> Outcome {
        let script = MergeScript(groupCount: 3, fault: fault)
        let last = script.name("anonymous_id", group: 0)
        let other = script.name("device_id", group: 0)
        let middle = script.name("email", group: 1)
        let winner = script.name("user_id", group: 2)
        script.send(last)
        script.send(other)
        script.send(middle)
        script.send(winner)
        script.send(middle, last, driving: false)
        guard var copy = script.absorbOrder(last) else { return .malformed }
        script.settle()
        // The next absorb into the middle prunes the first from its absorbed set.
        script.send(middle, other)
        script.send(winner, middle)
        copy.target = winner.leaf
        return script.apply(2) { $0.absorb(copy) }
    }

    @Test func `a late copy is stale in a group that heard of its mark at second hand`() {
        let outcome = Self.lateCopyBehindTwoMerges()

        #expect(outcome == .stale)
    }

    /// The winner is forgotten and begins a new life between a link's finds and its seal, which is
    /// of the same group.
    @Test func `a merge into the next life of a winner does not settle the link`() {
        let script = MergeScript(groupCount: 1)
        let account = script.name("user_id", group: 0)
        let contact = script.name("email", group: 0)
        let device = script.name("device_id", group: 0)
        script.send(account, contact)
        script.send(device)
        script.now += 1000
        let text = IdentifierText(
            flags: [], space: ModelSetup.space, namespace: Array("user_id".utf8),
            value: Array(account.value.utf8))
        let order = SealOrder(
            loser: device.leaf, winner: account.leaf,
            loserEnd: LinkEnd(leaf: device.leaf, isListed: true),
            winnerEnd: LinkEnd(leaf: contact.leaf, isListed: true), winnerHolds: true,
            eventTime: script.now, loserText: text, winnerText: text)
        script.now -= 500
        script.forget(account)
        script.now += 1000

        let outcome = script.apply(0) { $0.seal(order, stamp: OperationWriter.noStamp) }

        #expect(outcome == .again)
    }
}

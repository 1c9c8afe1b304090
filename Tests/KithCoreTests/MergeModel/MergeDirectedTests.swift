import KithCore
import Testing

/// Stories that chance tells too seldom: each ends differently under one planted fault.
@Suite struct `Merge stories` {
    /// A device stays contested through two forgets, the second at its own home.
    static func contestedDeviceForgottenTwice() -> FacetFlags? {
        let script = MergeScript(groupCount: 2, sharedDevice: .first)
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
        return script.flags(of: device, at: device)
    }

    @Test func `a contested device stays contested through forgets of its owner and of itself`() {
        let flags = Self.contestedDeviceForgottenTwice()

        #expect(flags?.contains(.contested) == true)
    }

    /// A late copy of an absorb, redirected to a group that never heard of the loser's group but
    /// through the absorb of the record between.
    static func lateCopyBehindTwoMerges() -> Outcome {
        let script = MergeScript(groupCount: 3)
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

    /// A profile that dropped a device by a forget is merged before it could release it: the duty
    /// goes to the winner, who must know the time of the forget. Sends a late event of the device.
    static func forgetMovedWithItsRelease() -> EventResult {
        let script = MergeScript(groupCount: 3)
        let account = script.name("user_id", group: 0)
        let contact = script.name("email", group: 1)
        let device = script.name("device_id", group: 2)
        script.send(contact, device)
        script.now += 1000
        script.forget(contact, driving: false)
        script.now += 1000
        script.send(contact, driving: false)
        script.send(account, contact, driving: false)
        script.settle()
        script.now -= 1500
        return script.send(device)
    }

    /// The same, and what becomes of the device: the contact it was joined to is forgotten, and is
    /// itself merged before the device's home has heard of it. The state of the device's record.
    static func deviceOfAForgottenContact() -> RecordState? {
        let script = MergeScript(groupCount: 3)
        let account = script.name("user_id", group: 0)
        let contact = script.name("email", group: 1)
        let device = script.name("device_id", group: 2)
        script.send(contact, device)
        script.now += 1000
        script.forget(contact, driving: false)
        script.now += 1000
        script.send(contact, driving: false)
        script.send(account, contact, driving: false)
        script.settle()
        let home = script.shards.machine(device.leaf.shard)
        return home.table.find(device.leaf).map { home.table.state($0) }
    }

    @Test func `no forward outlives its person though its root is merged before it can say so`() {
        // It waits as a root: its ledger knows the time of the forget.
        #expect(Self.deviceOfAForgottenContact() == .root)
    }

    @Test func `a late event of a forgotten device is dropped though its root has moved on`() {
        let result = Self.forgetMovedWithItsRelease()

        #expect(result == .forgotten)
    }

    /// The owner of a device becomes part of another account between the finds of a second
    /// account's event and the entry that should mark the device as contested.
    static func contestedWhileItsOwnerMoves() -> FacetFlags? {
        let script = MergeScript(groupCount: 2)
        let account = script.name("user_id", group: 0)
        let owner = script.name("user_id", group: 1, above: account.leaf)
        let second = script.name("user_id", group: 0, above: owner.leaf)
        let device = script.name("device_id", group: 1)
        script.send(account)
        script.send(owner, device)
        var event = script.begin([second, device])
        // It is counted, the device is looked for at home, then found at its owner.
        for _ in 0..<3 { script.step(&event) }
        script.alias(account, previous: owner)
        script.finish(&event)
        return script.flags(of: device, at: account)
    }

    @Test func `a device is contested where its owner has gone`() {
        let flags = Self.contestedWhileItsOwnerMoves()

        #expect(flags?.contains(.contested) == true)
    }

    /// A late copy of an absorb finds its winner released: the winner was merged into a profile
    /// that has expired since. Whether the winner lives after that.
    static func lateCopyAfterRelease() -> Bool {
        let script = MergeScript(groupCount: 3)
        let root = script.name("anonymous_id", group: 2)
        let winner = script.name("anonymous_id", group: 1, above: root.leaf)
        let loser = script.name("anonymous_id", group: 0, above: winner.leaf)
        script.send(root)
        script.send(winner, loser, driving: false)
        guard let copy = script.absorbOrder(loser) else { return true }
        script.settle()
        script.send(root, winner)
        script.now += 91 * 86_400_000
        script.touch(root)
        script.settle()
        script.apply(1) { $0.absorb(copy) }
        return script.flags(of: winner, at: winner) != nil
    }

    @Test func `a late copy does not revive a winner that was released`() {
        #expect(!Self.lateCopyAfterRelease())
    }

    /// An absorb is redirected to a profile that expires before it arrives. Whether the loser comes
    /// to the leaf that it was sealed into.
    static func absorbBehindAnExpiredRoot() -> Bool {
        let script = MergeScript(groupCount: 3)
        let day: Int64 = 86_400_000
        let root = script.name("device_id", group: 2)
        let winner = script.name("device_id", group: 1, above: root.leaf)
        let loser = script.name("anonymous_id", group: 0, above: winner.leaf)
        script.send(root)
        script.send(winner)
        script.now += 80 * day
        script.send(loser, winner, driving: false)
        script.now -= 80 * day
        script.send(root, winner, driving: false)
        script.settle(groups: [1, 2])
        script.now += 91 * day
        script.touch(root)
        script.settle()
        return script.flags(of: loser, at: winner) != nil
    }

    @Test func `an absorb does not end at a root that has dropped the leaf it was sealed into`() {
        #expect(Self.absorbBehindAnExpiredRoot())
    }

    /// A profile expires before an absorb arrives whose link named another leaf than the one that
    /// the loser was sealed into. Whether the winner's root holds the loser, and its own.
    static func absorbBehindAnExpiredLink() -> (winner: Bool, own: Bool) {
        let script = MergeScript(groupCount: 2)
        let day: Int64 = 86_400_000
        let winner = script.name("device_id", group: 1)
        let end = script.name("device_id", group: 1, above: winner.leaf)
        let loser = script.name("anonymous_id", group: 0, above: winner.leaf)
        script.send(winner, end)
        script.now += 80 * day
        script.send(loser)
        script.now -= 80 * day
        script.send(end, loser, driving: false)
        script.now += 91 * day
        script.touch(winner)
        script.settle()
        return (
            script.flags(of: loser, at: winner) != nil, script.flags(of: loser, at: loser) != nil
        )
    }

    @Test func `an absorb does not join leaves whose link has ended`() {
        let holds = Self.absorbBehindAnExpiredLink()

        #expect(!holds.winner)
        #expect(holds.own)
    }

    /// A winner fills up before an absorb arrives, declines it, and is forgotten later than the
    /// link was made. What a late copy of the absorb comes to then.
    static func lateCopyOfADeclinedAbsorb() -> Outcome {
        let script = MergeScript(groupCount: 2, identifiersMax: 2)
        let account = script.name("user_id", group: 0)
        let contact = script.name("email", group: 0)
        let device = script.name("device_id", group: 1)
        script.send(account)
        script.send(device)
        var event = script.begin([account, device])
        // Counted, both ends found, sealed.
        for _ in 0..<3 { script.step(&event) }
        guard let copy = script.absorbOrder(device) else { return .malformed }
        script.send(account, contact)
        script.finish(&event)
        script.now += 1000
        script.forget(account)
        return script.apply(0) { $0.absorb(copy) }
    }

    @Test func `a declined absorb stays declined when there is room again`() {
        let outcome = Self.lateCopyOfADeclinedAbsorb()

        #expect(outcome == .declined)
    }

    /// Two accounts are refused, then joined by an alias, then named by one event again: the flags
    /// of the one that so far only the alias has named.
    static func refusedThenJoined() -> FacetFlags? {
        let script = MergeScript(groupCount: 1)
        let user = script.name("user_id", group: 0, number: 1)
        let previous = script.name("user_id", group: 0, above: user.leaf, number: 2)
        script.send(user, previous)
        script.alias(user, previous: previous)
        script.send(user, previous)
        return script.flags(of: previous, at: user)
    }

    @Test func `a remembered refusal does not hide what was joined since`() {
        let flags = Self.refusedThenJoined()

        #expect(flags?.contains(.unlisted) == false)
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
        #expect(script.flags(of: device, at: account) == nil)
        #expect(script.flags(of: device, at: device) != nil)
    }
}

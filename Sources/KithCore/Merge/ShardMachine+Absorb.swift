public import KithBytes

/// Step 2 of a merge: the sealed record's facets on their way to the winner. The same bytes however
/// often they are sent; only `target` and `proof` change as the message is redirected.
///
///     target 16 · loser 16 · loser's group u16 · version u64 · proof u64 · marks u16 count, u64 each
///     · ledger bytes32 (with its seal) · facets bytes32 (`RecordTable.exportFacets`)
public struct AbsorbOrder: Sendable, Equatable {
    public var target: LeafID
    public var loser: LeafID
    var loserGroup: GroupID
    public var version: OperationIndex
    /// The version of the Forward of the leaf sealed into, where the message came along it.
    public var proof: OperationIndex
    public var marks: [OperationIndex]
    public var ledger: [UInt8]
    public var facets: [UInt8]

    /// Marks a message may carry: one a group.
    static let marksMax = ShardID.count

    init(
        target: LeafID, loser: LeafID, loserGroup: GroupID, version: OperationIndex,
        proof: OperationIndex, marks: [OperationIndex], ledger: [UInt8], facets: [UInt8]
    ) {
        self.target = target
        self.loser = loser
        self.loserGroup = loserGroup
        self.version = version
        self.proof = proof
        self.marks = marks
        self.ledger = ledger
        self.facets = facets
    }

    public init(decoding reader: inout ByteReader) throws(ByteError) {
        target = try reader.leaf()
        loser = try reader.leaf()
        loserGroup = GroupID(try reader.u16())
        version = OperationIndex(rawValue: try reader.u64())
        proof = OperationIndex(rawValue: try reader.u64())
        marks = try reader.marks()
        ledger = try reader.bytes32(limit: ShardMachine.absorbBytesMax).copied()
        facets = try reader.bytes32(limit: ShardMachine.absorbBytesMax).copied()
    }

    /// What the winner's ledger remembers of it.
    func answer(isDeclined: Bool) -> Ledger.Absorbed {
        Ledger.Absorbed(leaf: loser, version: version, group: loserGroup, isDeclined: isDeclined)
    }

    public func encode(into writer: inout ByteWriter) {
        writer.leaf(target)
        writer.leaf(loser)
        writer.u16(loserGroup.rawValue)
        writer.u64(version.rawValue)
        writer.u64(proof.rawValue)
        writer.marks(marks)
        writer.bytes32(ledger)
        writer.bytes32(facets)
    }
}

extension ByteReader {
    /// A 16-bit count and as many settled marks, one a group.
    public mutating func marks() throws(ByteError) -> [OperationIndex] {
        let count = Int(try u16())
        guard count <= AbsorbOrder.marksMax, count * 8 <= remaining else {
            throw .tooLong(length: count, limit: AbsorbOrder.marksMax)
        }
        var marks: [OperationIndex] = []
        marks.reserveCapacity(count)
        for _ in 0..<count { marks.append(OperationIndex(rawValue: try u64())) }
        return marks
    }
}

extension ByteWriter {
    /// A 16-bit count and the marks.
    public mutating func marks(_ marks: [OperationIndex]) {
        u16(UInt16(marks.count))
        for mark in marks { u64(mark.rawValue) }
    }
}

extension ShardMachine {
    /// The absorb of a record that is sealed at `version`, addressed to the leaf it was sealed
    /// into; nil where it is not (any more).
    func absorbOrder(
        _ loser: LeafID, version: OperationIndex, _ context: ApplyContext
    ) -> AbsorbOrder? {
        guard let slot = table.find(loser), table.state(slot) == .sealed,
            table.version(slot) == version
        else {
            mark(.absorbLoserGone)
            return nil
        }
        let ledger = Rules.ledger(ofAbsorb: ledger(slot))
        guard let seal = ledger.seal else { return nil }
        var text = ByteWriter()
        ledger.encode(into: &text)
        var facets = ByteWriter()
        table.exportFacets(slot, into: &facets)
        return AbsorbOrder(
            target: seal.into, loser: loser, loserGroup: context.group, version: version,
            proof: .none, marks: Rules.marksOfAbsorb(context), ledger: text.bytes,
            facets: facets.bytes)
    }

    /// Whether the record, once sealed, fits one absorb. What the finds saw may have grown since,
    /// and the absorb spells out every name: so the seal's own entry looks again.
    func fitsAbsorb(_ slot: SlotIndex) -> Bool {
        let room = Self.absorbBytesMax - Self.attachBytesMax
        guard table.payloadBytes(slot) > Self.absorbBytesMax / Self.portableGrowthMax else {
            return true
        }
        return table.ledger(slot).count <= room && table.portableBytes(slot) <= room
    }

    /// Bytes that the facets of an absorb, and its ledger, may have at most.
    public static let absorbBytesMax = 2 * payloadBytesMax
    /// How many times longer a payload can be when its names are spelt out: a trait cell of 7 bytes
    /// comes to a name of 4,096, a message id of 255 and 16 more.
    private static let portableGrowthMax = 1024

    /// Takes a sealed record's facets in: *the entry that applies this is the instant of the
    /// merge*. The caller has taken the marks in already. `isLocal`: seal and absorb are one entry,
    /// so no second copy can exist and the absorbed set need not remember it.
    func absorb(_ order: AbsorbOrder, isLocal: Bool, _ context: ApplyContext) -> Outcome {
        let slot = current(order.target, context)
        let held = ledger(slot)
        if !isLocal, let answer = answerBefore(order, held, context) { return answer }
        guard let brought = Rules.ledger(broughtBy: order), let seal = brought.seal else {
            mark(.absorbMalformed)
            return .malformed
        }
        if let elsewhere = absorbElsewhere(order, seal, slot, context) { return elsewhere }

        // What the winner itself knows decides, before anything that the loser brings.
        let forgetTime = Rules.forgetTime(swallowing: seal, at: order.target, slot, in: self)
        if forgetTime == nil {
            guard Rules.isStillLinked(seal, slot, in: self) else {
                mark(.absorbEndGone)
                return decline(order, slot, held, isLocal: isLocal, context)
            }
            guard Rules.hasRoom(for: order, slot, held: held, brought: brought, in: self, context)
            else {
                mark(isLocal ? .absorbDeclinedLocally : .absorbDeclined)
                return decline(order, slot, held, isLocal: isLocal, context)
            }
        }

        var ledger = held
        ledger.formUnion(brought)
        ledger.seal = nil
        if !isLocal { ledger.insert(absorbed: order.answer(isDeclined: false)) }
        prune(&ledger, context)
        if let forgetTime { return swallow(order, slot, ledger, since: forgetTime, context) }
        return takeIn(order, seal, slot, ledger, context)
    }

    /// A second copy is answered as the first one was, or dropped where that is long past.
    private func answerBefore(
        _ order: AbsorbOrder, _ held: Ledger, _ context: ApplyContext
    ) -> Outcome? {
        if let answer = Rules.answerBefore(order, held) {
            mark(answer.isDeclined ? .absorbAlreadyDeclined : .absorbAlreadyTaken)
            return answer.isDeclined ? .declined : .absorbed(by: order.target)
        }
        if Rules.isStale(order, context.marks) {
            mark(.absorbStale)
            return .stale
        }
        return nil
    }

    /// Where the absorb must go instead: the record is no root, or does not speak for the leaf that
    /// the loser was sealed into.
    private func absorbElsewhere(
        _ order: AbsorbOrder, _ seal: SealNote, _ slot: SlotIndex?, _ context: ApplyContext
    ) -> Outcome? {
        let w = order.target
        if let slot {
            switch table.state(slot) {
            case .sealed:
                mark(.absorbAtSealed)
                return Rules.atSealed(
                    w, into: table.parent(slot), version: table.version(slot), .absorb)
            case .forward:
                mark(.absorbAtForward)
                return .moved(to: table.parent(slot), version: table.version(slot))
            case .root: break
            }
        }
        let holds = slot.map { table.hasFacet($0, seal.into) } ?? false
        if Rules.mayAbsorb(w, sealedInto: seal.into, holds: holds) { return nil }
        guard order.proof != .none else {
            mark(.absorbWrongRoot)
            return .unknownFacet
        }
        mark(.absorbReleases)
        return .released(releaseOrder(seal.into, order.proof, slot, context))
    }

    /// The leaf that the loser was sealed into was forgotten after this link was made: its person
    /// includes the loser, and goes with it. Only the ledger learns of it.
    private func swallow(
        _ order: AbsorbOrder, _ slot: SlotIndex?, _ union: Ledger, since forgetTime: Int64,
        _ context: ApplyContext
    ) -> Outcome {
        let w = order.target
        var ledger = union
        var scratch = RecordTable(key: key)
        let copy = scratch.insert(order.loser)
        var facets = unsafe ByteReader(order.facets.span.bytes)
        guard (try? scratch.importFacets(copy, &facets)) != nil else { return .malformed }
        scratch.forEachFacet(copy) { facet, leaf in
            ledger.remember(
                Ledger.Remembered(
                    leaf: leaf,
                    forgetTime: max(
                        scratch.forgetTime(facet) ?? Ledger.Remembered.never, forgetTime),
                    isContested: scratch.flags(facet).contains(.contested)))
            ledger.insert(
                release: Ledger.Release(leaf: leaf, version: scratch.sealVersion(facet)))
        }
        dropped.append(w)
        let at = slot ?? table.insert(w)
        if table.facetCount(at) > 0 {
            mark(.absorbSwallowedBesideLife)
            setLedger(at, ledger)
        } else {
            mark(.absorbSwallowed)
            settle(at, ledger, context)
        }
        return .absorbed(by: w)
    }

    /// The facets become the winner's.
    private func takeIn(
        _ order: AbsorbOrder, _ seal: SealNote, _ slot: SlotIndex?, _ ledger: Ledger,
        _ context: ApplyContext
    ) -> Outcome {
        let w = order.target
        let at = slot ?? table.insert(w)
        let wasLive = table.facetCount(at) > 0
        if wasLive { countIdentifiers(at, by: -1) }
        guard Rules.takeFacets(of: order, into: at, of: self) else {
            if wasLive { countIdentifiers(at, by: 1) }
            if slot == nil { table.remove(at) }
            return .malformed
        }
        var leaves: [LeafID] = []
        table.forEachFacet(at) { _, leaf in leaves.append(leaf) }
        for leaf in leaves {
            if var facet = table.facet(at, leaf) { table.addGroup(&facet, context.group) }
        }
        if !wasLive { mark(slot == nil ? .absorbIntoAbsent : .absorbIntoEmpty) }
        if !table.hasFacet(at, w) {
            mark(.absorbBeginsFacet)
            beginOwnFacet(at, seal.intoText, seen: seal.eventTime, context)
        }
        if seal.winnerEndIsListed, let facet = table.facet(at, seal.winnerEnd) {
            table.setFlags(facet, table.flags(facet).subtracting(.unlisted))
        }
        setLedger(at, ledger)
        if !ledger.releases.isEmpty {
            mark(.absorbBringsReleases)
            dropped.append(w)
        }
        if !wasLive { countRoot(w, by: 1) }
        countIdentifiers(at, by: 1)
        if seal.wasLive, wasLive { statistics.mergesCompleted += 1 }
        table.unfile(at)
        fileForExpiry(at, context)
        return .absorbed(by: w)
    }

    /// Begins the facet of a record's own leaf, with what its ledger remembers of it.
    func beginOwnFacet(
        _ slot: SlotIndex, _ text: IdentifierText, seen: Int64, _ context: ApplyContext
    ) {
        let leaf = table.id(slot)
        let own = known(leaf, at: leaf, slot)
        _ = unsafe table.addFacet(
            slot, leaf: leaf, life: context.at, group: context.group, seen: seen,
            flags: own.isContested ? text.flags.union(.contested) : text.flags,
            forgetTime: own.forgetTime == Ledger.Remembered.never ? nil : own.forgetTime,
            space: text.space.span.bytes, namespace: text.namespace.span.bytes,
            value: text.value.span.bytes)
    }

    /// Whether the record may take the facets in: exactly for the number of identifiers, and for
    /// bytes with so much to spare that what two finds let pass always fits when nothing comes
    /// between. The loser's own numbers decide no more than they would in a find.
    func hasRoom(
        for order: AbsorbOrder, _ slot: SlotIndex?, held: Ledger, brought: Ledger,
        _ context: ApplyContext
    ) -> Bool {
        guard Rules.isWithinLedger(entries: held.entryCount + brought.entryCount + 1) else {
            return false
        }
        var reader = unsafe ByteReader(order.facets.span.bytes)
        // Bytes that break the format are told apart where they are read.
        guard let facets = try? reader.u32() else { return true }
        let count = slot.map { table.facetCount($0) } ?? 0
        // A record without facets begins its own.
        guard count + (count == 0 ? 1 : 0) + Int(facets) <= context.identifiersMax else {
            return false
        }
        let bytes = slot.map { table.payloadBytes($0) } ?? 0
        return bytes + order.facets.count + order.ledger.count <= Self.recordBytesMax
            && hasRoomInProfile(for: order, slot)
    }

    /// Whether the profile that the absorb makes can be read. The facets spell all out that their
    /// profile does, and more: they are looked into only where that would be too much.
    private func hasRoomInProfile(for order: AbsorbOrder, _ slot: SlotIndex?) -> Bool {
        let held = slot.map { table.profileBytes($0) } ?? 0
        let most = RecordTable.profileBaseBytes + order.facets.count
        if Rules.isReadable(profileBytes: held + most + Self.attachBytesMax) { return true }
        var scratch = RecordTable(key: key)
        let copy = scratch.insert(order.loser)
        var facets = unsafe ByteReader(order.facets.span.bytes)
        // Bytes that break the format are told apart where they are read.
        guard (try? scratch.importFacets(copy, &facets)) != nil else { return true }
        return Rules.isReadable(
            profileBytes: held + scratch.profileBytes(copy) + Self.attachBytesMax)
    }

    /// Bytes that a record's payload and an absorb may come to together: a profile's own, an
    /// absorb's facets and its ledger, and as much again.
    static let recordBytesMax = 2 * (payloadBytesMax + 2 * absorbBytesMax)

    /// Takes nothing in. Of a seal in the same entry nobody can ask again.
    private func decline(
        _ order: AbsorbOrder, _ slot: SlotIndex?, _ held: Ledger, isLocal: Bool,
        _ context: ApplyContext
    ) -> Outcome {
        if !isLocal { Rules.rememberDeclined(order, slot, held: held, in: self, context) }
        return .declined
    }

    /// Remembers that it took nothing in.
    func rememberDeclined(
        _ order: AbsorbOrder, _ slot: SlotIndex?, held: Ledger, _ context: ApplyContext
    ) {
        let at = slot ?? table.insert(order.target)
        var ledger = held
        ledger.insert(absorbed: order.answer(isDeclined: true))
        prune(&ledger, context)
        if table.facetCount(at) > 0 {
            setLedger(at, ledger)
        } else {
            settle(at, ledger, context)
        }
    }

    /// What this record says of a seal's absorb; nil where it took none.
    public func absorbed(
        _ loser: LeafID, _ version: OperationIndex, at slot: SlotIndex
    ) -> Ledger.Absorbed? {
        ledger(slot).absorbed(loser, version)
    }

    func prune(_ ledger: inout Ledger, _ context: ApplyContext) {
        let held = ledger.absorbed.count
        Rules.prune(&ledger, context.marks)
        if ledger.absorbed.count < held { mark(.ledgerPruned) }
    }
}

public import KithBytes

/// Step 2 of a merge: the sealed record's facets on their way to the winner. The same bytes however
/// often they are sent; only `target` and `proof` change as the message is redirected.
///
///     target 16 · loser 16 · loser's group u16 · version u64 · proof u64 · marks u16 count, u64 each
///     · ledger bytes32 (with its seal) · facets bytes32 (`RecordTable.exportFacets`)
public struct AbsorbOrder: Sendable, Equatable {
    public var target: LeafID
    public var loser: LeafID
    public var loserGroup: GroupID
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
    public func absorbOrder(
        _ loser: LeafID, version: OperationIndex, _ context: ApplyContext
    ) -> AbsorbOrder? {
        guard let slot = table.find(loser), table.state(slot) == .sealed,
            table.version(slot) == version
        else {
            mark(.absorbLoserGone)
            return nil
        }
        var ledger = ledger(slot)
        guard let seal = ledger.seal else { return nil }
        ledger.refusals = []
        if context.planted(.absorbedSetNotCarried) { ledger.absorbed = [] }
        if context.planted(.absorbWithoutForgetTimes) { ledger.remembered = [] }
        var text = ByteWriter()
        ledger.encode(into: &text)
        var facets = ByteWriter()
        table.exportFacets(slot, into: &facets)
        var marks = context.marks
        if context.planted(.absorbCarriesOneMark) {
            for group in marks.indices where group != Int(context.group.rawValue) {
                marks[group] = .none
            }
        }
        return AbsorbOrder(
            target: seal.into, loser: loser, loserGroup: context.group, version: version,
            proof: .none, marks: context.planted(.noMarks) ? [] : marks, ledger: text.bytes,
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
        let w = order.target
        var slot = current(w, context)
        var ledger = ledger(slot)
        if !isLocal {
            if let entry = ledger.absorbed(order.loser, order.version),
                !context.planted(.absorbedSetIgnored)
            {
                mark(entry.isDeclined ? .absorbAlreadyDeclined : .absorbAlreadyTaken)
                return entry.isDeclined ? .declined : .absorbed(by: w)
            }
            let group = Int(order.loserGroup.rawValue)
            if group < context.marks.count, order.version < context.marks[group],
                !context.planted(.noMarks)
            {
                mark(.absorbStale)
                return .stale
            }
        }
        var reader = unsafe ByteReader(order.ledger.span.bytes)
        guard var brought = try? Ledger(decoding: &reader), let seal = brought.seal else {
            mark(.absorbMalformed)
            return .malformed
        }
        if context.planted(.releasesLeftBehind) { brought.releases = [] }
        let via = seal.into
        if let slot {
            switch table.state(slot) {
            case .sealed:
                mark(.absorbAtSealed)
                if context.planted(.absorbsPassThroughSealed) {
                    return .moved(to: table.parent(slot), version: table.version(slot))
                }
                return .sealed(w)
            case .forward:
                mark(.absorbAtForward)
                return .moved(to: table.parent(slot), version: table.version(slot))
            case .root: break
            }
        }
        let viaFacet = slot.flatMap { table.facet($0, via) }
        if via != w, viaFacet == nil, !context.planted(.absorbAtAnyRoot),
            !context.planted(.anyRootSpeaks)
        {
            if order.proof != .none {
                mark(.absorbReleases)
                return .released(releaseOrder(via, order.proof, slot, context))
            }
            mark(.absorbWrongRoot)
            return .unknownFacet
        }

        // What the winner itself knows decides, before anything that the loser brings.
        let judge =
            context.planted(.swallowedByRoot) || (via != w && viaFacet == nil) ? w : via
        let forgetTime = known(judge, at: w, slot).forgetTime
        let facetsBefore = slot.map { table.facetCount($0) } ?? 0
        let isSwallowed =
            seal.eventTime <= forgetTime && !context.planted(.absorbRevives)
            && !(context.planted(.absorbRevivesBesideLife) && facetsBefore > 0)

        if !isSwallowed, !isStillLinked(seal, slot, context) {
            mark(.absorbEndGone)
            if !isLocal { decline(order, slot, ledger, context) }
            return .declined
        }
        if !isSwallowed, !hasRoom(for: order, slot, context, ledger, brought),
            !context.planted(.neverDeclined)
        {
            mark(isLocal ? .absorbDeclinedLocally : .absorbDeclined)
            if !isLocal { decline(order, slot, ledger, context) }
            return .declined
        }

        let isNew = slot == nil
        let at = slot ?? table.insert(w)
        slot = at
        ledger.formUnion(brought)
        ledger.seal = nil
        if !isLocal {
            ledger.insert(
                absorbed: Ledger.Absorbed(
                    leaf: order.loser, version: order.version, group: order.loserGroup,
                    isDeclined: false))
        }
        prune(&ledger, context)

        var facets = unsafe ByteReader(order.facets.span.bytes)
        if isSwallowed {
            mark(facetsBefore > 0 ? .absorbSwallowedBesideLife : .absorbSwallowed)
            // The leaf that the loser was sealed into was forgotten after this link was made: its
            // person includes the loser, and goes with it.
            var scratch = RecordTable(key: key)
            let copy = scratch.insert(order.loser)
            guard (try? scratch.importFacets(copy, &facets)) != nil else {
                if isNew { table.remove(at) }
                return .malformed
            }
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
            if facetsBefore > 0 {
                setLedger(at, ledger)
            } else {
                settle(at, ledger, context)
            }
            return .absorbed(by: w)
        }

        if facetsBefore > 0 { countIdentifiers(at, by: -1) }
        guard (try? table.importFacets(at, &facets)) != nil else {
            if facetsBefore > 0 { countIdentifiers(at, by: 1) }
            if isNew { table.remove(at) }
            return .malformed
        }
        if context.planted(.windowLeftBehind) || context.planted(.contestedStaysBehind) {
            plantInImported(at, order, context)
        }
        var leaves: [LeafID] = []
        table.forEachFacet(at) { _, leaf in leaves.append(leaf) }
        for leaf in leaves {
            if var facet = table.facet(at, leaf) { table.addGroup(&facet, context.group) }
        }
        if facetsBefore == 0 { mark(isNew ? .absorbIntoAbsent : .absorbIntoEmpty) }
        if !table.hasFacet(at, w) {
            mark(.absorbBeginsFacet)
            let own = known(w, at: w, at)
            let text = seal.intoText
            _ = unsafe table.addFacet(
                at, leaf: w, life: context.at, group: context.group, seen: seal.eventTime,
                flags: own.isContested ? text.flags.union(.contested) : text.flags,
                forgetTime: own.forgetTime == Ledger.Remembered.never ? nil : own.forgetTime,
                space: text.space.span.bytes, namespace: text.namespace.span.bytes,
                value: text.value.span.bytes)
        }
        if seal.winnerEndIsListed, let facet = table.facet(at, seal.winnerEnd) {
            table.setFlags(facet, table.flags(facet).subtracting(.unlisted))
        }
        setLedger(at, ledger)
        if !ledger.releases.isEmpty {
            mark(.absorbBringsReleases)
            dropped.append(w)
        }
        if facetsBefore == 0 { countRoot(w, by: 1) }
        countIdentifiers(at, by: 1)
        if seal.wasLive, facetsBefore > 0 { statistics.mergesCompleted += 1 }
        table.unfile(at)
        fileForExpiry(at, context)
        return .absorbed(by: w)
    }

    /// Whether the leaf that the loser was sealed into is still with the one that the link named.
    /// They part when their profile ends, and with it its links: the loser is linked to another
    /// leaf than this then, or to none (decision 0023).
    private func isStillLinked(
        _ seal: SealNote, _ slot: SlotIndex?, _ context: ApplyContext
    ) -> Bool {
        if seal.winnerEnd == seal.into { return true }
        if let slot, table.hasFacet(slot, seal.winnerEnd) { return true }
        return context.planted(.absorbWithoutItsEnd) || context.planted(.absorbAtAnyRoot)
            || context.planted(.anyRootSpeaks)
    }

    /// Whether the record may take the facets in: exactly for the number of identifiers, and for
    /// bytes with so much to spare that what two finds let pass always fits when nothing comes
    /// between. The loser's own numbers decide no more than they would in a find.
    private func hasRoom(
        for order: AbsorbOrder, _ slot: SlotIndex?, _ context: ApplyContext, _ held: Ledger,
        _ brought: Ledger
    ) -> Bool {
        guard
            held.entryCount + brought.entryCount < Ledger.entriesMax
                || context.planted(.ledgersUnbounded)
        else { return false }
        var reader = unsafe ByteReader(order.facets.span.bytes)
        // Bytes that break the format are told apart where they are read.
        guard let facets = try? reader.u32() else { return true }
        let count = slot.map { table.facetCount($0) } ?? 0
        // A record without facets begins its own.
        guard count + (count == 0 ? 1 : 0) + Int(facets) <= context.identifiersMax else {
            return false
        }
        let bytes = slot.map { table.payloadBytes($0) } ?? 0
        guard bytes + order.facets.count + order.ledger.count <= Self.recordBytesMax else {
            return false
        }
        return hasRoomInProfile(for: order, slot) || context.planted(.profilesUnbounded)
    }

    /// Whether the profile that the absorb makes can be read. The facets spell all out that their
    /// profile does, and more: they are looked into only where that would be too much.
    private func hasRoomInProfile(for order: AbsorbOrder, _ slot: SlotIndex?) -> Bool {
        let held = slot.map { table.profileBytes($0) } ?? 0
        let room = FacetLimits.profileBytesMax - Self.attachBytesMax - held
        if RecordTable.profileBaseBytes + order.facets.count <= room { return true }
        var scratch = RecordTable(key: key)
        let copy = scratch.insert(order.loser)
        var facets = unsafe ByteReader(order.facets.span.bytes)
        // Bytes that break the format are told apart where they are read.
        guard (try? scratch.importFacets(copy, &facets)) != nil else { return true }
        return scratch.profileBytes(copy) <= room
    }

    /// Bytes that a record's payload and an absorb may come to together: a profile's own, an
    /// absorb's facets and its ledger, and as much again.
    static let recordBytesMax = 2 * (payloadBytesMax + 2 * absorbBytesMax)

    /// Remembers that it took nothing in: every later copy is answered alike, so that the loser can
    /// be a root again without ever being absorbed at that version.
    private func decline(
        _ order: AbsorbOrder, _ slot: SlotIndex?, _ known: Ledger, _ context: ApplyContext
    ) {
        guard !context.planted(.declineForgotten) else { return }
        let at = slot ?? table.insert(order.target)
        var ledger = known
        ledger.insert(
            absorbed: Ledger.Absorbed(
                leaf: order.loser, version: order.version, group: order.loserGroup,
                isDeclined: true))
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
        if context.planted(.pruneWithoutMarks) {
            ledger.absorbed = []
        } else if !context.planted(.noMarks) {
            let held = ledger.absorbed.count
            ledger.prune(marks: context.marks)
            if ledger.absorbed.count < held { mark(.ledgerPruned) }
        }
    }

    private func plantInImported(_ slot: SlotIndex, _ order: AbsorbOrder, _ context: ApplyContext) {
        #if KITH_PLANTED
        var scratch = RecordTable(key: key)
        let copy = scratch.insert(order.loser)
        var facets = unsafe ByteReader(order.facets.span.bytes)
        guard (try? scratch.importFacets(copy, &facets)) != nil else { return }
        scratch.forEachFacet(copy) { _, leaf in
            guard let facet = table.facet(slot, leaf) else { return }
            if context.planted(.contestedStaysBehind) {
                table.setFlags(facet, table.flags(facet).subtracting(.contested))
            }
            if context.planted(.windowLeftBehind) { table.clearWindow(facet) }
        }
        #endif
    }
}

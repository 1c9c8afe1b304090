internal import KithBytes
internal import KithConsensus
internal import KithCore

// What a simulation reads of a group.

extension Group {
    /// Traps where a rule of the group's records is broken. O(records).
    func checkInvariants() { machine.checkInvariants(on: shards) }

    /// Whether there may be any: a record is sealed, or an operation waits for the log. O(1).
    var mayHaveOpenMerges: Bool {
        !machine.sealed.isEmpty || unloggedOperations.contains { !$0.isEmpty }
    }

    /// The merges of this group's records that are not at their end.
    var openMerges: [OpenMerge] {
        var merges = machine.sealed.compactMap { record -> OpenMerge? in
            let shard = shards.machine(record.leaf.shard)
            guard let slot = shard.table.find(record.leaf) else { return nil }
            return OpenMerge(
                loser: record.leaf, into: shard.table.parent(slot), version: record.version)
        }
        for operation in unlogged {
            var reader = unsafe ByteReader(operation.payload.span.bytes)
            guard let loser = try? reader.leaf() else { continue }
            switch operation.type {
            case .seal:
                guard let winner = try? reader.leaf() else { continue }
                merges.append(
                    OpenMerge(loser: loser, into: winner, version: .none, unlogged: .seal))
            case .forward, .reopen:
                guard let place = merges.firstIndex(where: { $0.loser == loser }) else { continue }
                merges[place].unlogged = operation.type == .forward ? .forward : .reopen
            default: continue
            }
        }
        return merges
    }

    /// What this group knows of an absorb.
    func absorbState(
        of loser: LeafID, version: OperationIndex, at winner: LeafID
    ) -> AbsorbState {
        for operation in unlogged where operation.type == .absorb {
            var reader = unsafe ByteReader(operation.payload.span.bytes)
            guard let order = try? AbsorbOrder(decoding: &reader) else { continue }
            if order.loser == loser, order.version == version { return .unlogged }
        }
        let shard = shards.machine(winner.shard)
        guard let slot = shard.table.find(winner) else { return .empty }
        if let entry = shard.absorbed(loser, version, at: slot) {
            return entry.isDeclined ? .declined : .absorbed
        }
        switch shard.table.state(slot) {
        case .sealed: return .sealed(into: shard.table.parent(slot))
        case .forward: return .moved(to: shard.table.parent(slot))
        case .root: return shard.table.facetCount(slot) == 0 ? .empty : .none
        }
    }

    /// The operations that wait for the log or for its sync, in order.
    private var unlogged: [(type: OperationType, payload: [UInt8])] {
        var operations: [(OperationType, [UInt8])] = []
        for writer in unloggedOperations {
            let bytes = writer.bytes
            var reader = unsafe ByteReader(bytes.span.bytes)
            while !reader.isAtEnd {
                do throws(ByteError) {
                    let type = OperationType(rawValue: try reader.u8())
                    let length = Int(try reader.u32())
                    _ = try reader.i64()
                    let payload = try reader.take(length)
                    if let type, type != .event { operations.append((type, payload.copied())) }
                } catch {
                    break
                }
            }
        }
        return operations
    }
}

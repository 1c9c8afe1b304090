internal import KithBytes

/// Writing what was read: the body, in the format of `EventBody`, and the head and identifiers
/// that point into it. The event has been checked by now; nothing here can refuse it.
extension EventReader {
    /// Writes head, identifiers and body; nothing can go wrong any more.
    mutating func append(
        _ event: RawSpan, type: EventType, time: Int64, _ source: EventTime.Source, stamp: Int64,
        into batch: inout EventBatch, assignMessageID: () -> [UInt8]
    ) {
        let bodyStart = batch.body.count
        let identifierStart = batch.identifiers.count
        let hasAlias = found.contains { $0.flags != 0 }

        var fixed = ByteBlock(byteCount: 26)
        fixed.store(type.rawValue, at: 0)
        fixed.store(time, at: EventBody.timeOffset)
        fixed.store(stamp, at: EventBody.stampOffset)
        batch.body.raw(fixed)
        let isAssigned = appendMessageID(event, to: &batch.body, assignMessageID: assignMessageID)
        if isAssigned { batch.note(EventNote(position: position, .noMessageID)) }
        let idStart = bodyStart + EventBody.messageIDOffset + 1
        let messageHash = unsafe SipHash64.hash(
            batch.body.bytes.span.bytes.extracting(idStart..<batch.body.count), key: key)
        batch.body.bytes[bodyStart + EventBody.flagsOffset] =
            (hasAlias ? EventBody.hasAliasFlag : 0) | (isAssigned ? EventBody.assignedIDFlag : 0)
            | (source == .stated ? EventBody.statedTimeFlag : 0)
            | (batch.ignoredHere.isEmpty ? 0 : EventBody.ignoredFlag)
        batch.body.patchU64(messageHash, at: bodyStart + EventBody.messageHashOffset)
        appendCounterName(event, type: type, to: &batch.body)
        batch.body.u8(UInt8(space.count))
        batch.body.raw(space)
        appendIdentifiers(to: &batch)
        batch.body.u16(UInt16(traits.count))
        for trait in traits {
            batch.body.bytes16(
                event.extracting(trait.nameStart..<(trait.nameStart + trait.nameCount)))
            batch.body.bytes32(event.extracting(trait.valueStart..<trait.end))
        }
        appendRest(event, type: type, to: &batch.body)
        if !batch.ignoredHere.isEmpty { appendIgnored(to: &batch) }

        batch.heads.append(
            EventHead(
                position: position, type: type, hasAlias: hasAlias, time: time, stamp: stamp,
                messageHash: messageHash, identifierStart: identifierStart,
                identifierCount: batch.identifiers.count - identifierStart, bodyStart: bodyStart,
                bodyCount: batch.body.count - bodyStart))
    }

    private func appendIgnored(to batch: inout EventBatch) {
        let ignored = batch.ignoredHere.present
        batch.body.u8(UInt8(ignored.count))
        for (reason, count) in ignored {
            batch.body.u8(reason.rawValue)
            batch.body.u32(count)
        }
        batch.ignoredHere.removeAll()
    }

    /// Whether the id had to be assigned.
    private mutating func appendMessageID(
        _ event: RawSpan, to body: inout ByteWriter, assignMessageID: () -> [UInt8]
    ) -> Bool {
        if let value = value(paths.messageID, event) {
            let isCarried = Self.withMessageID(value) { id in
                guard Rules.isMessageID(id, normaliser) else { return false }
                carryMessageID(id, to: &body)
                return true
            }
            if isCarried == true { return false }
        }
        let id = assignMessageID()
        precondition(1...Self.messageIDBytesMax ~= id.count, "a message id of \(id.count)")
        body.u8(UInt8(id.count))
        body.raw(id)
        return true
    }

    private mutating func carryMessageID(_ id: RawSpan, to body: inout ByteWriter) {
        if id.byteCount <= Self.messageIDBytesMax {
            body.u8(UInt8(id.byteCount))
            body.raw(id)
            slots[paths.messageID].isCarried = true
        } else {
            let hash = SipHash128.hash(id, key: key)
            let hex = Array(LeafID(high: hash.high, low: hash.low).hex.utf8)
            body.u8(UInt8(hex.count))
            body.raw(hex)
        }
    }

    private mutating func appendCounterName(
        _ event: RawSpan, type: EventType, to body: inout ByteWriter
    ) {
        guard type == .track, let name = text(paths.event, event) else {
            return body.text16(type.name)
        }
        var count = name.byteCount
        if count > Self.counterNameBytesMax {
            count = Self.counterNameBytesMax
            // Back to where a character begins.
            while name[count] & 0xc0 == 0x80 { count -= 1 }
        } else {
            slots[paths.event].isCarried = true
        }
        body.bytes16(name.extracting(0..<count))
    }

    private func appendIdentifiers(to batch: inout EventBatch) {
        batch.body.u8(UInt8(found.count))
        for identifier in found {
            let identifierClass = namespaces[identifier.namespace].identifierClass
            let limit = namespaces[identifier.namespace].limit
            let place = identifier.valueStart..<(identifier.valueStart + identifier.valueCount)
            var head = ByteBlock(byteCount: 17)
            head.store(identifier.leaf.high, at: 0)
            head.store(identifier.leaf.low, at: 8)
            head.store(identifier.flags, at: 16)
            batch.body.raw(head)
            batch.body.raw(namespaces[identifier.namespace].bodyBytes)
            batch.body.u16(UInt16(place.count))
            batch.identifiers.append(
                EventIdentifier(
                    leaf: identifier.leaf, flags: identifier.flags,
                    namespaceIndex: UInt8(identifier.namespace), limit: limit,
                    valueStart: batch.body.count, valueCount: place.count))
            unsafe batch.body.raw(values.span.bytes.extracting(place))
            var quarantine = ByteBlock(byteCount: 16)
            if identifierClass == .anonymous {
                let leaf = unsafe LeafHasher.leaf(
                    class: .anonymous, prefix: quarantinePrefixes[identifier.namespace],
                    value: values.span.bytes.extracting(place))
                quarantine.store(leaf.high, at: 0)
                quarantine.store(leaf.low, at: 8)
            }
            batch.body.raw(quarantine)
        }
    }

    /// Every member that has no field of its own in the body, as it came.
    private mutating func appendRest(
        _ event: RawSpan, type: EventType, to body: inout ByteWriter
    ) {
        for node in [
            paths.type, paths.timestamp, paths.originalTimestamp, paths.sentAt, paths.receivedAt,
        ] {
            slots[node].isCarried = true
        }
        members.removeAll { $0.node >= 0 && slots[$0.node].isCarried }
        members.sortKeepingLast(in: event)
        let start = body.count
        body.u32(0)
        body.cborMap(count: members.count)
        for member in members { body.raw(event.extracting(member.start..<member.end)) }
        body.patchU32(UInt32(body.count - start - 4), at: start)
    }
}

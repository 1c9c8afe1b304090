internal import KithBytes

/// An identifier of the event at hand, its value in `EventReader.values`.
struct FoundIdentifier: Sendable {
    var leaf: LeafID
    var namespace: Int
    var flags: UInt8
    /// Whether it comes before all others: the `userId` of an alias.
    var isFirst: Bool
    /// Where the event carries it.
    var origin: IdentifierPlace
    var valueStart: Int
    var valueCount: Int
}

/// Which identifiers an event names: those at the paths of the namespaces, those of
/// `context.externalIds`, and an alias's `previousId`. `found` stays sorted by class, then the
/// namespaces' order, then value, each identifier once.
extension EventReader {
    /// The event's own identifiers.
    mutating func findIdentifiers(
        _ event: RawSpan, type: EventType, _ batch: inout EventBatch
    ) {
        var settled = -1
        for place in paths.sources.indices {
            let source = paths.sources[place]
            if source.namespace == settled { continue }
            if type == .group, paths.nodes[source.node].isUnderTraits { continue }
            guard let value = value(source.node, event) else { continue }
            do throws(IgnoredIdentifier) {
                try add(
                    value, namespace: source.namespace, flags: 0,
                    isFirst: type == .alias && source.namespace == userID,
                    at: .path(UInt16(place)), &batch)
                slots[source.node].isCarried = true
                settled = source.namespace
            } catch {
                batch.ignore(
                    error, namespace: source.namespace, at: .path(UInt16(place)),
                    position: position)
            }
        }
        if let list = value(paths.externalIDs, event) {
            do throws(ByteError) {
                try findExternalIDs(list, &batch)
            } catch {
                // Not an array. Nothing else is left to be wrong after the pass over the event.
                batch.ignore(.invalid, namespace: nil, at: .externalIDs, position: position)
            }
        }
    }

    /// Tells of an event without identifiers which of their places hold `null`.
    func noteNulls(_ event: RawSpan, _ batch: inout EventBatch) {
        for place in paths.sources.indices {
            let slot = slots[paths.sources[place].node]
            guard slot.count > 0, value(paths.sources[place].node, event) == nil else { continue }
            batch.note(
                EventNote(position: position, .isNull(at: .path(UInt16(place)))))
        }
    }

    /// What an alias's person was called before: the text as a user id and as an anonymous id.
    /// Whether it is any of the two.
    mutating func findPreviousID(_ event: RawSpan, _ batch: inout EventBatch) -> Bool {
        guard let value = value(paths.previousID, event) else { return false }
        var isUsed = false
        // Only where the event has a user id of its own are there two such ends to join.
        let hasUserID = found.contains(where: \.isFirst)
        var reason: IgnoredIdentifier?
        if let userID {
            let flags =
                EventIdentifier.unlisted | (hasUserID ? EventIdentifier.aliasEnd : 0)
            reason = addPrevious(value, namespace: userID, flags: flags, &batch)
            isUsed = reason == nil
        }
        if let anonymousID {
            let other = addPrevious(
                value, namespace: anonymousID, flags: EventIdentifier.unlisted, &batch)
            isUsed = isUsed || other == nil
            reason = reason ?? other
        }
        // One value is one ignored identifier, though it is tried as two.
        if let reason {
            batch.ignore(reason, namespace: userID, at: .previousID, position: position)
        }
        return isUsed
    }

    private mutating func addPrevious(
        _ value: RawSpan, namespace: Int, flags: UInt8, _ batch: inout EventBatch
    ) -> IgnoredIdentifier? {
        do throws(IgnoredIdentifier) {
            try add(
                value, namespace: namespace, flags: flags, isFirst: false, at: .previousID, &batch)
            slots[paths.previousID].isCarried = true
            return nil
        } catch {
            return error
        }
    }

    /// The entries `{id, type}`, their type naming the namespace.
    private mutating func findExternalIDs(
        _ list: RawSpan, _ batch: inout EventBatch
    ) throws(ByteError) {
        var reader = CBORReader(list)
        var entries = try reader.array()
        while try reader.next(in: &entries) {
            guard try reader.kind() == .map else {
                try reader.skip()
                batch.ignore(.invalid, namespace: nil, at: .externalIDs, position: position)
                continue
            }
            var idStart = 0
            var idEnd = 0
            var namespace: Int?
            var members = try reader.map()
            while try reader.next(in: &members) {
                guard try reader.kind() == .text else {
                    try reader.skip()
                    try reader.skip()
                    continue
                }
                let name = try reader.text()
                if unsafe name.isEqual(to: Self.idName.span.bytes) {
                    idStart = reader.offset
                    try reader.skip()
                    idEnd = reader.offset
                } else if unsafe name.isEqual(to: Self.typeName.span.bytes),
                    try reader.kind() == .text
                {
                    namespace = self.namespace(named: try reader.text())
                } else {
                    try reader.skip()
                }
            }
            guard let namespace else {
                batch.ignore(
                    .unknownNamespace, namespace: nil, at: .externalIDs, position: position)
                continue
            }
            do throws(IgnoredIdentifier) {
                // Without an id this is no item at all, and invalid like any other wrong one.
                try add(
                    list.extracting(idStart..<idEnd), namespace: namespace, flags: 0,
                    isFirst: false, at: .externalIDs, &batch)
            } catch {
                batch.ignore(error, namespace: namespace, at: .externalIDs, position: position)
            }
        }
    }

    private static let idName = Array("id".utf8)
    private static let typeName = Array("type".utf8)

    private func namespace(named name: RawSpan) -> Int? {
        for index in namespaces.indices {
            let candidate = namespaces[index].name
            if unsafe candidate.span.bytes.isEqual(to: name) { return index }
        }
        return nil
    }

    /// Adds the identifier that the CBOR item `value` is in a namespace.
    private mutating func add(
        _ value: RawSpan, namespace: Int, flags: UInt8, isFirst: Bool, at origin: IdentifierPlace,
        _ batch: inout EventBatch
    ) throws(IgnoredIdentifier) {
        let start = values.count
        try normalise(value, namespace: namespace)
        let place = start..<values.count
        let identifier = FoundIdentifier(
            leaf: leaf(namespace, place), namespace: namespace, flags: flags, isFirst: isFirst,
            origin: origin, valueStart: start, valueCount: place.count)
        if mergeIntoSame(identifier) {
            values.removeLast(place.count)
        } else {
            insert(identifier, &batch)
        }
    }

    /// Appends the normalised value of a text or of a number that is an integer to `values`.
    private mutating func normalise(
        _ value: RawSpan, namespace: Int
    ) throws(IgnoredIdentifier) {
        guard value.byteCount > 0 else { throw .invalid }
        if value[0] >> 5 == 3 {
            guard let text = Self.text(value) else { throw .invalid }
            return try normaliser.normalise(text, namespace: namespace, into: &values)
        }
        let digits = try Self.digits(value)
        unsafe try normaliser.normalise(digits.span.bytes, namespace: namespace, into: &values)
    }

    /// The decimal text of a number that is an integer: of one written as an integer at any length,
    /// of a float up to 2^53, where it still tells all integers apart.
    static func digits(_ value: RawSpan) throws(IgnoredIdentifier) -> [UInt8] {
        switch value[0] {
        case 0xf9...0xfb:
            var reader = CBORReader(value)
            // Cannot throw: the pass over the event has read the float once.
            guard let number = try? reader.float(), number.magnitude <= 0x1p53,
                number == number.rounded()
            else { throw .invalid }
            return Array(String(Int64(number)).utf8)
        case 0x00...0x3f, 0xc0...0xdf:
            // Turning bytes into digits is quadratic; what is too long anyway is not begun.
            guard value.byteCount <= integerBytesMax else {
                throw value[0] == 0xc2 || value[0] == 0xc3 ? .tooLong : .invalid
            }
            guard let digits = CBORInteger.decimal(value) else { throw .invalid }
            return digits
        default: throw .invalid
        }
    }

    /// Bytes of a CBOR integer whose digits may be no more than an identifier has.
    private static let integerBytesMax = 5 + IdentifierNormaliser.valueBytesMax * 10 / 24

    /// Whether the identifier is there already; then it is its own as soon as one of the two is.
    private mutating func mergeIntoSame(_ identifier: FoundIdentifier) -> Bool {
        for place in found.indices where found[place].leaf == identifier.leaf {
            let unlisted = found[place].flags & identifier.flags & EventIdentifier.unlisted
            let aliasEnd = (found[place].flags | identifier.flags) & EventIdentifier.aliasEnd
            // An alias of a person to itself joins nothing.
            found[place].flags = found[place].isFirst ? 0 : unlisted | aliasEnd
            return true
        }
        return false
    }

    /// Inserts in order; above `identifiersMax` the last one goes, counted as `limit`.
    private mutating func insert(
        _ identifier: FoundIdentifier, _ batch: inout EventBatch
    ) {
        var place = found.count
        while place > 0, precedes(identifier, found[place - 1]) { place -= 1 }
        found.insert(identifier, at: place)
        if found.count > Self.identifiersMax, let last = found.popLast() {
            batch.ignore(
                .limit, namespace: last.namespace, at: last.origin, position: position)
        }
    }

    private func precedes(_ left: FoundIdentifier, _ right: FoundIdentifier) -> Bool {
        if left.isFirst != right.isFirst { return left.isFirst }
        if left.namespace != right.namespace {
            return namespaces[left.namespace].rank < namespaces[right.namespace].rank
        }
        let common = min(left.valueCount, right.valueCount)
        for offset in 0..<common {
            let a = values[left.valueStart + offset]
            let b = values[right.valueStart + offset]
            if a != b { return a < b }
        }
        return left.valueCount < right.valueCount
    }
}

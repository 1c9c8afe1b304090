internal import KithBytes

/// An identifier of the event at hand, its value in `EventReader.values`.
struct FoundIdentifier: Sendable {
    var leaf: LeafID
    var namespace: Int
    var flags: UInt8
    /// Whether it comes before all others: the `userId` of an alias.
    var isFirst: Bool
    var valueStart: Int
    var valueCount: Int
}

/// Which identifiers an event names: those at the paths of the namespaces, those of
/// `context.externalIds`, and an alias's `previousId`. `found` stays sorted by class, then the
/// namespaces' order, then value, each identifier once.
extension EventReader {
    /// The event's own identifiers.
    mutating func findIdentifiers(
        _ event: RawSpan, type: EventType, ignored: inout IgnoredIdentifierCounts
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
                    isFirst: type == .alias && source.namespace == userID, ignored: &ignored)
                slots[source.node].isCarried = true
                settled = source.namespace
            } catch {
                ignored.add(error)
            }
        }
        if let list = value(paths.externalIDs, event) {
            do throws(ByteError) {
                try findExternalIDs(list, ignored: &ignored)
            } catch {
                // Not an array. Nothing else is left to be wrong after the pass over the event.
                ignored.add(.invalid)
            }
        }
    }

    /// What an alias's person was called before: the text as a user id and as an anonymous id.
    mutating func findPreviousID(_ event: RawSpan, ignored: inout IgnoredIdentifierCounts) {
        guard let value = value(paths.previousID, event) else { return }
        // Only where the event has a user id of its own are there two such ends to join.
        let hasUserID = found.contains(where: \.isFirst)
        var reason: IgnoredIdentifier?
        if let userID {
            let flags =
                EventIdentifier.unlisted | (hasUserID ? EventIdentifier.aliasEnd : 0)
            reason = addPrevious(value, namespace: userID, flags: flags, ignored: &ignored)
        }
        if let anonymousID {
            let other = addPrevious(
                value, namespace: anonymousID, flags: EventIdentifier.unlisted, ignored: &ignored)
            reason = reason ?? other
        }
        // One value is one ignored identifier, though it is tried as two.
        if let reason { ignored.add(reason) }
    }

    private mutating func addPrevious(
        _ value: RawSpan, namespace: Int, flags: UInt8, ignored: inout IgnoredIdentifierCounts
    ) -> IgnoredIdentifier? {
        do throws(IgnoredIdentifier) {
            try add(value, namespace: namespace, flags: flags, isFirst: false, ignored: &ignored)
            slots[paths.previousID].isCarried = true
            return nil
        } catch {
            return error
        }
    }

    /// The entries `{id, type}`, their type naming the namespace.
    private mutating func findExternalIDs(
        _ list: RawSpan, ignored: inout IgnoredIdentifierCounts
    ) throws(ByteError) {
        var reader = CBORReader(list)
        var entries = try reader.array()
        while try reader.next(in: &entries) {
            guard try reader.kind() == .map else {
                try reader.skip()
                ignored.add(.invalid)
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
                ignored.add(.unknownNamespace)
                continue
            }
            do throws(IgnoredIdentifier) {
                // Without an id this is no item at all, and invalid like any other wrong one.
                try add(
                    list.extracting(idStart..<idEnd), namespace: namespace, flags: 0,
                    isFirst: false, ignored: &ignored)
            } catch {
                ignored.add(error)
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
        _ value: RawSpan, namespace: Int, flags: UInt8, isFirst: Bool,
        ignored: inout IgnoredIdentifierCounts
    ) throws(IgnoredIdentifier) {
        let start = values.count
        try normalise(value, namespace: namespace)
        let place = start..<values.count
        let identifier = FoundIdentifier(
            leaf: leaf(namespace, place), namespace: namespace, flags: flags, isFirst: isFirst,
            valueStart: start, valueCount: place.count)
        if mergeIntoSame(identifier) {
            values.removeLast(place.count)
        } else {
            insert(identifier, ignored: &ignored)
        }
    }

    /// Appends the normalised value of a text or an integer to `values`.
    private mutating func normalise(
        _ value: RawSpan, namespace: Int
    ) throws(IgnoredIdentifier) {
        guard value.byteCount > 0 else { throw .invalid }
        switch value[0] >> 5 {
        case 0, 1:
            let digits = Self.decimal(value)
            unsafe try normaliser.normalise(
                digits.span.bytes, namespace: namespace, into: &values)
        case 3:
            guard let text = Self.text(value) else { throw .invalid }
            try normaliser.normalise(text, namespace: namespace, into: &values)
        default:
            throw .invalid
        }
    }

    /// The decimal digits of a CBOR integer.
    private static func decimal(_ value: RawSpan) -> [UInt8] {
        var reader = CBORReader(value)
        do throws(ByteError) {
            let head = try reader.head()
            if head.major == 0 { return Array(String(head.argument).utf8) }
            // −1 − n, whose magnitude passes 64 bits for the greatest n.
            if head.argument == .max { return Array("-18446744073709551616".utf8) }
            return Array("-\(head.argument + 1)".utf8)
        } catch {
            return []
        }
    }

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
        _ identifier: FoundIdentifier, ignored: inout IgnoredIdentifierCounts
    ) {
        var place = found.count
        while place > 0, precedes(identifier, found[place - 1]) { place -= 1 }
        found.insert(identifier, at: place)
        if found.count > Self.identifiersMax {
            found.removeLast()
            ignored.add(.limit)
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

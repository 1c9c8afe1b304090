public import KithBytes

/// Reads one event of the Segment spec, as CBOR, into the normalised form that is logged.
///
/// One pass over the event checks all of it and notes where the values lie that matter
/// (`EventPaths`); what follows works on those places. Scratch memory is kept between events, so
/// reading allocates nothing once warm. Pure: the arrival time and new message ids come from the
/// caller.
///
/// Where the spec leaves a choice:
/// - A name twice in a map: the later member counts.
/// - The size limit is on the CBOR that arrived; nesting counts the event's own map.
/// - `undefined` is taken as `null`, and a `null` member as absent, but for traits.
/// - The first path of a namespace with a usable value gives the identifier; ignored ones before
///   it are counted.
/// - The top-level `traits` of a `group` describe the group, so they name nobody.
/// - Of what is no object where one is looked into, as JSON in a text, nothing is read, which is
///   told.
/// - Of the four times only those that the rule uses must be one (`EventTime`).
/// - Event names are kept as they are and counted under their first 200 bytes, cut before a
///   character that would not fit. A name of blanks only is missing.
/// - A message id above 255 bytes is replaced by its 128-bit hash in hex. One that would be blocked
///   as an identifier, or that lost half of a surrogate pair, is none: others have it too.
/// - Strings in chunks (CBOR's indefinite lengths) are put together first; that event pays for it.
public struct EventReader: Sendable {
    /// Identifiers of one event. The strongest are kept.
    public static let identifiersMax = 32
    /// Bytes of a message id.
    static let messageIDBytesMax = 255
    /// Bytes of an event's name as a counter.
    static let counterNameBytesMax = 200
    /// Bytes of an event, unless the reader is told otherwise.
    public static let eventBytesStandard = 32 * 1024
    /// The most that `eventBytesMax` may be: member names and their count fit 16 bits.
    static let eventBytesLimit = Int(UInt16.max)

    let key: HashKey
    let eventBytesMax: Int
    let hasher: LeafHasher
    let normaliser: IdentifierNormaliser
    let paths: EventPaths
    let namespaces: [CompiledNamespace]
    let userID: Int?
    let anonymousID: Int?
    /// The first 8 bytes of each type's name, in the order of raw values.
    private let typeWords: [UInt64]

    // The space that the prefixes are for.
    var space: [UInt8] = []
    private var prefixes: [SipHash128] = []
    var quarantinePrefixes: [SipHash128] = []

    // Scratch of the event at hand.
    var slots: [Slot]
    var members: [EventMember] = []
    var traits: [EventMember] = []
    var found: [FoundIdentifier] = []
    /// The values of `found`.
    var values: [UInt8] = []
    /// Its place in the client's batch.
    var position: UInt32 = 0
    /// The field that the refusal is about.
    var fault: EventFault?

    /// What of a namespace is needed for every event.
    struct CompiledNamespace: Sendable {
        var name: [UInt8]
        var identifierClass: IdentifierClass
        var limit: UInt16
        /// Limit and name as they stand in a body.
        var bodyBytes: [UInt8]
        /// Place in the order by class, then configuration.
        var rank: Int
    }

    /// Where the value of a node lies in the event.
    struct Slot: Sendable {
        var start = 0
        /// 0 where the event does not have it.
        var count = 0
        /// Whether the body holds the value in a field of its own.
        var isCarried = false
    }

    /// Compiles `rules`, which must have no `problems()`.
    public init(
        rules: IdentityRules, key: HashKey, eventBytesMax: Int = EventReader.eventBytesStandard
    ) {
        precondition(eventBytesMax <= Self.eventBytesLimit, "events of \(eventBytesMax) bytes")
        precondition(rules.problems().isEmpty, "rules with problems")
        self.key = key
        self.eventBytesMax = eventBytesMax
        hasher = LeafHasher(key: key)
        normaliser = IdentifierNormaliser(rules)
        paths = EventPaths(rules)
        let order = rules.namespaces.indices.sorted { left, right in
            let a = rules.namespaces[left].identifierClass
            let b = rules.namespaces[right].identifierClass
            return a != b ? a < b : left < right
        }
        var compiled = rules.namespaces.map { namespace in
            let name = Array(namespace.name.utf8)
            var body = ByteWriter()
            body.u16(UInt16(namespace.limit))
            body.u8(UInt8(name.count))
            body.raw(name)
            return CompiledNamespace(
                name: name, identifierClass: namespace.identifierClass,
                limit: UInt16(namespace.limit), bodyBytes: body.bytes, rank: 0)
        }
        for (rank, index) in order.enumerated() { compiled[index].rank = rank }
        namespaces = compiled
        userID = rules.namespaceIndex(named: "user_id")
        anonymousID = rules.namespaceIndex(named: "anonymous_id")
        typeWords = EventType.allCases.map { unsafe $0.name.utf8.span.bytes.leadingWord() }
        slots = Array(repeating: Slot(), count: paths.nodes.count)
    }

    /// Appends the event to `batch`, or leaves the batch's events as they were and says why it is
    /// refused. What it names that is no identifier counts with it, and all that there is to tell
    /// is noted, in both cases. O(bytes).
    ///
    /// - Parameters:
    ///   - event: one CBOR item.
    ///   - position: the event's place in the client's batch.
    ///   - space: a valid name (`IdentityRules.isName`); fastest where it seldom changes.
    ///   - arrival: wall time in milliseconds since 1970, used where the event has no `receivedAt`.
    ///   - stamp: see `EventHead.stamp`.
    ///   - assignMessageID: asked for an id of 1 to 255 bytes where the event has none.
    public mutating func read(
        _ event: RawSpan, position: UInt32, space: RawSpan, arrival: Int64, stamp: Int64?,
        into batch: inout EventBatch, assignMessageID: () -> [UInt8]
    ) throws(EventRejection) {
        self.position = position
        fault = nil
        do throws(EventRejection) {
            try readWhole(
                event, arrival: arrival, stamp: stamp, space: space, into: &batch,
                assignMessageID: assignMessageID)
        } catch {
            if let fault { batch.note(EventNote(position: position, .fault(fault))) }
            batch.refuse()
            throw error
        }
    }

    private mutating func readWhole(
        _ event: RawSpan, arrival: Int64, stamp: Int64?, space: RawSpan,
        into batch: inout EventBatch, assignMessageID: () -> [UInt8]
    ) throws(EventRejection) {
        guard event.byteCount <= eventBytesMax else { throw .eventTooLarge }
        use(space)
        var reader = CBORReader(event)
        let isWhole = scan(&reader)
        guard reader.hasChunkedString else {
            guard isWhole else { throw .invalidJSON }
            return try take(
                event, arrival: arrival, stamp: stamp, into: &batch,
                assignMessageID: assignMessageID)
        }
        let whole: [UInt8]
        do throws(ByteError) {
            whole = try CBORValue(decoding: event).encoded()
        } catch {
            throw .invalidJSON
        }
        var again = unsafe CBORReader(whole.span.bytes)
        guard scan(&again) else { throw .invalidJSON }
        try unsafe take(
            whole.span.bytes, arrival: arrival, stamp: stamp, into: &batch,
            assignMessageID: assignMessageID)
    }

    // MARK: The pass over the event

    /// Fills `members` and `slots`; false where the bytes are not exactly one map.
    private mutating func scan(_ reader: inout CBORReader) -> Bool {
        members.removeAll(keepingCapacity: true)
        clearSlots(0..<slots.count)
        do throws(ByteError) {
            try walk(&reader, node: 0, depth: 0)
            return reader.isAtEnd
        } catch {
            return false
        }
    }

    /// Reads the map of `node`, and those below it that paths lead through.
    private mutating func walk(
        _ reader: inout CBORReader, node: Int, depth: Int
    ) throws(ByteError) {
        var count = try reader.map()
        while try reader.next(in: &count) {
            let start = reader.offset
            let name = try reader.text()
            let nameStart = reader.offset - name.byteCount
            let child = paths.child(of: node, named: name)
            let valueStart = reader.offset
            if child >= 0, paths.hasChildren(child) {
                // Of a member that comes twice nothing of the first may stay.
                clearSlots(child..<paths.nodes[child].end)
                if try reader.kind() == .map {
                    try walk(&reader, node: child, depth: depth + 1)
                } else {
                    try reader.skip(depth: depth + 1)
                }
            } else {
                try reader.skip(depth: depth + 1)
            }
            if child >= 0 {
                slots[child] = Slot(start: valueStart, count: reader.offset - valueStart)
            }
            if node == 0 {
                members.append(
                    EventMember(
                        start: start, nameStart: nameStart, nameCount: name.byteCount,
                        valueStart: valueStart, end: reader.offset, node: child))
            }
        }
    }

    private mutating func clearSlots(_ nodes: Range<Int>) {
        var slots = slots.mutableSpan
        for node in nodes { slots[node] = Slot() }
    }

    /// The value of `node`; nil where it is absent or null. Inlined, or the whole reader would be
    /// copied for each call.
    @_lifetime(copy event)
    @inline(__always)
    func value(_ node: Int, _ event: RawSpan) -> RawSpan? {
        let slot = slots[node]
        guard slot.count > 0 else { return nil }
        let initial = event[slot.start]
        guard initial != 0xf6, initial != 0xf7 else { return nil }
        return event.extracting(slot.start..<(slot.start + slot.count))
    }

    /// The value of `node` where it is a text.
    @_lifetime(copy event)
    @inline(__always)
    func text(_ node: Int, _ event: RawSpan) -> RawSpan? {
        guard let value = value(node, event) else { return nil }
        return Self.text(value)
    }

    /// The text that an item is; nil where it is something else.
    @_lifetime(copy item)
    static func text(_ item: RawSpan) -> RawSpan? {
        var reader = CBORReader(item)
        do throws(ByteError) {
            return try reader.text()
        } catch {
            return nil
        }
    }

    /// Gives the text of an item that may be a message id to `body`: a text, or the digits of an
    /// integer. Nil for what is neither.
    public static func withMessageID<R>(_ item: RawSpan, _ body: (RawSpan) -> R) -> R? {
        if let text = text(item) { return body(text) }
        do throws(IgnoredIdentifier) {
            let digits = try digits(item)
            return unsafe body(digits.span.bytes)
        } catch {
            return nil
        }
    }

    // MARK: The parts

    private mutating func take(
        _ event: RawSpan, arrival: Int64, stamp: Int64?, into batch: inout EventBatch,
        assignMessageID: () -> [UInt8]
    ) throws(EventRejection) {
        guard let type = type(event) else {
            fault = EventFault(.type, textProblem(paths.type, event))
            throw .invalidType
        }
        if type == .track, !hasEventName(event) {
            fault = EventFault(.event, textProblem(paths.event, event))
            throw .missingEventName
        }
        found.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
        noteWrongKinds(event, type: type, &batch)
        findIdentifiers(event, type: type, &batch)
        guard !found.isEmpty else {
            noteNulls(event, &batch)
            throw .noIdentifier
        }
        let (time, source) = try time(event, arrival: arrival)
        if type == .alias {
            guard value(paths.previousID, event) != nil else {
                fault = EventFault(.previousID, textProblem(paths.previousID, event))
                throw .missingPreviousID
            }
            guard findPreviousID(event, &batch) else {
                fault = EventFault(.previousID, .isNoIdentifier)
                throw .missingPreviousID
            }
        }
        if source == .moved { batch.note(EventNote(position: position, .timeMoved)) }
        collectTraits(event, isIdentify: type == .identify)
        append(
            event, type: type, time: time, source, stamp: stamp ?? EventHead.noStamp, into: &batch,
            assignMessageID: assignMessageID)
    }

    private mutating func time(
        _ event: RawSpan, arrival: Int64
    ) throws(EventRejection) -> (time: Int64, EventTime.Source) {
        let answer = EventTime.of(arrival: arrival) { field in
            let node =
                switch field {
                case .receivedAt: paths.receivedAt
                case .sentAt: paths.sentAt
                case .originalTimestamp: paths.originalTimestamp
                default: paths.timestamp
                }
            guard let value = value(node, event) else { return nil }
            return Timestamp.reading(item: value)
        }
        switch answer {
        case .time(let time, let source): return (time, source)
        case .fault(let fault):
            self.fault = fault
            throw .invalidTimestamp
        }
    }

    private func type(_ event: RawSpan) -> EventType? {
        guard let name = text(paths.type, event), name.byteCount <= 8 else { return nil }
        let word = name.leadingWord()
        // Names have no zero bytes, so the words tell lengths apart too; but the event's may.
        for place in typeWords.indices where typeWords[place] == word {
            guard let type = EventType(rawValue: UInt8(place)),
                type.name.utf8.count == name.byteCount
            else { return nil }
            return type
        }
        return nil
    }

    private func hasEventName(_ event: RawSpan) -> Bool {
        guard let name = text(paths.event, event) else { return false }
        return name.trimmed().byteCount > 0
    }

    /// What is wrong with the value of `node`, where a text should be that is known.
    private func textProblem(_ node: Int, _ event: RawSpan) -> FieldProblem {
        let slot = slots[node]
        guard slot.count > 0 else { return .absent }
        guard let value = value(node, event) else { return .isNull }
        if let text = Self.text(value) {
            return text.trimmed().byteCount == 0 ? .isEmpty : .isOtherText
        }
        return Self.kindProblem(value)
    }

    /// The kind of an item that should be another.
    static func kindProblem(_ item: RawSpan) -> FieldProblem {
        switch item[0] >> 5 {
        case 0, 1: .isNumber
        case 3: .isOtherText
        case 4: .isArray
        case 5: .isObject
        case 6: item[0] == 0xc2 || item[0] == 0xc3 ? .isNumber : .isOther
        case 7:
            switch item[0] {
            case 0xf4, 0xf5: .isBoolean
            case 0xf9...0xfb: .isNumber
            default: .isOther
            }
        default: .isOther
        }
    }

    /// Tells of what stands where an object belongs that would be looked into. What is empty holds
    /// nothing that could be missed: `[]` is what PHP makes of an object without members.
    private func noteWrongKinds(_ event: RawSpan, type: EventType, _ batch: inout EventBatch) {
        for container in paths.containers {
            if type == .group, paths.nodes[container.node].isUnderTraits { continue }
            guard let value = value(container.node, event), value[0] >> 5 != 5,
                value.byteCount > 1 || value[0] != 0x60 && value[0] != 0x80
            else { continue }
            batch.note(
                EventNote(
                    position: position, .wrongKind(container.name, Self.kindProblem(value))))
        }
    }

    /// Fills `traits`: those of the context, then those of an identify, which win.
    private mutating func collectTraits(_ event: RawSpan, isIdentify: Bool) {
        traits.removeAll(keepingCapacity: true)
        collectTraits(paths.contextTraits, event)
        if isIdentify { slots[paths.traits].isCarried = collectTraits(paths.traits, event) }
        traits.sortKeepingLast(in: event)
    }

    /// Whether the value of `node` is a map.
    @discardableResult
    private mutating func collectTraits(_ node: Int, _ event: RawSpan) -> Bool {
        guard let value = value(node, event) else { return false }
        let base = slots[node].start
        var reader = CBORReader(value)
        do throws(ByteError) {
            guard try reader.kind() == .map else { return false }
            var count = try reader.map()
            while try reader.next(in: &count) {
                let start = reader.offset
                let name = try reader.text()
                let valueStart = reader.offset
                try reader.skip()
                traits.append(
                    EventMember(
                        start: base + start, nameStart: base + valueStart - name.byteCount,
                        nameCount: name.byteCount, valueStart: base + valueStart,
                        end: base + reader.offset, node: -1))
            }
            return true
        } catch {
            // The pass over the event has read all of this once.
            return false
        }
    }

    // MARK: The space

    private mutating func use(_ name: RawSpan) {
        if unsafe !prefixes.isEmpty && space.span.bytes.isEqual(to: name) { return }
        precondition(name.byteCount <= IdentityRules.nameBytesMax, "a space of that length")
        space = name.copied()
        prefixes.removeAll(keepingCapacity: true)
        quarantinePrefixes.removeAll(keepingCapacity: true)
        for namespace in namespaces {
            prefixes.append(
                unsafe hasher.prefix(space: name, namespace: namespace.name.span.bytes))
            quarantinePrefixes.append(
                unsafe hasher.quarantinePrefix(space: name, namespace: namespace.name.span.bytes))
        }
    }

    /// The leaf of the value at those places of `values`.
    func leaf(_ namespace: Int, _ place: Range<Int>) -> LeafID {
        unsafe LeafHasher.leaf(
            class: namespaces[namespace].identifierClass, prefix: prefixes[namespace],
            value: values.span.bytes.extracting(place))
    }
}

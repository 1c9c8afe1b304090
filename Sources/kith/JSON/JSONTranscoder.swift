// JSON to CBOR in one pass, without a tree between: nodes never see JSON, so every event that
// `kith ingest` reads comes through here.
//
//   {"a":[1,2.5]}   →   a1 61 61 82 01 f9 41 00
//
// A container's head says how many items it has, which is known only at its end: one byte is left
// for it, and a count above 23 moves the content on. The members of all open objects lie on one
// stack, so that a name that comes twice is found when its object ends; the last one counts.
//
// - Integers stay integers digit by digit, beyond 64 bits as CBOR's tags 2 and 3; every other
//   number is a double. One too large for a double is an error, as is `NaN`, which JSON does not
//   have.
// - A number that is no integer, or one with a fraction beyond 2^53, never becomes a double that
//   reads as an integer of up to 2^53: then two identifiers could become one.
// - Text must be UTF-8. An escaped surrogate without its other half becomes U+FFFD.
// - Containers nest to `depthMax`, the event's own object being the first.
//
// The alternative, Foundation's `JSONSerialization` and a walk over its tree, takes about ten times
// as long and loses the order of members, which a cluster file needs.

package import KithBytes

/// Appends the CBOR of JSON texts. Scratch memory is kept: one transcoder for many texts.
package struct JSONTranscoder: Sendable {
    /// Objects and arrays inside one another that are taken.
    package static let depthMax = CBORReader.depthMax
    /// Digits of an integer: more than an event of the standard size can hold.
    package static let integerDigitsMax = 80_000
    /// Members of an object up to which names are compared each with each.
    private static let pairwiseMembersMax = 24

    /// Members that were left out since a later one of the same object has their name.
    package struct RepeatedNames: Hashable, Sendable {
        /// The first that was found.
        package var name: String
        /// How many members.
        package var count: Int

        package init(name: String, count: Int) {
            self.name = name
            self.count = count
        }
    }

    /// Bytes of a name that is told.
    private static let toldNameBytesMax = 60

    /// A member of an open object, as places in the output.
    private struct Member {
        /// Where its name begins in the text.
        var offset: Int
        /// Where the name's head is.
        var start: Int
        var nameStart: Int
        var nameCount: Int
    }

    private var members: [Member] = []
    /// A text while its escapes are resolved.
    private var text: [UInt8] = []
    /// Whether a name that comes twice in an object is an error, not a replacement.
    private let refusesRepeatedNames: Bool
    /// What was left out of the last text; nil for nothing.
    package private(set) var repeated: RepeatedNames?

    package init(refusesRepeatedNames: Bool = false) {
        self.refusesRepeatedNames = refusesRepeatedNames
    }

    /// Appends the one value that `json` holds, blanks around it allowed, to `writer`. Where it
    /// throws, `writer` is as it was. O(n log n) for n members of one object, O(bytes) else.
    package mutating func append(_ json: RawSpan, to writer: inout ByteWriter) throws(JSONError) {
        let start = writer.count
        var cursor = Cursor(json)
        members.removeAll(keepingCapacity: true)
        repeated = nil
        do throws(JSONError) {
            cursor.skipBlanks()
            try value(&cursor, depth: 0, &writer)
            cursor.skipBlanks()
            guard cursor.isAtEnd else { throw cursor.error(.textAfterValue) }
        } catch {
            writer.bytes.removeSubrange(start...)
            throw error
        }
    }

    /// The tree of `json`, members in their order.
    package static func tree(
        _ json: [UInt8], refusesRepeatedNames: Bool = false
    ) throws(JSONError) -> CBORValue {
        var transcoder = JSONTranscoder(refusesRepeatedNames: refusesRepeatedNames)
        var writer = ByteWriter(capacity: json.count)
        try transcoder.append(json.span.bytes, to: &writer)
        do {
            return try CBORValue(decoding: writer.bytes.span.bytes)
        } catch {
            preconditionFailure("transcoded bytes that do not decode: \(error)")
        }
    }

    private mutating func value(
        _ cursor: inout Cursor, depth: Int, _ writer: inout ByteWriter
    ) throws(JSONError) {
        guard let byte = cursor.peek else { throw cursor.error(.endOfText) }
        switch byte {
        case UInt8(ascii: "\""): try string(&cursor, &writer)
        case UInt8(ascii: "{"): try object(&cursor, depth: depth, &writer)
        case UInt8(ascii: "["): try array(&cursor, depth: depth, &writer)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            try cursor.number().append(to: &writer, cursor.json)
        case UInt8(ascii: "t"):
            try cursor.take("true")
            writer.cborBool(true)
        case UInt8(ascii: "f"):
            try cursor.take("false")
            writer.cborBool(false)
        case UInt8(ascii: "n"):
            try cursor.take("null")
            writer.cborNull()
        default: throw cursor.error(.expected("a value"))
        }
    }

    // MARK: Containers

    private mutating func array(
        _ cursor: inout Cursor, depth: Int, _ writer: inout ByteWriter
    ) throws(JSONError) {
        guard depth < Self.depthMax else { throw cursor.error(.tooDeep) }
        cursor.offset += 1
        let head = writer.count
        writer.cborArray(count: 0)
        var count = 0
        cursor.skipBlanks()
        if cursor.peek == UInt8(ascii: "]") {
            cursor.offset += 1
            return
        }
        while true {
            try value(&cursor, depth: depth + 1, &writer)
            count += 1
            guard try cursor.isFollowed(orEndsWith: "]") else { break }
        }
        Self.setHead(at: head, major: 4, count: count, &writer)
    }

    private mutating func object(
        _ cursor: inout Cursor, depth: Int, _ writer: inout ByteWriter
    ) throws(JSONError) {
        guard depth < Self.depthMax else { throw cursor.error(.tooDeep) }
        cursor.offset += 1
        let head = writer.count
        writer.cborMap(count: 0)
        cursor.skipBlanks()
        if cursor.peek == UInt8(ascii: "}") {
            cursor.offset += 1
            return
        }
        let first = members.count
        while true {
            guard let quote = cursor.peek else { throw cursor.error(.endOfText) }
            guard quote == UInt8(ascii: "\"") else {
                throw cursor.error(.expected("a name in quotes"))
            }
            let start = writer.count
            let offset = cursor.offset
            let nameCount = try string(&cursor, &writer)
            members.append(
                Member(
                    offset: offset, start: start, nameStart: writer.count - nameCount,
                    nameCount: nameCount))
            cursor.skipBlanks()
            try cursor.take(":")
            cursor.skipBlanks()
            try value(&cursor, depth: depth + 1, &writer)
            guard try cursor.isFollowed(orEndsWith: "}") else { break }
        }
        try dropRepeatedNames(from: first, &writer)
        Self.setHead(at: head, major: 5, count: members.count - first, &writer)
        members.removeSubrange(first...)
    }

    /// Writes the head for which one byte was left.
    private static func setHead(
        at place: Int, major: UInt8, count: Int, _ writer: inout ByteWriter
    ) {
        if count < 24 {
            writer.bytes[place] = major << 5 | UInt8(count)
        } else {
            var head = ByteWriter(capacity: 9)
            head.cborHead(major: major, UInt64(count))
            writer.bytes.replaceSubrange(place...place, with: head.bytes)
        }
    }

    // MARK: Repeated names

    /// Takes out all but the last of the members of one name, or refuses them.
    private mutating func dropRepeatedNames(
        from first: Int, _ writer: inout ByteWriter
    ) throws(JSONError) {
        let dropped = repeatedNames(from: first, writer)
        guard let place = dropped.min() else { return }
        let member = members[place]
        let name = writer.bytes[member.nameStart..<member.nameStart + member.nameCount]
        if refusesRepeatedNames {
            throw JSONError(
                .repeatedName(String(decoding: name, as: UTF8.self)), offset: member.offset)
        }
        if repeated == nil {
            let told = String(decoding: name.prefix(Self.toldNameBytesMax), as: UTF8.self)
            repeated = RepeatedNames(
                name: name.count > Self.toldNameBytesMax ? told + "…" : told, count: 0)
        }
        repeated?.count += dropped.count
        var kept: [UInt8] = []
        let start = members[first].start
        var remaining: [Member] = []
        for place in first..<members.count where !dropped.contains(place) {
            let end = place + 1 < members.count ? members[place + 1].start : writer.count
            remaining.append(members[place])
            kept.append(contentsOf: writer.bytes[members[place].start..<end])
        }
        writer.bytes.replaceSubrange(start..., with: kept)
        members.replaceSubrange(first..., with: remaining)
    }

    /// The places of members whose name comes again behind them.
    private func repeatedNames(from first: Int, _ writer: ByteWriter) -> Set<Int> {
        let bytes = writer.bytes.span.bytes
        var repeated: Set<Int> = []
        if members.count - first <= Self.pairwiseMembersMax {
            for place in first..<members.count {
                for later in place + 1..<max(place + 1, members.count)
                where Self.order(members[place], members[later], bytes) == 0 {
                    repeated.insert(place)
                    break
                }
            }
            return repeated
        }
        let sorted = (first..<members.count).sorted { left, right in
            let order = Self.order(members[left], members[right], bytes)
            return order != 0 ? order < 0 : left < right
        }
        for (place, next) in zip(sorted, sorted.dropFirst())
        where Self.order(members[place], members[next], bytes) == 0 {
            repeated.insert(place)
        }
        return repeated
    }

    /// Some order of names; 0 for the same one.
    private static func order(_ left: Member, _ right: Member, _ bytes: RawSpan) -> Int {
        guard left.nameCount == right.nameCount else { return left.nameCount - right.nameCount }
        for place in 0..<left.nameCount {
            let a = bytes[left.nameStart + place]
            let b = bytes[right.nameStart + place]
            if a != b { return Int(a) - Int(b) }
        }
        return 0
    }

    // MARK: Text

    /// Appends a text; the number of its bytes, which are the last that were written.
    @discardableResult
    private mutating func string(
        _ cursor: inout Cursor, _ writer: inout ByteWriter
    ) throws(JSONError) -> Int {
        let quote = cursor.offset
        cursor.offset += 1
        let start = cursor.offset
        var isASCII = cursor.skipPlainText()
        if cursor.peek == UInt8(ascii: "\"") {
            let content = cursor.json.extracting(start..<cursor.offset)
            guard isASCII || content.isUTF8() else { throw JSONError(.notUTF8, offset: start) }
            cursor.offset += 1
            writer.cborText(content)
            return content.byteCount
        }
        text.removeAll(keepingCapacity: true)
        cursor.offset = start
        while true {
            let pieceStart = cursor.offset
            if !cursor.skipPlainText() { isASCII = false }
            cursor.json.extracting(pieceStart..<cursor.offset).withUnsafeBytes {
                text.append(contentsOf: $0)
            }
            guard let byte = cursor.peek else { throw JSONError(.endOfText, offset: quote) }
            if byte == UInt8(ascii: "\"") { break }
            guard byte == UInt8(ascii: "\\") else { throw cursor.error(.controlCharacter) }
            try cursor.escape(to: &text)
        }
        cursor.offset += 1
        guard isASCII || text.span.bytes.isUTF8() else { throw JSONError(.notUTF8, offset: start) }
        writer.cborText(text.span.bytes)
        return text.count
    }
}

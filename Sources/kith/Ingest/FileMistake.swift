// What a file is that holds no lines of events, by its first bytes: said once, with the way out,
// and not once a line. Pure. A file whose first line could be an event, however wrong, is none of
// these.

import KithBytes

/// A whole file in another form.
package enum FileMistake: Equatable, Sendable {
    case array
    /// A body with its events in the member of that name.
    case batch(String)
    case pretty
    /// Columns, by the sign between them.
    case table(String)
    case utf16
    case utf32
    /// Lines end with CR alone, as on the first Macintosh.
    case carriageReturns
    /// Packed by a program that is to be asked to unpack it.
    case packed(String)
    case binary

    /// Bytes that are looked at.
    package static let headBytesMax = 64 << 10

    /// Looks at the first bytes of a file; nil where it may hold events. O(bytes).
    package init?(_ head: RawSpan) {
        var start = 0
        if head.begins(with: [0xef, 0xbb, 0xbf]) { start = 3 }
        if let mistake = Self.foreign(head) {
            self = mistake
            return
        }
        while start < head.byteCount, Self.isBlank(head[start]) { start += 1 }
        guard start < head.byteCount else { return nil }
        let text = head.extracting(start..<head.byteCount)
        let lines = Self.lines(text)
        let isAlone = lines.count == 1 || lines.dropFirst().allSatisfy { $0.isEmpty }
        switch text[0] {
        case UInt8(ascii: "["):
            guard isAlone || !Self.isJSON(text, lines[0]) else { return nil }
            self = .array
        case UInt8(ascii: "{"):
            if Self.endsWithCarriageReturns(text, lines) {
                self = .carriageReturns
            } else if let mistake = Self.object(text, lines, isAlone: isAlone) {
                self = mistake
            } else {
                return nil
            }
        default:
            if let separator = Self.separator(text, lines) {
                self = .table(separator)
            } else if Self.isBinary(text) {
                self = .binary
            } else {
                return nil
            }
        }
    }

    private static func foreign(_ head: RawSpan) -> FileMistake? {
        // Before UTF-16, whose mark is the beginning of this one.
        if head.begins(with: [0xff, 0xfe, 0, 0]) || head.begins(with: [0, 0, 0xfe, 0xff]) {
            return .utf32
        }
        if head.begins(with: [0xff, 0xfe]) || head.begins(with: [0xfe, 0xff]) { return .utf16 }
        let packers: [([UInt8], String)] = [
            ([0x50, 0x4b, 0x03, 0x04], "unzip -p"), ([0x28, 0xb5, 0x2f, 0xfd], "zstd -dc"),
            ([0xfd, 0x37, 0x7a, 0x58], "xz -dc"), ([0x42, 0x5a, 0x68], "bzip2 -dc"),
        ]
        for (magic, program) in packers where head.begins(with: magic) { return .packed(program) }
        // Every other byte, or three of four, of what is written in Latin letters.
        if head.byteCount >= 8 {
            for place in [0, 3]
            where (0..<8).allSatisfy({ (head[$0] != 0) == ($0 % 4 == place) }) {
                return .utf32
            }
            let isLittle = (0..<4).allSatisfy { head[2 * $0] != 0 && head[2 * $0 + 1] == 0 }
            let isBig = (0..<4).allSatisfy { head[2 * $0] == 0 && head[2 * $0 + 1] != 0 }
            if isLittle || isBig { return .utf16 }
        }
        return nil
    }

    /// One object over several lines, or one that holds the events.
    private static func object(
        _ text: RawSpan, _ lines: [Range<Int>], isAlone: Bool
    ) -> FileMistake? {
        let batch = batchName(text)
        if isAlone || isJSON(text, lines[0]) { return batch.map { .batch($0) } }
        // An event that was cut is followed by another; a member on a line of its own is not.
        guard let second = lines.dropFirst().first(where: { !$0.isEmpty }),
            let sign = firstSign(text.extracting(second)),
            sign == UInt8(ascii: "\"") || sign == UInt8(ascii: "}")
        else { return nil }
        return batch.map { .batch($0) } ?? .pretty
    }

    /// The member of the object that `text` begins with which holds a list of events, wherever it
    /// stands; nil where there is none, or a `type` makes the object an event. Of one that was cut,
    /// as far as it goes.
    private static func batchName(_ text: RawSpan) -> String? {
        var found: String?
        var (depth, place) = (0, 0)
        var isName = true
        while place < text.byteCount {
            let byte = text[place]
            place += 1
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth == 0 { return found }
            case UInt8(ascii: ","): isName = true
            case UInt8(ascii: ":"): isName = false
            case UInt8(ascii: "\""):
                let start = place
                while place < text.byteCount, text[place] != UInt8(ascii: "\"") {
                    place += text[place] == UInt8(ascii: "\\") ? 2 : 1
                }
                guard place < text.byteCount else { return found }
                let name = text.extracting(start..<place)
                place += 1
                guard depth == 1, isName else { continue }
                if isEqual(name, "type") { return nil }
                for member in ["batch", "events"]
                where isEqual(name, member) && isFollowedByList(text, place) {
                    found = found ?? member
                }
            default: break
            }
        }
        return found
    }

    private static func isEqual(_ name: RawSpan, _ text: String) -> Bool {
        name.byteCount == text.utf8.count && name.begins(with: Array(text.utf8))
    }

    /// Whether `: [` is there.
    private static func isFollowedByList(_ text: RawSpan, _ start: Int) -> Bool {
        var place = start
        for sign in [UInt8(ascii: ":"), UInt8(ascii: "[")] {
            while place < text.byteCount, isBlank(text[place]) { place += 1 }
            guard place < text.byteCount, text[place] == sign else { return false }
            place += 1
        }
        return true
    }

    /// Whether the text is one line for who looks for LF, and an object behind each CR.
    private static func endsWithCarriageReturns(_ text: RawSpan, _ lines: [Range<Int>]) -> Bool {
        guard lines.count == 1, var end = lines[0].first(where: { text[$0] == 0x0d }) else {
            return false
        }
        let first = lines[0].lowerBound..<end
        while end < text.byteCount, isBlank(text[end]) { end += 1 }
        return end < text.byteCount && text[end] == UInt8(ascii: "{") && isJSON(text, first)
    }

    private static func isJSON(_ text: RawSpan, _ line: Range<Int>) -> Bool {
        var transcoder = JSONTranscoder()
        var writer = ByteWriter()
        do throws(JSONError) {
            try transcoder.append(text.extracting(line), to: &writer)
            return true
        } catch {
            return false
        }
    }

    /// The sign between columns, where the first two lines have as many of it.
    private static func separator(_ text: RawSpan, _ lines: [Range<Int>]) -> String? {
        let rows = lines.filter { !$0.isEmpty }.prefix(2).map { text.extracting($0).copied() }
        // A line that may be an event is none of a table.
        guard rows.count == 2, rows[1].first(where: { !isBlank($0) }) != UInt8(ascii: "{")
        else { return nil }
        for (sign, name) in [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")] {
            let byte = Array(sign.utf8)[0]
            let counts = rows.map { row in row.reduce(0) { $0 + ($1 == byte ? 1 : 0) } }
            if counts[0] > 0, counts[1] >= counts[0] { return name }
        }
        return nil
    }

    private static func isBinary(_ text: RawSpan) -> Bool {
        for place in 0..<min(text.byteCount, 1_024) where text[place] == 0 { return true }
        return !text.extracting(0..<min(text.byteCount, 4)).isUTF8() && text.byteCount >= 4
            && text[0] >= 0x80
    }

    private static func firstSign(_ line: RawSpan) -> UInt8? {
        for place in 0..<line.byteCount where !isBlank(line[place]) { return line[place] }
        return nil
    }

    private static func lines(_ text: RawSpan) -> [Range<Int>] {
        var lines: [Range<Int>] = []
        var start = 0
        while start < text.byteCount, lines.count < 64 {
            var end = start
            while end < text.byteCount, text[end] != 0x0a { end += 1 }
            let isBlankEnd = end > start && text[end - 1] == 0x0d
            lines.append(start..<(isBlankEnd ? end - 1 : end))
            start = end + 1
        }
        return lines
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d
    }

    /// What it is, and what to do.
    package func explanation(_ file: String) -> String {
        let name = file == "-" ? "" : " " + file
        func piped(_ program: String) -> String { "\(program)\(name) | kith ingest -" }
        switch self {
        case .array: return "one JSON array, not an event a line: \(piped("jq -c '.[]'"))"
        case .batch(let member):
            return "a body with its events in a list, not an event a line: "
                + piped("jq -c '.\(member)[]'")
        case .pretty: return "JSON over several lines, not an event a line: \(piped("jq -c ."))"
        case .table(let sign):
            return "a table with a \(sign) between columns, not JSON: turn each row into one event"
        case .utf16: return "UTF-16, not UTF-8: \(piped("iconv -f UTF-16 -t UTF-8"))"
        case .utf32: return "UTF-32, not UTF-8: \(piped("iconv -f UTF-32 -t UTF-8"))"
        case .carriageReturns:
            let program = "tr '\\r' '\\n'" + (name.isEmpty ? "" : " <")
            return "its lines end with CR alone, not with LF: \(piped(program))"
        case .packed(let program): return "packed: \(piped(program))"
        case .binary: return "no text: an event is a line of JSON"
        }
    }
}

extension RawSpan {
    func begins(with bytes: [UInt8]) -> Bool {
        guard byteCount >= bytes.count else { return false }
        for place in bytes.indices where self[place] != bytes[place] { return false }
        return true
    }
}

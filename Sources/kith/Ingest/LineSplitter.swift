// Lines out of chunks. One buffer holds the chunk and what was left of the one before; a line above
// the limit is dropped as it arrives and reported with its number, so that memory stays bounded
// whatever is in a file.

import KithBytes

/// Cuts the bytes of one file into numbered lines.
package struct LineSplitter: Sendable {
    /// A line, as far as it was kept.
    package struct Line: Equatable, Sendable {
        /// From 1.
        package var number: Int
        /// The line's bytes in the splitter, without its end; nil where it is above the limit.
        package var range: Range<Int>?
    }

    private let lineBytesMax: Int
    private var buffer: [UInt8] = []
    /// Where the first line that was not given out begins.
    private var start = 0
    /// Up to where there is no line end behind `start`.
    private var scanned = 0
    private var number = 0
    /// Inside a line that is too long already.
    private var isDropping = false

    package init(lineBytesMax: Int) {
        self.lineBytesMax = lineBytesMax
    }

    /// Takes the next bytes of the file. Ranges given out before are void.
    package mutating func append(_ bytes: RawSpan) {
        buffer.removeSubrange(..<start)
        scanned -= start
        start = 0
        bytes.withUnsafeBytes { buffer.append(contentsOf: $0) }
    }

    /// The next whole line; nil where the rest of it is still to come.
    package mutating func next() -> Line? {
        let end = Self.lineEnd(buffer, from: scanned)
        let isWhole = end < buffer.count
        let isLong = isDropping || end - start > lineBytesMax
        guard isWhole else {
            scanned = end
            if isLong {
                isDropping = true
                buffer.removeAll(keepingCapacity: true)
                start = 0
                scanned = 0
            }
            return nil
        }
        let range = start..<end
        start = end + 1
        scanned = start
        number += 1
        isDropping = false
        return Line(number: number, range: isLong ? nil : range)
    }

    /// The last line, if the file does not end with a line end.
    package mutating func last() -> Line? {
        guard isDropping || start < buffer.count else { return nil }
        number += 1
        let range = start..<buffer.count
        start = buffer.count
        scanned = start
        defer { isDropping = false }
        return Line(number: number, range: isDropping ? nil : range)
    }

    /// The bytes of a line that was given out since the last `append`.
    @_lifetime(borrow self)
    package func bytes(_ range: Range<Int>) -> RawSpan {
        buffer.span.bytes.extracting(range)
    }

    /// The place of the next line end at or behind `start`, or the end of `buffer`.
    private static func lineEnd(_ buffer: [UInt8], from start: Int) -> Int {
        let bytes = buffer.span.bytes
        let ones: UInt64 = 0x0101_0101_0101_0101
        var place = start
        while place &+ 8 <= bytes.byteCount {
            let word =
                UInt64(
                    littleEndian: bytes.unsafeLoadUnaligned(
                        fromByteOffset: place, as: UInt64.self))
                ^ (ones &* 0x0a)
            let zeros = (word &- ones) & ~word & 0x8080_8080_8080_8080
            if zeros != 0 { return place &+ zeros.trailingZeroBitCount / 8 }
            place &+= 8
        }
        while place < bytes.byteCount, bytes[place] != 0x0a { place &+= 1 }
        return place
    }
}

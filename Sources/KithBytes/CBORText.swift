extension RawSpan {
    /// Whether no byte is above 0x7f. O(n), eight bytes at a time.
    @inlinable
    public func isASCII() -> Bool {
        // Through a pointer, as the span's own loads check their bounds each time; the offsets
        // below stay inside by the loop's condition.
        unsafe withUnsafeBytes { bytes in
            let count = bytes.count
            guard count >= 8 else {
                var bits: UInt8 = 0
                for offset in 0..<count { bits |= unsafe bytes[offset] }
                return bits < 0x80
            }
            // The last word overlaps the one before rather than going on byte by byte.
            var bits = unsafe bytes.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            var offset = 0
            while offset &+ 8 < count {
                bits |= unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                offset &+= 8
            }
            return bits & 0x8080_8080_8080_8080 == 0
        }
    }

    /// Whether the bytes are UTF-8: no overlong form, no surrogate, nothing above U+10FFFF. O(n).
    @inlinable
    public func isUTF8() -> Bool {
        isASCII() || isMultibyteUTF8()
    }

    @usableFromInline
    func isMultibyteUTF8() -> Bool {
        var offset = 0
        while offset < byteCount {
            let lead = self[offset]
            let length: Int
            // The second byte's range is narrower after some leads; the others are 80…BF.
            let second: ClosedRange<UInt8>
            switch lead {
            case 0x00...0x7f:
                offset &+= 1
                continue
            case 0xc2...0xdf: (length, second) = (2, 0x80...0xbf)
            case 0xe0: (length, second) = (3, 0xa0...0xbf)
            case 0xed: (length, second) = (3, 0x80...0x9f)
            case 0xe1...0xef: (length, second) = (3, 0x80...0xbf)
            case 0xf0: (length, second) = (4, 0x90...0xbf)
            case 0xf1...0xf3: (length, second) = (4, 0x80...0xbf)
            case 0xf4: (length, second) = (4, 0x80...0x8f)
            default: return false
            }
            guard offset &+ length <= byteCount, second.contains(self[offset &+ 1]) else {
                return false
            }
            for place in 2..<4 where place < length && self[offset &+ place] & 0xc0 != 0x80 {
                return false
            }
            offset &+= length
        }
        return true
    }
}

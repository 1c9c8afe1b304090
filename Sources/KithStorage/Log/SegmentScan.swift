// Looking at the bytes of a segment beyond the last good frame, to tell a torn write from damage.

internal import KithBytes

enum SegmentScan {
    /// A frame at or after `offset` that was written at or after `expected`, which proves that
    /// whatever should be at `offset` was durable once.
    ///
    /// Every offset is tried, since the length that would lead to the next frame is itself in
    /// doubt. A header is enough, for no other bytes pass its check; only at `inFlight`, where the
    /// one write may have been torn that was never synced, the whole frame is. `sequencesBefore` is
    /// how many frames may have been between `expected` and `offset`. O(n), and a hash of 28 bytes
    /// for each place that has the magic number.
    static func laterFrame(
        in bytes: RawSpan, from offset: Int, inFlight: Int, segment: SegmentID,
        expected: LogSequence, of log: LogID, sequencesBefore: UInt64 = 0
    ) -> LogFrame? {
        var place = offset
        while let candidate = nextMagic(in: bytes, from: place) {
            place = candidate + 1
            guard let frame = LogFrame.readHeader(bytes, at: candidate, of: log),
                frame.segment == segment, frame.sequence >= expected
            else { continue }
            let ahead = frame.sequence.rawValue - expected.rawValue
            let room = UInt64((candidate - offset) / LogFormat.frameOverheadBytes + 1)
            guard ahead <= sequencesBefore + room else { continue }
            if candidate != inFlight || frame.isIntact(in: bytes, of: log) { return frame }
        }
        return nil
    }

    /// The next place with a frame's magic number. Runs of zeros are skipped eight bytes at a time.
    private static func nextMagic(in bytes: RawSpan, from offset: Int) -> Int? {
        let first = UInt8(truncatingIfNeeded: LogFormat.frameMagic)
        let last = bytes.byteCount - LogFormat.frameOverheadBytes
        var reader = ByteReader(bytes)
        var place = offset
        while place <= last {
            reader.offset = place
            if let eight = try? reader.u64(), eight == 0 {  // an end of the bytes is no zero
                place += 8
                continue
            }
            if bytes[place] == first {
                reader.offset = place
                if let magic = try? reader.u32(), magic == LogFormat.frameMagic { return place }
            }
            place += 1
        }
        return nil
    }

    /// Where the bytes from `offset` on stop being other than zero; `offset` when all are zero.
    /// O(n) from the end.
    static func dirtyEnd(in bytes: RawSpan, from offset: Int) -> Int {
        var end = bytes.byteCount
        var reader = ByteReader(bytes)
        while end - offset >= 8 {
            reader.offset = end - 8
            guard let eight = try? reader.u64(), eight == 0 else { break }  // in bounds
            end -= 8
        }
        while end > offset, bytes[end - 1] == 0 { end -= 1 }
        return end
    }
}

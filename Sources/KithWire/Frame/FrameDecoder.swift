// Cuts a connection's bytes into frames, without I/O: chunks of any size go in by `append`, whole
// frames come out of `next`.
//
// A frame that lies whole in one chunk is not copied. Of a frame that spans chunks, each byte is
// copied once, into `pending`, which grows with the bytes that have arrived and never with the
// length that a header claims. The length field is judged as soon as its four bytes are there, the
// version at the fifth. Where the system has no memory for a large frame it is refused, not begun.
//
//   chunk    [ …yielded… | frame | frame | fra ]      the tail moves to `pending`
//                        ^ chunkOffset
//   pending  [ fra ] ◀── the next chunk's first bytes, exactly as many as the frame lacks

internal import KithBytes

/// Turns the bytes of one connection into frames. Linear in the bytes; holds at most one frame and
/// one chunk.
public struct FrameDecoder: Sendable {
    /// The highest length field that is taken, in bytes. Raised when the `Hello` is done; it holds
    /// from the next frame on.
    public var frameBytesMax: UInt32
    /// The versions that are taken in a header; narrowed to one when the `Hello` is done.
    public var versions: ClosedRange<UInt8>

    private var chunk: [UInt8] = []
    private var chunkOffset = 0
    private var pending: [UInt8] = []
    private var failure: FrameError?

    /// Bytes of a frame that is put together without a look at whether there is memory for it.
    static let unaskedBytes = 64 << 10

    /// A decoder at the start of a connection; by default with the limits of one that has not
    /// greeted yet.
    public init(
        frameBytesMax: UInt32 = WireLimits.helloFrameBytesMax,
        versions: ClosedRange<UInt8> = ProtocolVersion.inHeaders
    ) {
        self.frameBytesMax = frameBytesMax
        self.versions = versions
    }

    /// Bytes that were appended and are in no yielded frame yet.
    public var bufferedByteCount: Int { chunk.count - chunkOffset + pending.count }

    /// Bytes of the frame in parts, header included, once `next` has judged its length and returned
    /// `nil`; `nil` where no frame has begun, or too little of it is there.
    public var frameByteCount: Int? {
        guard pending.count > FrameHeader.lengthFieldByteCount else { return nil }
        return FrameHeader.lengthFieldByteCount + Int(length(in: pending, at: 0))
    }

    /// Memory that the decoder holds.
    public var memoryBytes: Int { chunk.capacity + pending.capacity }

    /// Bytes that the buffer for a frame in parts has room for; follows what arrived.
    var pendingCapacity: Int { pending.capacity }

    /// Takes the next bytes of the connection. Free where `next` has returned `nil` since the last
    /// call; else what is left of the last chunk is copied.
    public mutating func append(_ bytes: [UInt8]) {
        guard failure == nil else { return }
        if chunkOffset == chunk.count {
            chunk = bytes
        } else {
            chunk = Array(chunk[chunkOffset...]) + bytes
        }
        chunkOffset = 0
    }

    /// The next whole frame; `nil` when more bytes are needed. An error is final: every later call
    /// throws it again, and nothing is buffered any more.
    public mutating func next() throws(FrameError) -> Frame? {
        if let failure { throw failure }
        do throws(FrameError) {
            return try pending.isEmpty ? nextFromChunk() : nextFromPending()
        } catch {
            failure = error
            chunk = []
            chunkOffset = 0
            pending = []
            throw error
        }
    }

    private mutating func nextFromChunk() throws(FrameError) -> Frame? {
        let available = chunk.count - chunkOffset
        let size = try frameSize(of: chunk, from: chunkOffset)
        guard let size, available >= size else {
            try expectRoom(for: size)
            fillPending(upTo: available)
            return nil
        }
        let frame = try Frame(reading: chunk, at: chunkOffset, size: size)
        chunkOffset += size
        releaseDrainedChunk()
        return frame
    }

    private mutating func nextFromPending() throws(FrameError) -> Frame? {
        fillPending(upTo: FrameHeader.lengthFieldByteCount + 1)
        guard let size = try frameSize(of: pending, from: 0) else { return nil }
        try expectRoom(for: size)
        fillPending(upTo: size)
        guard pending.count == size else { return nil }
        let frame = try Frame(reading: pending, at: 0, size: size)
        pending = []
        return frame
    }

    /// Refuses a large frame that there is no memory for: as much again where `pending` grows.
    private func expectRoom(for size: Int?) throws(FrameError) {
        guard let size, size > Self.unaskedBytes, !MemoryReserve.hasRoom(for: 2 * size) else {
            return
        }
        throw .noMemory(byteCount: size)
    }

    /// Moves bytes from the chunk until `pending` holds `count`, or the chunk is drained.
    private mutating func fillPending(upTo count: Int) {
        let moved = min(count - pending.count, chunk.count - chunkOffset)
        if moved > 0 {
            pending.append(contentsOf: chunk[chunkOffset..<(chunkOffset + moved)])
            chunkOffset += moved
        }
        releaseDrainedChunk()
    }

    private mutating func releaseDrainedChunk() {
        guard chunkOffset == chunk.count else { return }
        chunk = []
        chunkOffset = 0
    }

    /// Bytes of the whole frame that starts at `start`; `nil` while its length field and version
    /// have not all arrived.
    private func frameSize(of bytes: [UInt8], from start: Int) throws(FrameError) -> Int? {
        let available = bytes.count - start
        guard available >= FrameHeader.lengthFieldByteCount else { return nil }
        let length = length(in: bytes, at: start)
        guard length <= frameBytesMax else {
            throw .tooLong(length: length, limit: frameBytesMax)
        }
        guard length >= FrameHeader.lengthMin else { throw .tooShort(length: length) }
        guard available > FrameHeader.lengthFieldByteCount else { return nil }
        let version = bytes[start + FrameHeader.lengthFieldByteCount]
        guard versions.contains(version) else { throw .unsupportedVersion(version) }
        return FrameHeader.lengthFieldByteCount + Int(length)
    }

    private func length(in bytes: [UInt8], at start: Int) -> UInt32 {
        var length: UInt32 = 0
        for index in 0..<FrameHeader.lengthFieldByteCount {
            length |= UInt32(bytes[start + index]) << UInt32(8 * index)
        }
        return length
    }
}

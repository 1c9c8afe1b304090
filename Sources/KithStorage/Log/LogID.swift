internal import KithBytes
internal import KithPorts

/// What makes a log's frames unlike all other bytes: 16 random ones, drawn when the log is made.
///
/// Every frame is checked under it, so that nothing a client sends, not even the bytes of a whole
/// log, can pass for a frame of this one. A secret: it is in the segments and nowhere else, and is
/// never printed. The first 8 bytes are the key's first word, both little-endian.
struct LogID: Hashable, Sendable {
    let key: HashKey

    init(_ key: HashKey) { self.key = key }

    init(drawnFrom randomness: any Randomness) {
        key = HashKey(k0: randomness.nextUInt64(), k1: randomness.nextUInt64())
    }

    /// The check of a frame's header by itself. A hash under a key, not a checksum: bytes that pass
    /// cannot be made without the key, whatever else is known.
    func check(ofHeader header: RawSpan) -> UInt64 { SipHash64.hash(header, key: key) }

    /// What a frame's checksum starts from: the checksum of the log's id.
    var checksumSeed: UInt32 { CRC32C.checksum(key.bytes) }
}

extension LogID: CustomStringConvertible, CustomReflectable {
    var description: String { "LogID" }
    var customMirror: Mirror { Mirror(self, children: []) }
}

// Where what a data folder remembers can be damaged. Reads the format of `DurableCell` by itself,
// as `LogDamage` does.

internal import KithBytes

/// A file of two copies of one value, both whole.
struct CellDamage {
    let path: String
    /// Of one copy, with the room behind it.
    private let slotBytes: Int
    /// That mean something.
    private let usedBytes: Int

    private static let lengthPlace = 16
    private static let headerBytes = 20
    private static let checksumBytes = 4

    /// One of the disk's cells whose two copies are alike; nil where there is none.
    static func whole(in disk: SimulatedDisk, _ random: inout Xoshiro256) -> CellDamage? {
        let cells = ["identity", "namespaces"].compactMap { path -> CellDamage? in
            guard let bytes = disk.bytes(of: path), !bytes.isEmpty else { return nil }
            let slotBytes = bytes.count / 2
            guard bytes[..<slotBytes] == bytes[slotBytes...],
                let used = used(bytes), used <= slotBytes
            else { return nil }
            return CellDamage(path: path, slotBytes: slotBytes, usedBytes: used)
        }
        return cells.isEmpty ? nil : cells[random.below(cells.count)]
    }

    private static func used(_ bytes: [UInt8]) -> Int? {
        guard bytes.count > headerBytes else { return nil }
        var reader = ByteReader(bytes.span.bytes.extracting(lengthPlace..<headerBytes))
        guard let length = try? reader.u32(), length > 0 else { return nil }
        return headerBytes + Int(length) + checksumBytes
    }

    /// Changes a bit of that copy, 0 or 1.
    func damage(_ bytes: inout [UInt8], _ slot: Int, bit: UInt8, place: Int) {
        bytes[slot * slotBytes + place] ^= 1 << bit
    }

    /// A place in a copy, and a bit of it.
    func place(_ random: inout Xoshiro256) -> (place: Int, bit: UInt8) {
        (random.below(usedBytes), UInt8(random.below(8)))
    }
}

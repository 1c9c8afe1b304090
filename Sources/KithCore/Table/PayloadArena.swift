internal import KithBytes

/// Where payloads live: blocks in size classes, cut from one region, freed into a list per class.
///
/// Sizes are in units of 16 bytes. Up to 256 bytes there is a class for every unit, above four
/// classes for each doubling, so at most a fifth of a block is unused. A free block holds the
/// number of the next one in its first four bytes. When a twelfth of the region is free blocks
/// that nobody asks for, the table rewrites the arena instead of growing it: blocks are named by
/// slots only, so a rewrite is one walk over the slab.
struct PayloadArena: ~Copyable, Sendable {
    static let unitBytes = 16
    static let none = UInt32.max
    /// The largest payload; far above what callers allow, 1 MiB of a profile and what an absorb may
    /// add to it.
    static let payloadBytesMax = 64 << 20
    static let classCount = 88

    var region: MemoryRegion
    /// Units cut from the region so far.
    private(set) var used = 0
    /// Units in free blocks.
    private(set) var freeUnits = 0
    /// First free block of each class; empty until something is freed.
    private(set) var freeHeads: [UInt32] = []

    init() { region = MemoryRegion() }

    /// An arena with room for `units`: the target of a rewrite.
    init(units: Int) { region = MemoryRegion(byteCount: units * Self.unitBytes) }

    static func units(ofClass sizeClass: UInt8) -> Int {
        let k = Int(sizeClass)
        return k < 16 ? k + 1 : (5 + (k - 16) % 4) << ((k - 16) / 4 + 2)
    }

    static func bytes(ofClass sizeClass: UInt8) -> Int { units(ofClass: sizeClass) * unitBytes }

    /// The smallest class that holds `bytes`.
    static func sizeClass(forBytes bytes: Int) -> UInt8 {
        precondition(bytes > 0 && bytes <= payloadBytesMax, "a payload of \(bytes) bytes")
        let units = (bytes + unitBytes - 1) / unitBytes
        guard units > 16 else { return UInt8(units - 1) }
        let width = Int.bitWidth - (units - 1).leadingZeroBitCount
        let quarter = 1 << (width - 3)
        let quarters = (units + quarter - 1) / quarter
        return UInt8(16 + 4 * (width - 5) + quarters - 5)
    }

    /// A block of that class, or `nil` when the region has to grow or be rewritten first.
    mutating func allocate(_ sizeClass: UInt8) -> UInt32? {
        let units = Self.units(ofClass: sizeClass)
        if !freeHeads.isEmpty, freeHeads[Int(sizeClass)] != Self.none {
            let unit = freeHeads[Int(sizeClass)]
            freeHeads[Int(sizeClass)] = region.u32(at: Int(unit) * Self.unitBytes)
            freeUnits -= units
            return unit
        }
        guard (used + units) * Self.unitBytes <= region.byteCount else { return nil }
        let unit = UInt32(used)
        used += units
        return unit
    }

    mutating func free(_ unit: UInt32, _ sizeClass: UInt8) {
        if freeHeads.isEmpty {
            freeHeads = [UInt32](repeating: Self.none, count: Self.classCount)
        }
        region.store(freeHeads[Int(sizeClass)], at: Int(unit) * Self.unitBytes)
        freeHeads[Int(sizeClass)] = unit
        freeUnits += Self.units(ofClass: sizeClass)
    }

    /// Whether free blocks are so many that a rewrite pays.
    var isFragmented: Bool { freeUnits >= 256 && freeUnits >= region.byteCount / 192 }
    /// Whether most of it is free: time to give memory back.
    var isMostlyFree: Bool { freeUnits >= 4096 && freeUnits > used / 2 }

    /// Makes room for one more block of that class.
    mutating func grow(for sizeClass: UInt8) {
        let needed = (used + Self.units(ofClass: sizeClass)) * Self.unitBytes
        precondition(needed / Self.unitBytes < Int(Self.none), "an arena of \(needed) bytes")
        region.grow(toHold: needed, smallest: 256)
    }

    var memoryBytes: Int { region.byteCount + freeHeads.count * 4 }

    func nextFree(_ unit: UInt32) -> UInt32 { region.u32(at: Int(unit) * Self.unitBytes) }
}

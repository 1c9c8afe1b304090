internal import KithBytes

/// The counters of one shard. Changed by log entries only, so that they survive a crash with the
/// state they count; a cluster's totals are their sum over the shards.
public struct Statistics: Equatable, Sendable {
    /// Live roots by kind.
    public var members: Int64 = 0
    public var anonymous: Int64 = 0
    /// Distinct events ever counted, whatever expired since.
    public var accepted: UInt64 = 0
    public var duplicate: UInt64 = 0
    public var expiredOnArrival: UInt64 = 0
    public var forgotten: UInt64 = 0
    public var suppressed: UInt64 = 0
    /// Events counted in a device's quarantine profile; they are among `accepted`.
    public var quarantined: UInt64 = 0
    /// Absorbs of a live profile by a live profile.
    public var mergesCompleted: UInt64 = 0
    /// Distinct refused links by rule; by `RefusalRule.rawValue`.
    public var refusals: [UInt64] = Array(repeating: 0, count: RefusalRule.allCases.count)
    /// Anonymous profiles dropped by retention.
    public var expired: UInt64 = 0
    /// Traits not kept because a profile or a shard has too many names.
    public var traitsRefused: UInt64 = 0
    /// Listed identifiers of live roots by namespace, sorted by name.
    public var identifiers: [NamedCount] = []
    /// Events refused, by reason, sorted.
    public var rejected: [NamedCount] = []
    /// Identifiers that were not taken as such, by reason, sorted.
    public var ignored: [NamedCount] = []

    /// A count under a name that only the log knows beforehand.
    public struct NamedCount: Equatable, Sendable {
        public var name: [UInt8]
        public var count: Int64

        public init(name: [UInt8], count: Int64) {
            self.name = name
            self.count = count
        }
    }

    /// Names kept in one list; what comes after counts under `(other)`.
    public static let namesMax = 256

    public init() {}

    mutating func countRefusal(_ rule: RefusalRule) {
        refusals[Int(rule.rawValue)] += 1
    }

    mutating func countIdentifier(_ namespace: [UInt8], by sign: Int64) {
        unsafe Self.add(sign, to: &identifiers, namespace.span.bytes)
    }

    mutating func countRejected(_ reason: RawSpan, by count: Int64) {
        Self.add(count, to: &rejected, reason)
    }

    mutating func countIgnored(_ reason: IgnoredIdentifier, by count: Int64) {
        let name = Array(reason.name.utf8)
        unsafe Self.add(count, to: &ignored, name.span.bytes)
    }

    mutating func countIgnored(_ reason: RawSpan, by count: Int64) {
        Self.add(count, to: &ignored, reason)
    }

    private static func add(_ count: Int64, to list: inout [NamedCount], _ name: RawSpan) {
        var place = 0
        while place < list.count {
            let known = list[place].name
            let order = unsafe compare(known.span.bytes, name)
            if order == 0 {
                list[place].count += count
                return
            }
            if order > 0 { break }
            place += 1
        }
        if list.count >= namesMax {
            let other = Array("(other)".utf8)
            if !(unsafe name.isEqual(to: other.span.bytes)) {
                return unsafe add(count, to: &list, other.span.bytes)
            }
        }
        list.insert(NamedCount(name: name.copied(), count: count), at: place)
    }

    private static func compare(_ a: RawSpan, _ b: RawSpan) -> Int {
        for index in 0..<min(a.byteCount, b.byteCount) where a[index] != b[index] {
            return a[index] < b[index] ? -1 : 1
        }
        return a.byteCount - b.byteCount
    }

    /// The sum of two shards, or of two groups.
    public mutating func add(_ other: Statistics) {
        members += other.members
        anonymous += other.anonymous
        accepted += other.accepted
        duplicate += other.duplicate
        expiredOnArrival += other.expiredOnArrival
        forgotten += other.forgotten
        suppressed += other.suppressed
        quarantined += other.quarantined
        mergesCompleted += other.mergesCompleted
        for rule in refusals.indices { refusals[rule] += other.refusals[rule] }
        expired += other.expired
        traitsRefused += other.traitsRefused
        for entry in other.identifiers {
            unsafe Self.add(entry.count, to: &identifiers, entry.name.span.bytes)
        }
        for entry in other.rejected {
            unsafe Self.add(entry.count, to: &rejected, entry.name.span.bytes)
        }
        for entry in other.ignored {
            unsafe Self.add(entry.count, to: &ignored, entry.name.span.bytes)
        }
    }
}

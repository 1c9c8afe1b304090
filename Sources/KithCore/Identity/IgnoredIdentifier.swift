/// Why an identifier of an event is not one. The event goes on with its others.
public enum IgnoredIdentifier: UInt8, Error, Hashable, Sendable, CaseIterable {
    /// A blocked word (`null`, `guest`, …), an open template, a UUID of one digit.
    case blocked
    /// Nothing but blanks, perhaps in quotes.
    case empty
    /// Not what its namespace asks for: a phone number without `+`, a fraction as a user id.
    case invalid
    /// An event names no more than `EventReader.identifiersMax`.
    case limit
    /// More than `IdentifierNormaliser.valueBytesMax` bytes.
    case tooLong
    /// An `externalIds` entry whose type is no namespace.
    case unknownNamespace
    /// Only `0`, `-` and `.`.
    case zeros

    /// The name that statistics show. Cases are in the order of their names.
    public var name: String {
        switch self {
        case .blocked: "blocked"
        case .empty: "empty"
        case .invalid: "invalid"
        case .limit: "limit"
        case .tooLong: "too_long"
        case .unknownNamespace: "unknown_namespace"
        case .zeros: "zeros"
        }
    }
}

/// How many identifiers were ignored, by reason. Fixed size: counting allocates nothing.
public struct IgnoredIdentifierCounts: Hashable, Sendable {
    private var counts = [UInt32](repeating: 0, count: IgnoredIdentifier.allCases.count)
    public private(set) var isEmpty = true

    public init() {}

    public subscript(reason: IgnoredIdentifier) -> UInt32 { counts[Int(reason.rawValue)] }

    /// The reasons that came up, in the order of their names.
    public var present: [(reason: IgnoredIdentifier, count: UInt32)] {
        IgnoredIdentifier.allCases.compactMap { self[$0] == 0 ? nil : ($0, self[$0]) }
    }

    /// Counts one more; stays at the greatest number that fits.
    public mutating func add(_ reason: IgnoredIdentifier) {
        add(reason, 1)
    }

    private mutating func add(_ reason: IgnoredIdentifier, _ count: UInt32) {
        let place = Int(reason.rawValue)
        let (sum, isTooGreat) = counts[place].addingReportingOverflow(count)
        counts[place] = isTooGreat ? .max : sum
        isEmpty = isEmpty && count == 0
    }

    /// Counts all of `other`.
    mutating func add(_ other: IgnoredIdentifierCounts) {
        guard !other.isEmpty else { return }
        for reason in IgnoredIdentifier.allCases { add(reason, other[reason]) }
    }

    /// Back to none, without giving memory back.
    public mutating func removeAll() {
        guard !isEmpty else { return }
        isEmpty = true
        for place in counts.indices { counts[place] = 0 }
    }
}

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

    public init() {}

    public subscript(reason: IgnoredIdentifier) -> UInt32 { counts[Int(reason.rawValue)] }

    public var isEmpty: Bool { counts.allSatisfy { $0 == 0 } }

    /// The reasons that came up, in the order of their names.
    public var present: [(reason: IgnoredIdentifier, count: UInt32)] {
        IgnoredIdentifier.allCases.compactMap { self[$0] == 0 ? nil : ($0, self[$0]) }
    }

    /// Counts one more; stays at the greatest number that fits.
    public mutating func add(_ reason: IgnoredIdentifier) {
        let place = Int(reason.rawValue)
        if counts[place] < .max { counts[place] += 1 }
    }

    /// Back to none, without giving memory back.
    public mutating func removeAll() {
        for place in counts.indices { counts[place] = 0 }
    }
}

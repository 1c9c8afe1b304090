internal import KithBytes
public import KithCore

// What an `IngestReply` tells of events beside their results. At its end, and only where its count
// of notes is not 0:
//
//     left out u32                                       notes that had no room
//     namespaces u8 · as many: bytes16
//     paths u16 · as many: bytes16
//     each note: item u32 · kind u8 · by kind            ascending by item
//
//     1 fault          field u8 · problem u8 · place u8
//     2 ignored        reason u8 · count u16 · namespace u8, 255 for none · place u16
//     3 null           place u16
//     4 link refused   rule u8 · namespace u8
//     5 link void      cause u8 · namespace u8
//     6 time moved
//     7 no message id
//     8 traits over the limit   count u16
//     9 wrong kind     problem u8 · steps u8 · place u16
//
// Namespaces are numbered from 0, and so are the paths, which are places; beside these there are
// 65534 context.externalIds and 65535 previousId. Of a wrong kind is what the first `steps` steps
// of a path lead to; where `steps` is 0, the places are 0 context, 1 context.traits and 2 traits.

/// The names that the notes of a reply speak of.
public struct NoteNames: Hashable, Sendable {
    /// By number.
    public var namespaces: [String]
    /// The paths of all namespaces: of the first one, then of the second, and so on.
    public var paths: [String]

    /// No names.
    public static let none = NoteNames(namespaces: [], paths: [])

    /// Names; together at most `WireLimits.noteTextsMax`, and of namespaces less than 255.
    public init(namespaces: [String], paths: [String]) {
        precondition(
            namespaces.count < Int(Self.noNamespace)
                && namespaces.count + paths.count <= WireLimits.noteTextsMax,
            "\(namespaces.count) namespaces and \(paths.count) paths")
        self.namespaces = namespaces
        self.paths = paths
    }

    /// A place as people see it. One of a reply that was decoded has a name.
    public subscript(place: IdentifierPlace) -> String {
        switch place {
        case .path(let path): paths[Int(path)]
        case .externalIDs: "context.externalIds"
        case .previousID: "previousId"
        }
    }

    /// A place as people see it. One of a reply that was decoded has a name.
    public subscript(container: EventContainer) -> String {
        switch container {
        case .context: "context"
        case .contextTraits: "context.traits"
        case .traits: "traits"
        case .beginning(of: let path, let steps):
            paths[Int(path)].split(separator: ".", omittingEmptySubsequences: false)
                .prefix(Int(steps)).joined(separator: ".")
        }
    }

    static let noNamespace = UInt8.max

    func encode(into writer: inout ByteWriter) {
        writer.u8(UInt8(namespaces.count))
        for name in namespaces { writer.text16(name) }
        writer.u16(UInt16(paths.count))
        for path in paths { writer.text16(path) }
    }

    init(reading reader: inout ByteReader) throws(ByteError) {
        let offset = reader.offset
        let count = Int(try reader.u8())
        guard count < Int(Self.noNamespace) else { throw .malformed(offset: offset) }
        namespaces = []
        for _ in 0..<count {
            namespaces.append(try reader.text16(limit: WireLimits.noteTextBytesMax))
        }
        let pathCount = Int(try reader.u16())
        guard count + pathCount <= WireLimits.noteTextsMax else {
            throw .tooLong(length: count + pathCount, limit: WireLimits.noteTextsMax)
        }
        paths = []
        for _ in 0..<pathCount {
            paths.append(try reader.text16(limit: WireLimits.noteTextBytesMax))
        }
    }
}

extension EventNote {
    /// Bytes of a note at least.
    static let bytesMin = 5
    /// The same at most: an ignored identifier.
    static let bytesMax = 11

    func encode(into writer: inout ByteWriter) {
        writer.u32(position)
        switch about {
        case .fault(let fault):
            writer.u8(1)
            writer.u8(fault.field.rawValue)
            writer.u8(fault.problem.rawValue)
            writer.u8(fault.place)
        case .ignored(let reason, let namespace, let place, let count):
            writer.u8(2)
            writer.u8(reason.rawValue)
            writer.u16(count)
            writer.u8(namespace ?? NoteNames.noNamespace)
            writer.u16(place.code)
        case .isNull(let place):
            writer.u8(3)
            writer.u16(place.code)
        case .linkRefused(let rule, let namespace):
            writer.u8(4)
            writer.u8(rule.rawValue)
            writer.u8(namespace)
        case .linkVoid(let cause, let namespace):
            writer.u8(5)
            writer.u8(cause.rawValue)
            writer.u8(namespace)
        case .timeMoved: writer.u8(6)
        case .noMessageID: writer.u8(7)
        case .traitsRefused(let count):
            writer.u8(8)
            writer.u16(count)
        case .wrongKind(let container, let problem):
            writer.u8(9)
            writer.u8(problem.rawValue)
            let (steps, place): (UInt8, UInt16) =
                switch container {
                case .context: (0, 0)
                case .contextTraits: (0, 1)
                case .traits: (0, 2)
                case .beginning(of: let path, let steps): (steps, path)
                }
            writer.u8(steps)
            writer.u16(place)
        }
    }

    /// Refuses a note of what `names` has no name for.
    init(reading reader: inout ByteReader, _ names: NoteNames) throws(ByteError) {
        let position = try reader.u32()
        let start = reader.offset
        let kind = try reader.u8()
        let about: About
        switch kind {
        case 1:
            let field: EventField = try Self.named(&reader)
            let problem: FieldProblem = try Self.named(&reader)
            about = .fault(EventFault(field, problem, place: try reader.u8()))
        case 2:
            let reason: IgnoredIdentifier = try Self.named(&reader)
            let count = try reader.u16()
            let namespace = try reader.u8()
            about = .ignored(
                reason,
                namespace: namespace == NoteNames.noNamespace
                    ? nil : try names.checked(namespace: namespace),
                at: try names.place(reading: &reader), count: count)
        case 3: about = .isNull(at: try names.place(reading: &reader))
        case 4:
            let rule: RefusalRule = try Self.named(&reader)
            about = .linkRefused(rule, namespace: try names.checked(namespace: try reader.u8()))
        case 5:
            let cause: LinkVoid = try Self.named(&reader)
            about = .linkVoid(cause, namespace: try names.checked(namespace: try reader.u8()))
        case 6: about = .timeMoved
        case 7: about = .noMessageID
        case 8: about = .traitsRefused(try reader.u16())
        case 9:
            let problem: FieldProblem = try Self.named(&reader)
            about = .wrongKind(try names.container(reading: &reader), problem)
        default: throw .unknownTag(kind, offset: start)
        }
        self.init(position: position, about)
    }

    private static func named<Name: RawRepresentable<UInt8>>(
        _ reader: inout ByteReader
    ) throws(ByteError) -> Name {
        let start = reader.offset
        let tag = try reader.u8()
        guard let name = Name(rawValue: tag) else { throw .unknownTag(tag, offset: start) }
        return name
    }
}

extension NoteNames {
    fileprivate func checked(namespace: UInt8) throws(ByteError) -> UInt8 {
        guard Int(namespace) < namespaces.count else {
            throw .tooLong(length: Int(namespace) + 1, limit: namespaces.count)
        }
        return namespace
    }

    fileprivate func place(reading reader: inout ByteReader) throws(ByteError) -> IdentifierPlace {
        let place = IdentifierPlace(code: try reader.u16())
        guard case .path(let path) = place else { return place }
        guard Int(path) < paths.count else {
            throw .tooLong(length: Int(path) + 1, limit: paths.count)
        }
        return place
    }

    fileprivate func container(
        reading reader: inout ByteReader
    ) throws(ByteError) -> EventContainer {
        let start = reader.offset
        let steps = try reader.u8()
        let place = try reader.u16()
        switch (steps, place) {
        case (0, 0): return .context
        case (0, 1): return .contextTraits
        case (0, 2): return .traits
        case (0, _): throw .malformed(offset: start)
        default:
            guard Int(place) < paths.count else {
                throw .tooLong(length: Int(place) + 1, limit: paths.count)
            }
            let count = paths[Int(place)].utf8.reduce(1) { $0 + ($1 == UInt8(ascii: ".") ? 1 : 0) }
            guard Int(steps) < count else { throw .malformed(offset: start) }
            return .beginning(of: place, steps: steps)
        }
    }
}

extension IdentifierPlace {
    fileprivate var code: UInt16 {
        switch self {
        case .path(let path): path
        case .externalIDs: .max - 1
        case .previousID: .max
        }
    }

    fileprivate init(code: UInt16) {
        self =
            switch code {
            case .max - 1: .externalIDs
            case .max: .previousID
            default: .path(code)
            }
    }
}

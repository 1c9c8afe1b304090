internal import KithBytes
public import KithCore

// What an `IngestReply` tells of events beside their results. At its end, and only where its count
// of notes is not 0:
//
//     texts u16 · as many: bytes16               namespaces and places that notes name
//     each note: item u32 · kind u8 · by kind    ascending by item
//
//     1 fault          field u8 · problem u8 · place u8
//     2 ignored        reason u8 · count u16 · namespace u16, 65535 for none · place u16
//     3 null           place u16
//     4 link refused   rule u8 · namespace u16
//     5 link void      cause u8 · namespace u16
//     6 time moved
//     7 no message id
//     8 traits over the limit   count u16
//
// Namespaces and places are numbers of texts, counted from 0.

/// Something to tell about one item of a batch.
public struct IngestNote: Hashable, Sendable {
    /// What there is to tell.
    public enum About: Hashable, Sendable {
        case fault(EventFault)
        case ignored(IgnoredIdentifier, namespace: UInt16?, place: UInt16, count: UInt16)
        case isNull(place: UInt16)
        case linkRefused(RefusalRule, namespace: UInt16)
        case linkVoid(LinkVoid, namespace: UInt16)
        case timeMoved
        case noMessageID
        case traitsRefused(UInt16)
    }

    /// The item's place in the batch, from 0.
    public var item: UInt32
    public var about: About

    public init(item: UInt32, _ about: About) {
        self.item = item
        self.about = about
    }

    /// Bytes of a note at least.
    static let bytesMin = 5
    private static let noText = UInt16.max

    func encode(into writer: inout ByteWriter) {
        writer.u32(item)
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
            writer.u16(namespace ?? Self.noText)
            writer.u16(place)
        case .isNull(let place):
            writer.u8(3)
            writer.u16(place)
        case .linkRefused(let rule, let namespace):
            writer.u8(4)
            writer.u8(rule.rawValue)
            writer.u16(namespace)
        case .linkVoid(let cause, let namespace):
            writer.u8(5)
            writer.u8(cause.rawValue)
            writer.u16(namespace)
        case .timeMoved: writer.u8(6)
        case .noMessageID: writer.u8(7)
        case .traitsRefused(let count):
            writer.u8(8)
            writer.u16(count)
        }
    }

    init(reading reader: inout ByteReader, textCount: Int) throws(ByteError) {
        item = try reader.u32()
        let start = reader.offset
        let kind = try reader.u8()
        func text(_ number: UInt16) throws(ByteError) -> UInt16 {
            guard Int(number) < textCount else {
                throw .tooLong(length: Int(number) + 1, limit: textCount)
            }
            return number
        }
        switch kind {
        case 1:
            let field: EventField = try Self.named(&reader)
            let problem: FieldProblem = try Self.named(&reader)
            about = .fault(EventFault(field, problem, place: try reader.u8()))
        case 2:
            let reason: IgnoredIdentifier = try Self.named(&reader)
            let count = try reader.u16()
            let namespace = try reader.u16()
            about = .ignored(
                reason, namespace: namespace == Self.noText ? nil : try text(namespace),
                place: try text(try reader.u16()), count: count)
        case 3: about = .isNull(place: try text(try reader.u16()))
        case 4:
            let rule: RefusalRule = try Self.named(&reader)
            about = .linkRefused(rule, namespace: try text(try reader.u16()))
        case 5:
            let cause: LinkVoid = try Self.named(&reader)
            about = .linkVoid(cause, namespace: try text(try reader.u16()))
        case 6: about = .timeMoved
        case 7: about = .noMessageID
        case 8: about = .traitsRefused(try reader.u16())
        default: throw .unknownTag(kind, offset: start)
        }
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

import KithBytes
import Testing

@testable import KithCore

/// What must not come into a log, and what stops a group when it is in one all the same.
@Suite struct OperationFaultTests {
    private let table = GroupTable(groupCount: 3)

    private func leaf(of group: UInt16) -> LeafID {
        var low: UInt64 = 1
        while true {
            let leaf = LeafID(high: low &* 0x9E37_79B9_7F4A_7C15, low: low)
            if table.group(of: leaf) == GroupID(group) { return leaf }
            low += 1
        }
    }

    private func fault(_ bytes: [UInt8], of group: UInt16 = 1) -> OperationFault? {
        OperationFault(in: bytes.span.bytes, of: GroupID(group), table)
    }

    /// The bytes of an operation of any type.
    private func operation(_ tag: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.u8(tag)
        writer.u32(UInt32(payload.count))
        writer.i64(OperationWriter.noStamp)
        writer.raw(payload)
        return writer.bytes
    }

    @Test(arguments: (19...255 as ClosedRange<UInt8>))
    func `a type that nobody knows is a fault, whatever stands before it`(tag: UInt8) {
        var writer = OperationWriter()
        writer.time()
        writer.touch(leaf(of: 1))
        let bytes = writer.bytes + operation(tag, [1, 2, 3])

        #expect(fault(bytes) == OperationFault(ordinal: 2, tag: tag, reason: .unknownType))
    }

    @Test(arguments: OperationType.allCases)
    func `an operation that is cut, or has more than it says, is a fault`(type: OperationType) {
        guard type != .time, type != .restored else {
            #expect(fault(operation(type.rawValue, [])) == nil)
            #expect(fault(operation(type.rawValue, [0])) != nil)
            return
        }
        #expect(fault(operation(type.rawValue, [])) != nil)
        #expect(fault(operation(type.rawValue, [7])) != nil)
        #expect(fault(operation(type.rawValue, [UInt8](repeating: 0xff, count: 600))) != nil)
    }

    @Test func `an operation about another group's record is a fault there and nowhere else`() {
        for group in 0..<3 as Range<UInt16> {
            var writer = OperationWriter()
            writer.touch(leaf(of: group))
            for other in 0..<3 as Range<UInt16> {
                let found = fault(writer.bytes, of: other)
                #expect(found?.reason == (group == other ? nil : .otherGroup))
            }
        }
    }

    @Test func `what is cut off in its header is a fault`() {
        var writer = OperationWriter()
        writer.touch(leaf(of: 1))
        for length in 1..<writer.byteCount {
            #expect(fault(Array(writer.bytes.prefix(length))) != nil)
        }
        #expect(fault(writer.bytes) == nil)
        #expect(fault([]) == nil)
    }

    /// Half an entry is never taken for the whole of it.
    @Test func `a group stops at what it does not understand and says where`() {
        let world = ReviewWorld(groups: 1)
        var writer = OperationWriter()
        writer.settings(retentionMillis: 1234)
        writer.time()
        let known = writer.bytes
        writer.settings(retentionMillis: 99)
        let after = Array(writer.bytes.dropFirst(known.count))
        var outcomes: [Outcome] = []

        let fault = world.groups[0].apply(
            index: LogIndex(1), time: LogTime(1), clock: .wall,
            operations: (known + operation(200, [5]) + after).span.bytes, on: world,
            outcomes: &outcomes)

        #expect(fault == OperationFault(ordinal: 2, tag: 200, reason: .unknownType))
        #expect(outcomes == [.done, .done, .malformed])
        #expect(world.groups[0].retentionMillis == 1234)
    }
}

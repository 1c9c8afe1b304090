import KithBytes
import Testing

/// Marks are counted where a board is, and nowhere else.
@Suite struct MarkTests {
    @Test func `a mark is counted on the board of its thread`() {
        let board = MarkBoard()
        mark(.readMoved)
        board.record {
            mark(.readMoved)
            mark(.readMoved)
            mark(.logTailTorn)
        }
        mark(.readMoved)

        #expect(board.count(of: .readMoved) == 2)
        #expect(board.count(of: .logTailTorn) == 1)
        #expect(board.count(of: .logMissing) == 0)
    }

    @Test func `boards nest, and come off when the body throws`() {
        struct Failure: Error {}
        let outer = MarkBoard()
        let inner = MarkBoard()
        outer.record {
            #expect(throws: Failure.self) {
                try inner.record { () throws(Failure) in
                    mark(.logMade)
                    throw Failure()
                }
            }
            mark(.logMissing)
        }

        #expect(inner.count(of: .logMade) == 1)
        #expect(inner.count(of: .logMissing) == 0)
        #expect(outer.count(of: .logMade) == 0)
        #expect(outer.count(of: .logMissing) == 1)
    }

    @Test func `every mark has a name of its own that leads back to it`() {
        let names = Mark.allCases.map(\.name)

        #expect(Set(names).count == Mark.allCases.count)
        #expect(names.allSatisfy { $0.contains(".") || $0 == "reopened" || $0 == "released" })
        #expect(Mark.allCases.allSatisfy { Mark(name: $0.name) == $0 })
        #expect(Mark.absorbAlreadyTaken.name == "absorb.alreadyTaken")
        #expect(Mark(name: "absorb.nothing") == nil)
    }

    @Test func `there are many marks, and the rare ones say why`() {
        #expect(Mark.allCases.count >= 200)
        #expect(Mark.allCases.count { $0.isRare } <= 50)
        #expect(Mark.allCases.allSatisfy { ($0.rareBecause ?? "a reason").count > 5 })
    }

    #if KITH_PLANTED
    @Test func `a planted fault is one of its board only`() {
        let board = MarkBoard()
        board.plant(.syncSkipped)
        board.plant(bits: 1 << 40 | 3)

        #expect(!planted(.syncSkipped))
        board.record {
            #expect(planted(.syncSkipped))
            #expect(!planted(.middleCut))
            #expect(MarkBoard.plantedBits == 1 << 40 | 3)
        }
        #expect(!planted(.syncSkipped))
        #expect(MarkBoard.plantedBits == 0)
        #expect(Mark.allCases.allSatisfy { board.count(of: $0) == 0 })
    }

    @Test func `every fault of a node has a name`() {
        #expect(NodeFault.names.count >= 30)
        #expect(Set(NodeFault.names).count == NodeFault.names.count)
        #expect(NodeFault(name: "nosync") == .syncSkipped)
        #expect(NodeFault(name: "cutmiddle") == .middleCut)
        #expect(NodeFault(name: "clientorder") == .clientRepliesByOrder)
        #expect(NodeFault(name: "norun") == .runsIgnored)
        #expect(NodeFault(name: "nothing") == nil)
    }
    #endif
}

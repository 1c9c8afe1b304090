import KithBytes
import Testing

@testable import KithSimulation
@testable import KithStorage

/// Damaged logs and cells pass the marks that simulations look for. Tasks of these tests run on
/// the thread of their loop, which is the test's own.
@Suite struct LogMarkTests {
    private let entries = (1...6).map { entry(1, UInt64($0), size: 200) }

    private func marks(of body: () throws -> Void) -> [Mark] {
        let board = MarkBoard()
        board.record { try? body() }
        return Mark.allCases.filter { board.count(of: $0) > 0 }
    }

    @Test func `a torn tail is cut`() throws {
        let disk = try diskWith(entries)
        let last = layout(entries).last?.range.lowerBound ?? 0
        disk.decay(path(1)) { $0[last + 40] ^= 1 }

        let marks = marks { _ = try recover(disk) }
        #expect(marks.contains(.logTailTorn))
        #expect(!marks.contains(.logMiddleCorrupt))
    }

    @Test func `a damaged middle is refused`() throws {
        let disk = try diskWith(entries)
        disk.decay(path(1)) { $0[140] ^= 1 }

        let marks = marks { _ = try recover(disk) }
        #expect(marks.contains(.logMiddleCorrupt))
        #expect(!marks.contains(.logTailTorn))
    }

    @Test func `a lost log is refused where there must be one`() throws {
        var options = smallOptions()
        options.mayCreate = false

        let marks = marks { _ = try recover(SimulatedDisk(), options) }
        #expect(marks.contains(.logMissing))
    }

    @Test(arguments: [[0], [4_096], [0, 4_096]])
    func `a cell with a damaged slot uses the other, and refuses without one`(
        _ places: [Int]
    ) throws {
        let disk = SimulatedDisk()
        let loop = TestLoop()
        try loop.run {
            let cell = DurableCell(disk: disk, path: "cell", loop: loop)
            try await cell.store([1, 2, 3])
            await cell.close()
        }
        disk.decay("cell") { bytes in for place in places { bytes[place % bytes.count] ^= 1 } }

        let marks = marks {
            let again = TestLoop()
            _ = try again.run {
                try await DurableCell(disk: disk, path: "cell", loop: again).load()
            }
        }
        #expect(marks.contains(places.count == 1 ? .cellSecondCopy : .cellCorrupt))
    }
}

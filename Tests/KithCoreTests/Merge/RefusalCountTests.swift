import KithBytes
import Testing

@testable import KithCore

/// A refusal is told as certain only once it is counted in the log: the totals never lack what
/// somebody was told of.
@Suite struct RefusalCountTests {
    private let world = ReviewWorld(groups: 2)

    private func machine() -> IngestMachine {
        world.ingestMachine(
            [world.event("page", id: "1", user: "u")],
            rejected: [(name: Array("missing_previous_id".utf8), count: 2)])
    }

    private var rejected: UInt64 {
        world.totals.rejected.reduce(0) { $0 + UInt64($1.count) }
    }

    @Test func `refusals that are counted are told as certain`() {
        var machine = machine()

        world.settle(&machine)

        #expect(machine.refusal == .rejected)
        #expect(rejected == 2)
    }

    @Test func `refusals whose count came to nothing known are unknown`() {
        var machine = machine()

        var round = machine.nextRound()
        round.parts[0].answer = .unknown
        machine.take(round)
        world.settle(&machine)

        #expect(machine.isDone)
        #expect(machine.refusal == .unknown)
        #expect(rejected == 0)
    }

    @Test func `a group that answers nothing of what it was asked has not counted`() {
        var machine = machine()

        var round = machine.nextRound()
        round.parts[0].answer = .answered(operations: [], finds: [], waits: [], token: .zero)
        machine.take(round)

        #expect(machine.refusal == .unknown)
    }

    @Test func `counts are sent again while the group is overloaded, then what is refused is too`()
    {
        var machine = machine()
        world.overloaded = [0, 1]

        world.settle(&machine)

        #expect(machine.isDone)
        #expect(machine.refusal == .overloaded)
        #expect(rejected == 0)

        world.overloaded = []
        var again = self.machine()
        world.settle(&again)
        #expect(again.refusal == .rejected)
        #expect(rejected == 2)
    }

    @Test func `a batch that refuses nothing has nothing to be unsure of`() {
        var machine = world.ingestMachine([world.event("page", id: "1", user: "u")])
        world.overloaded = [0, 1]

        world.settle(&machine)

        #expect(machine.results == [.overloaded])
        #expect(machine.refusal == .rejected)
    }
}

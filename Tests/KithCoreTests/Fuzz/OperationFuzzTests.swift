import KithBytes
import Testing

@testable import KithCore

/// Whatever bytes stand in a log entry: every replica must be able to apply them, and the group's
/// records keep their rules. Only what a group itself wrote is in its log, but a peer sends absorbs
/// and releases, and a disk sends everything.
@Suite(.serialized) struct OperationFuzzTests {
    /// Entries applied to one world, one after another.
    static let life = 512
    /// Entries between looks at the records that changed.
    static let lookEvery = 64

    @Test(.enabled(if: FuzzSettings.wants("operations"), FuzzSettings.note))
    func `whatever an entry holds, it is applied and the records keep their rules`() {
        var search = FuzzSearch("operations", slice: 6_000, life: Self.life)
        var beginning = ByteFuzzer(seed: search.seed, string: -1)
        var world = OperationFuzzWorld(&beginning)

        search.run { fuzzer, string in
            if string % Self.life == 0 { world = OperationFuzzWorld(&fuzzer) }
            defer {
                if string % Self.life == Self.life - 1 {
                    world.world.drive(rounds: 20)
                    world.world.checkInvariants()
                } else if string % Self.lookEvery == 0 {
                    world.checkUsedShards()
                }
            }
            return world.step(&fuzzer)
        }
    }
}

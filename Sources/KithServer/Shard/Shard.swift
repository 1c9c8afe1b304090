internal import KithBytes
internal import KithCore
internal import KithPorts

/// The owner of one shard of profiles: 1/256 of the id space.
///
/// A shard actor is pinned to the loop of its group, so the group applies an entry to several of
/// them without leaving the loop or suspending in between. `machine` is the way in for that: it
/// checks, in release builds too, that the caller runs on the shard's own executor, which is what
/// makes handing out the machine safe.
actor Shard {
    nonisolated let id: ShardID
    private nonisolated let loop: any Loop
    // Safe: reached only through `machine`, which checks the executor first.
    private nonisolated(unsafe) let state: ShardMachine

    init(id: ShardID, key: HashKey, loop: any Loop) {
        self.id = id
        self.loop = loop
        unsafe state = ShardMachine(id: id, key: key)
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    nonisolated var machine: ShardMachine {
        preconditionIsolated()
        return unsafe state
    }
}

/// The shards of one group.
struct ShardSet: ShardAccess, Sendable {
    /// By shard number; nil where the shard is another group's.
    private let shards: [Shard?]

    init(group: GroupID, table: GroupTable, key: HashKey, loop: any Loop) {
        shards = (0..<ShardID.count).map { number in
            let id = ShardID(UInt8(number))
            return table.group(of: id) == group ? Shard(id: id, key: key, loop: loop) : nil
        }
    }

    func machine(_ id: ShardID) -> ShardMachine {
        guard let shard = shards[Int(id.rawValue)] else {
            preconditionFailure("shard \(id.rawValue) is not this group's")
        }
        return shard.machine
    }
}

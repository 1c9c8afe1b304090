/// The room that the answer to a request in work has in the outbox of its connection.
struct AnswerRoom: Sendable {
    let connection: Connection
    let number: UInt64
    /// Bytes that it may have.
    let byteCount: Int

    /// What became of a wait for more room.
    enum Lengthening {
        case done
        /// The connection ends.
        case ended
        /// Other clients' long answers had all the room until the deadline.
        case late
    }

    /// Waits for room for so many bytes in place of those. What other clients do not take is waited
    /// for until about `deadline` (nanoseconds of the monotonic clock), what this one does not take
    /// until its connection ends.
    func lengthen(to byteCount: Int, until deadline: UInt64) async -> Lengthening {
        await connection.lengthen(self, to: byteCount, until: deadline)
    }
}

// The timers of one loop: a binary heap by (deadline, sequence), so that timers of one deadline
// fire in the order in which they were set. Each timer knows its place in the heap, so that
// cancelling removes it at once: a thousand requests with a ten-second limit each leave nothing
// behind. Invariant: `entries[i].place == i` for every i; a timer outside the heap has place -1.

/// One pending call of `action`. Its `place` belongs to the heap that holds it and is touched only
/// under that heap's lock.
final class LoopTimer: @unchecked Sendable {
    /// Why `action` is called.
    enum Outcome: Sendable {
        /// The deadline has come.
        case fired
        /// The loop has ended before.
        case stopped
    }

    /// In nanoseconds of the monotonic clock.
    let deadline: UInt64
    let action: @Sendable (Outcome) -> Void
    fileprivate var sequence: UInt64 = 0
    fileprivate var place = -1

    init(deadline: UInt64, action: @escaping @Sendable (Outcome) -> Void) {
        self.deadline = deadline
        self.action = action
    }

    fileprivate func isBefore(_ other: LoopTimer) -> Bool {
        (deadline, sequence) < (other.deadline, other.sequence)
    }
}

struct TimerHeap {
    private var entries: [LoopTimer] = []
    private var sequence: UInt64 = 0
    /// Set once the loop ends: nothing is added any more.
    var isStopped = false

    var count: Int { entries.count }
    var earliest: UInt64? { entries.first?.deadline }

    /// O(log n).
    mutating func insert(_ timer: LoopTimer) {
        precondition(timer.place == -1, "a timer is set once")
        sequence += 1
        timer.sequence = sequence
        timer.place = entries.count
        entries.append(timer)
        siftUp(from: timer.place)
    }

    /// O(log n); false if the timer has already left the heap.
    mutating func remove(_ timer: LoopTimer) -> Bool {
        let place = timer.place
        guard place >= 0 else { return false }
        precondition(entries[place] === timer, "a timer belongs to one loop")
        let last = entries.removeLast()
        timer.place = -1
        if last !== timer {
            entries[place] = last
            last.place = place
            siftUp(from: place)
            siftDown(from: last.place)
        }
        return true
    }

    /// Takes out the earliest timer if its deadline is not after `now`. O(log n).
    mutating func popDue(_ now: UInt64) -> LoopTimer? {
        guard let first = entries.first, first.deadline <= now else { return nil }
        _ = remove(first)
        return first
    }

    /// Takes out everything, in no order.
    mutating func removeAll() -> [LoopTimer] {
        for timer in entries { timer.place = -1 }
        defer { entries = [] }
        return entries
    }

    private mutating func siftUp(from start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard entries[place].isBefore(entries[parent]) else { return }
            exchange(place, parent)
            place = parent
        }
    }

    private mutating func siftDown(from start: Int) {
        var place = start
        while true {
            var least = place
            for child in (2 * place + 1)...(2 * place + 2) where child < entries.count {
                if entries[child].isBefore(entries[least]) { least = child }
            }
            if least == place { return }
            exchange(place, least)
            place = least
        }
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        entries.swapAt(a, b)
        entries[a].place = a
        entries[b].place = b
    }

    /// Traps if the order or a timer's idea of its place is wrong. O(n).
    func checkInvariants() {
        for (place, timer) in entries.enumerated() {
            precondition(
                timer.place == place, "timer thinks it is at \(timer.place), is at \(place)")
            precondition(place == 0 || !timer.isBefore(entries[(place - 1) / 2]))
        }
    }
}

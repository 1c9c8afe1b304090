/// What is to happen at a virtual time: timers and deliveries, the earliest first.
///
/// A binary heap of (due, order) over slots; a slot knows its place in the heap, so that a
/// cancelled timer leaves at once instead of lying in the way until it is due. `order` begins with
/// a random word: of several events due at one nanosecond the seed says which is first.
struct EventQueue {
    private struct Key {
        let due: UInt64
        let order: UInt64
        let slot: Int

        func isBefore(_ other: Key) -> Bool {
            due != other.due ? due < other.due : order < other.order
        }
    }

    private struct Slot {
        var generation: UInt32 = 0
        var place = 0
        var event: Event?
    }

    /// An event that is due.
    struct Event {
        let due: UInt64
        let kind: TraceKind
        let subject: UInt64
        let action: () -> Void
    }

    private var heap: [Key] = []
    private var slots: [Slot] = []
    private var free: [Int] = []
    private var inserted: UInt64 = 0

    /// True when nothing is to happen.
    var isEmpty: Bool { heap.isEmpty }
    /// Events that have not fired.
    var count: Int { heap.count }
    /// The time of the earliest event.
    var firstDue: UInt64? { heap.first?.due }

    /// O(log n). `tieBreak` orders events of the same nanosecond.
    mutating func insert(_ event: Event, tieBreak: UInt32) -> EventID {
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
        } else {
            slot = slots.count
            slots.append(Slot())
        }
        inserted &+= 1
        let order = UInt64(tieBreak) << 32 | (inserted & 0xffff_ffff)
        slots[slot].event = event
        heap.append(Key(due: event.due, order: order, slot: slot))
        slots[slot].place = heap.count - 1
        siftUp(heap.count - 1)
        return EventID(slot: slot, generation: slots[slot].generation)
    }

    /// Takes the earliest event. O(log n).
    mutating func popFirst() -> Event? {
        guard let key = heap.first else { return nil }
        return remove(slot: key.slot)
    }

    /// Removes an event that has not fired; `false` when it has, or was removed before. O(log n).
    mutating func cancel(_ id: EventID) -> Bool {
        guard id.slot < slots.count, slots[id.slot].generation == id.generation,
            slots[id.slot].event != nil
        else { return false }
        _ = remove(slot: id.slot)
        return true
    }

    private mutating func remove(slot: Int) -> Event? {
        let place = slots[slot].place
        let last = heap.count - 1
        if place != last { swap(place, last) }
        heap.removeLast()
        if place < heap.count {
            siftUp(place)
            siftDown(place)
        }
        slots[slot].generation &+= 1
        free.append(slot)
        return slots[slot].event.take()
    }

    private mutating func siftUp(_ start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard heap[place].isBefore(heap[parent]) else { return }
            swap(place, parent)
            place = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in (2 * place + 1)...(2 * place + 2)
            where child < heap.count && heap[child].isBefore(heap[least]) {
                least = child
            }
            guard least != place else { return }
            swap(place, least)
            place = least
        }
    }

    private mutating func swap(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        slots[heap[a].slot].place = a
        slots[heap[b].slot].place = b
    }
}

/// A scheduled event, for cancelling it.
public struct EventID: Sendable, Equatable {
    /// Where the event is.
    let slot: Int
    /// How many events were there before it.
    let generation: UInt32
}

/// A first-in first-out queue in a ring that doubles when full. Append and take are amortised O(1)
/// and allocate nothing in the steady state.
struct FIFO<Element> {
    private var ring: [Element?] = []
    private var head = 0
    private(set) var count = 0

    /// True without elements.
    var isEmpty: Bool { count == 0 }

    /// Adds at the end.
    mutating func append(_ element: Element) {
        if count == ring.count { grow() }
        ring[(head + count) & (ring.count - 1)] = element
        count += 1
    }

    /// Takes the oldest element.
    mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = ring[head].take()
        head = (head + 1) & (ring.count - 1)
        count -= 1
        return element
    }

    /// Drops all elements and the ring.
    mutating func removeAll() {
        self = FIFO()
    }

    private mutating func grow() {
        var larger = [Element?](repeating: nil, count: max(8, ring.count * 2))
        for place in 0..<count { larger[place] = ring[(head + place) & (ring.count - 1)] }
        ring = larger
        head = 0
    }
}

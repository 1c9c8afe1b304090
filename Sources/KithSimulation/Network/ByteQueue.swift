/// Bytes that have arrived and were not read yet. Appending to an empty queue and reading all of it
/// copy nothing.
struct ByteQueue {
    private var bytes: [UInt8] = []
    private var head = 0

    /// Bytes not taken yet.
    var count: Int { bytes.count - head }
    /// True without bytes.
    var isEmpty: Bool { count == 0 }

    /// Adds bytes at the end.
    mutating func append(_ more: [UInt8]) {
        if isEmpty {
            bytes = more
            head = 0
        } else {
            bytes += more
        }
    }

    /// Takes up to `atMost` bytes off the front.
    mutating func take(atMost: Int) -> [UInt8] {
        let taken = min(atMost, count)
        if head == 0 && taken == bytes.count {
            let all = bytes
            bytes = []
            return all
        }
        let front = Array(bytes[head..<head + taken])
        head += taken
        if head == bytes.count {
            bytes = []
            head = 0
        } else if head > bytes.count / 2 {
            bytes.removeFirst(head)
            head = 0
        }
        return front
    }

    /// Drops all bytes.
    mutating func removeAll() {
        self = ByteQueue()
    }
}

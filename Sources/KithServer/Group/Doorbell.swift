/// Wakes the one task that waits for work. A ring that nobody waits for is kept. Used by one actor
/// from within; no lock.
struct Doorbell {
    private var isRung = false
    private var sleeper: CheckedContinuation<Void, Never>?

    mutating func ring() {
        if let sleeper {
            self.sleeper = nil
            sleeper.resume()
        } else {
            isRung = true
        }
    }

    mutating func wait(_ continuation: CheckedContinuation<Void, Never>) {
        precondition(sleeper == nil, "one task waits at a bell")
        if isRung {
            isRung = false
            continuation.resume()
        } else {
            sleeper = continuation
        }
    }
}

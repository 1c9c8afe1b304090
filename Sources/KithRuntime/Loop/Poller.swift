// epoll, and who wants to hear about which descriptor.
//
// The 64 bits that epoll gives back are a ticket: the slot in a table and the slot's generation. A
// descriptor may be closed by any thread while an event for it is already on its way to the loop;
// the generation then no longer matches, and the event is dropped. (A pointer in those bits, the
// usual alternative, would be followed into freed memory.)
//
// Everything is edge-triggered: a watcher hears of each change once and remembers it itself, so
// that a stream whose reader is slow costs nothing while it waits.

internal import CLinux
internal import Glibc
internal import Synchronization

/// Hears that a descriptor may have become ready. Called on the loop's thread.
protocol Watcher: AnyObject, Sendable {
    /// `events` are epoll's bits.
    func ready(_ events: UInt32)
    /// The loop ends: nothing will be heard any more.
    func loopStopped()
}

/// What a watcher is known by; needed to stop watching.
struct WatchTicket: Equatable, Sendable {
    fileprivate let bits: UInt64
    fileprivate static let wake = WatchTicket(bits: .max)
}

final class Poller: @unchecked Sendable {
    private struct Table {
        var watchers: [(any Watcher)?] = []
        var generations: [UInt32] = []
        var free: [Int] = []
        var isStopped = false
    }

    static let eventsPerPollMax = 256

    private let epoll: Descriptor
    private let table = Mutex(Table())
    private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: eventsPerPollMax)

    init(wake: borrowing Descriptor) throws(SystemError) {
        let raw = try systemCall("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) }
        epoll = Descriptor(owning: raw)
        let wakeRaw = wake.raw
        try control(EPOLL_CTL_ADD, wakeRaw, EPOLLIN.rawValue, .wake)
    }

    deinit { events.deallocate() }

    private func control(
        _ operation: Int32, _ raw: Int32, _ bits: UInt32, _ ticket: WatchTicket
    ) throws(SystemError) {
        var event = epoll_event()
        event.events = bits | EPOLLET.rawValue
        event.data.u64 = ticket.bits
        try systemCall("epoll_ctl") { epoll_ctl(epoll.raw, operation, raw, &event) }
    }

    /// Starts watching both directions of a descriptor; from any thread. The watcher is kept alive
    /// until `remove`.
    func add(_ raw: Int32, _ watcher: any Watcher) throws(SystemError) -> WatchTicket {
        let ticket: WatchTicket? = table.withLock { table in
            if table.isStopped { return nil }
            let slot: Int
            if let free = table.free.popLast() {
                slot = free
                table.watchers[slot] = watcher
            } else {
                slot = table.watchers.count
                table.watchers.append(watcher)
                table.generations.append(0)
            }
            return WatchTicket(bits: UInt64(table.generations[slot]) << 32 | UInt64(slot))
        }
        guard let ticket else { throw SystemError("epoll_ctl", ESHUTDOWN) }
        let bits = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue
        do throws(SystemError) {
            try control(EPOLL_CTL_ADD, raw, bits, ticket)
        } catch {
            remove(ticket)
            throw error
        }
        return ticket
    }

    /// Forgets a watcher; from any thread, and harmless the second time. The kernel forgets the
    /// descriptor by itself when it is closed.
    func remove(_ ticket: WatchTicket) {
        table.withLock { table in
            let slot = Int(ticket.bits & 0xffff_ffff)
            guard table.generations[slot] == UInt32(ticket.bits >> 32) else { return }
            table.watchers[slot] = nil
            table.generations[slot] &+= 1
            table.free.append(slot)
        }
    }

    private func watcher(_ ticket: WatchTicket) -> (any Watcher)? {
        table.withLock { table in
            let slot = Int(ticket.bits & 0xffff_ffff)
            guard table.generations[slot] == UInt32(ticket.bits >> 32) else { return nil }
            return table.watchers[slot]
        }
    }

    /// Waits up to `timeout` milliseconds (-1: for ever) and tells the watchers what happened. On
    /// the loop's thread.
    func poll(timeout: Int32) {
        let result = systemCall {
            epoll_wait(epoll.raw, events, Int32(Self.eventsPerPollMax), timeout)
        }
        guard case .success(let count) = result else {
            preconditionFailure("epoll_wait refused its own arguments")
        }
        for index in 0..<Int(count) {
            let ticket = WatchTicket(bits: events[index].data.u64)
            if ticket == .wake { continue }
            watcher(ticket)?.ready(events[index].events)
        }
    }

    /// Tells every watcher that the loop ends, and refuses new ones.
    func stop() {
        let watchers = table.withLock { table in
            table.isStopped = true
            return table.watchers
        }
        for watcher in watchers { watcher?.loopStopped() }
    }
}

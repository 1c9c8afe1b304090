// The connections of a load run: a sender and a receiver each, opened again when they break.

import KithBytes
import KithClient
import KithPorts
import KithWire

extension LoadRun {
    /// A request that is under way, or waits to be sent again.
    struct Flight: Sendable {
        var number: Int
        /// The events that are still without a certain answer; nil for all.
        var items: [Int]?
        /// When its latency began, in nanoseconds of the monotonic clock.
        var since: UInt64
        /// When it may be sent again.
        var notBefore: UInt64
    }

    /// One connection, and what it owes.
    struct Link: Sendable {
        var connection: ClientConnection?
        var inFlight: [UInt64: Flight] = [:]
        var again: [Flight] = []
        var bell = Bell()
        /// When a node last answered, or began to owe an answer.
        var heardAt: UInt64 = 0
        /// Nobody could be reached for too long.
        var isGivenUp = false
        var addressText: String

        init(_ connection: ClientConnection) {
            self.connection = connection
            addressText = connection.address.description
        }
    }

    /// Wakes the one task that waits. Used within the actor; a ring that nobody waits for is kept.
    struct Bell: Sendable {
        private var isRung = false
        private var sleeper: CheckedContinuation<Void, Never>?

        mutating func ring() {
            isRung = sleeper == nil
            sleeper?.resume()
            sleeper = nil
        }

        mutating func wait(_ continuation: CheckedContinuation<Void, Never>) {
            guard !isRung else {
                isRung = false
                return continuation.resume()
            }
            sleeper = continuation
        }
    }

    private static let reopenMillis: UInt64 = 100

    /// Sends and receives until there is nothing more to do, over one connection after the other.
    func keepUp(_ index: Int) async {
        var tries = index
        var downSince: UInt64?
        while !isDone(index) {
            guard let connection = links[index].connection else {
                let since = downSince ?? now()
                downSince = since
                tries += 1
                do throws(ClientError) {
                    let opened = try await openAgain(from: tries)
                    links[index].connection = opened
                    links[index].addressText = opened.address.description
                } catch {
                    if now() - since >= settings.patienceMillis * 1_000_000 {
                        return giveUp(index, error)
                    }
                    // A sleep that throws means that the loop stops: the next try fails.
                    try? await clock.sleep(nanoseconds: Self.reopenMillis * 1_000_000, on: loop)
                }
                continue
            }
            let answers = outcome.latency.count
            await converse(over: connection, index)
            links[index].connection = nil
            takeBack(index)
            if outcome.latency.count > answers { downSince = nil }
            if !isDone(index) { outcome.tally.breaks += 1 }
        }
        links[index].connection?.stream.close()
    }

    /// Returns when either direction ends, or all is done. The stream is closed then.
    private func converse(over connection: ClientConnection, _ index: Int) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.receive(over: connection, index) }
            group.addTask { await self.send(over: connection, index) }
            await group.next()
            connection.stream.close()
            links[index].bell.ring()
            group.cancelAll()
        }
    }

    private func send(over connection: ClientConnection, _ index: Int) async {
        var writer = ByteWriter()
        while !isDone(index), !Task.isCancelled {
            writer.removeAll(keepingCapacity: true)
            gather(index, into: &writer)
            guard writer.count > 0 else {
                await withCheckedContinuation { links[index].bell.wait($0) }
                continue
            }
            do throws(NetworkError) {
                try await connection.stream.write(writer.bytes)
            } catch {
                return  // The link opens another connection.
            }
        }
    }

    private func receive(over connection: ClientConnection, _ index: Int) async {
        var decoder = connection.decoder
        while true {
            do {
                while let frame = try decoder.next() {
                    guard take(frame, index) else { return }
                }
                links[index].bell.ring()
                let bytes = try await connection.stream.read(atMost: Self.readBytes)
                guard !bytes.isEmpty else { return }
                decoder.append(bytes)
            } catch {
                return  // Broken bytes or a broken connection: the link opens another.
            }
        }
    }
}

/// What is wrong between which hosts, and until when. A TCP connection shows loss as lateness, so
/// what cannot pass is held and arrives afterwards; nothing is ever reordered within a stream.
package struct NetworkWeather {
    /// One direction between two hosts.
    private struct Link {
        /// Nothing leaves before this time.
        var opensAt: UInt64 = 0
        /// What is added to delays, each until its time; of several the most.
        var slows: [(until: UInt64, extra: ClosedRange<UInt64>)] = []
        /// Bytes pass one after the other, each taking so long, until that time; of several the
        /// longest.
        var narrows: [(until: UInt64, nanosecondsPerByte: UInt64)] = []
        /// When what left last has passed.
        var busyUntil: UInt64 = 0
        var refusesUntil: UInt64 = 0
        var lostAccepts = 0
        var damages: [Damage] = []
    }

    /// What happens to the next bytes.
    package enum Damage {
        case flip
        case cut
    }

    private struct Direction: Hashable {
        let from: String
        let to: String
    }

    private var links: [Direction: Link] = [:]

    /// Nothing was ever wrong, or all of it was cleared.
    package var isClear: Bool { links.isEmpty }

    /// Ends all that is wrong; what is held keeps its time.
    package mutating func clear() { links = [:] }

    /// Fine weather.
    package init() {}

    // MARK: Making it worse

    /// Nothing leaves `from` for `to` before `time`.
    package mutating func block(from: String, to: String, until time: UInt64) {
        change(from, to) { $0.opensAt = max($0.opensAt, time) }
    }

    /// Until `time` each delay is longer by a draw from `extra`.
    package mutating func slow(
        from: String, to: String, by extra: ClosedRange<UInt64>, until time: UInt64
    ) {
        change(from, to) { $0.slows.append((time, extra)) }
    }

    /// Until `time` so many bytes pass in a second.
    package mutating func narrow(
        from: String, to: String, bytesPerSecond: UInt64, until time: UInt64
    ) {
        change(from, to) { $0.narrows.append((time, 1_000_000_000 / bytesPerSecond)) }
    }

    /// Until `time` no new connection is taken.
    package mutating func refuse(from: String, to: String, until time: UInt64) {
        change(from, to) { $0.refusesUntil = max($0.refusesUntil, time) }
    }

    /// The next new connection is never heard of by `to`.
    package mutating func loseAccept(from: String, to: String) {
        change(from, to) { $0.lostAccepts += 1 }
    }

    /// Something happens to the next bytes.
    package mutating func damage(from: String, to: String, _ damage: Damage) {
        change(from, to) { $0.damages.append(damage) }
    }

    private mutating func change(_ from: String, _ to: String, _ body: (inout Link) -> Void) {
        body(&links[Direction(from: from, to: to), default: Link()])
    }

    // MARK: What it means

    /// How long so many bytes take that would take `delay` in fine weather.
    package mutating func delay(
        _ delay: UInt64, from: String, to: String, byteCount: Int, now: UInt64,
        _ random: inout Xoshiro256
    ) -> UInt64 {
        let direction = Direction(from: from, to: to)
        guard var link = links[direction] else { return delay }
        var result = delay
        // Most links have neither.
        if !link.slows.isEmpty || !link.narrows.isEmpty {
            link.slows.removeAll { $0.until <= now }
            link.narrows.removeAll { $0.until <= now }
            result += link.slows.map { random.within($0.extra) }.max() ?? 0
            if let slowest = link.narrows.map(\.nanosecondsPerByte).max() {
                link.busyUntil = max(link.busyUntil, now) + UInt64(byteCount) * slowest
                result += link.busyUntil - now
            }
            links[direction] = link
        }
        if now < link.opensAt { result += link.opensAt - now }
        return result
    }

    /// Whether all that leaves one of the two for the other now arrives as in fine weather.
    package func isFine(between one: String, _ other: String, now: UInt64) -> Bool {
        [Direction(from: one, to: other), Direction(from: other, to: one)].allSatisfy { way in
            guard let link = links[way] else { return true }
            return link.opensAt <= now && link.refusesUntil <= now && link.lostAccepts == 0
                && link.damages.isEmpty && link.slows.allSatisfy { $0.until <= now }
                && link.narrows.allSatisfy { $0.until <= now }
        }
    }

    /// Whether new connections are refused now.
    package func refuses(_ from: String, _ to: String, now: UInt64) -> Bool {
        now < links[Direction(from: from, to: to)]?.refusesUntil ?? 0
    }

    /// Takes a connection that is not to be heard of, if one is.
    package mutating func takeLostAccept(from: String, to: String) -> Bool {
        let direction = Direction(from: from, to: to)
        guard let link = links[direction], link.lostAccepts > 0 else { return false }
        links[direction]?.lostAccepts -= 1
        return true
    }

    /// Takes what is to happen to bytes that leave now, if anything is.
    package mutating func takeDamage(from: String, to: String) -> Damage? {
        let direction = Direction(from: from, to: to)
        guard let link = links[direction], !link.damages.isEmpty else { return nil }
        return links[direction]?.damages.removeFirst()
    }
}

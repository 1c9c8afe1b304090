/// A network to which faults can be done: the simulated one, or the proxies before real processes.
/// What each kind of fault of the network means is said here once.
///
/// Hosts are `client` and `n1`, `n2`, …
package protocol NetworkUnderFaults: AnyObject {
    /// What is wrong between which hosts.
    var weather: NetworkWeather { get set }
    /// Breaks the connections between two hosts: at the end of `from` at once; at the other end
    /// soon, or, where `isSilent`, without a word.
    func breakStreams(from: String, to: String, isSilent: Bool)
}

extension NetworkUnderFaults {
    /// Makes a fault of the network happen at `now`, in the nanoseconds by which the weather goes.
    /// Of `staleBytes` it does the part that delays what a node sends. `chance` is that of the
    /// fault.
    package func inject(
        _ fault: Fault, _ chance: inout Xoshiro256, now: UInt64, nodeCount: Int
    ) {
        let one = NetworkWeather.host(fault.node)
        let other = NetworkWeather.host(fault.other)
        let (from, to) = chance.oneIn(2) ? (one, other) : (other, one)
        let others = (0...nodeCount).map(NetworkWeather.host).filter { $0 != one }
        let until = now + fault.nanoseconds
        switch fault.kind {
        case .delaySpike:
            let most = chance.logarithmic(2_000_000...4_000_000_000)
            weather.slow(from: from, to: to, by: most / 2...most, until: until)
        case .jitter:
            let most = chance.logarithmic(2_000_000...20_000_000_000)
            weather.slow(from: one, to: other, by: 0...most, until: until)
            weather.slow(from: other, to: one, by: 0...most, until: until)
        case .slowLink:
            let rate = chance.logarithmic(2_000...200_000)
            weather.narrow(from: from, to: to, bytesPerSecond: rate, until: until)
        case .clog:
            for peer in others { weather.block(from: one, to: peer, until: until) }
        case .oneWayPartition: weather.block(from: from, to: to, until: until)
        case .partition: part(one, other, until: until)
        case .isolation:
            for peer in others { part(one, peer, until: until) }
        case .clientPartition: part(one, NetworkWeather.host(0), until: until)
        case .reset: breakStreams(from: from, to: to, isSilent: false)
        case .resetMidFrame: weather.damage(from: from, to: to, .cut)
        case .halfOpen: breakStreams(from: from, to: to, isSilent: true)
        case .bitFlip: weather.damage(from: from, to: to, .flip)
        // Both are about new connections: so that there are any, the present ones break.
        case .connectRefused:
            weather.refuse(from: other, to: one, until: until)
            breakStreams(from: other, to: one, isSilent: false)
        case .lostAccept:
            weather.loseAccept(from: other, to: one)
            breakStreams(from: other, to: one, isSilent: false)
        case .staleBytes:
            let most = chance.logarithmic(50_000_000...5_000_000_000)
            for peer in others {
                weather.slow(from: one, to: peer, by: most / 2...most, until: now + 20_000_000)
            }
        default: break
        }
    }

    private func part(_ one: String, _ other: String, until: UInt64) {
        weather.block(from: one, to: other, until: until)
        weather.block(from: other, to: one, until: until)
    }
}

extension NetworkWeather {
    /// The name of a node's host; of 0, that of the clients.
    package static func host(_ number: Int) -> String { number == 0 ? "client" : "n\(number)" }
}

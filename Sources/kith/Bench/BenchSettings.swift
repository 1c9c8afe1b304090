import Foundation
package import KithClient

/// What `kith bench` does, as told by its options.
package struct BenchSettings: Sendable {
    /// The side that is measured.
    package enum Kind: String, Sendable {
        case ingest
        case get
    }

    /// Events of a frame: enough that their number, not that of the frames, is the cost.
    static let batchStandard = 1_000
    static let batchMax = 65_536
    static let connectionsMax = 256
    static let inFlightMax = 1_024
    static let eventBytesMax = 30_000
    static let ingestConnections = 16
    static let ingestInFlight = 2
    static let getConnections = 4
    static let getInFlight = 32
    static let secondsStandard = 10.0

    package var kind: Kind
    package var workload: Workload.Settings
    package var connections: Int
    package var inFlight: Int
    /// Events or reads a second that are due; nil for a closed loop.
    package var rate: Double?
    /// Events or reads in all; nil for as many as fit the seconds.
    package var events: Int?
    package var seconds: Double?
    package var addresses: [NodeAddress]

    /// Events of a request: one for a read.
    package var eventsPerRequest: Int { kind == .ingest ? workload.batch : 1 }

    /// Requests in all; nil for as many as fit the seconds. With a rate it is known beforehand:
    /// what was due within the seconds is sent, also if it takes longer.
    package var requests: Int? {
        let byRate = rate.flatMap { rate in seconds.map { Int(rate * $0) } }
        guard let units = [events, byRate].compactMap({ $0 }).min() else { return nil }
        return max(1, (units + eventsPerRequest - 1) / eventsPerRequest)
    }

    /// Events of request `number`.
    package func events(ofRequest number: Int) -> Int {
        guard let events else { return eventsPerRequest }
        return min(eventsPerRequest, events - number * eventsPerRequest)
    }

    package init(_ arguments: Arguments) throws(UsageError) {
        guard let kind = Kind(rawValue: arguments.operands[0]) else {
            throw UsageError("bench takes ingest or get, not \"\(arguments.operands[0])\"")
        }
        self.kind = kind
        if kind == .get {
            for name in ["logins", "event-bytes", "batch"] where arguments[name] != nil {
                throw UsageError("--\(name) is for bench ingest only")
            }
        }
        addresses = try NodeChoice(arguments).addresses
        workload = Workload.Settings()
        workload.space = try NodeChoice.space(arguments)
        workload.seed = try arguments.number("seed", in: 0...UInt64.max) ?? workload.seed
        workload.visitors =
            try arguments.number("visitors", in: 1...Workload.visitorsMax) ?? workload.visitors
        workload.skew = try arguments.decimal("skew", in: 0...5) ?? workload.skew
        workload.logins = try Self.share("logins", arguments) ?? workload.logins
        workload.eventBytes =
            try arguments.number("event-bytes", in: 1...Self.eventBytesMax) ?? workload.eventBytes
        workload.batch =
            try arguments.number("batch", in: 1...Self.batchMax) ?? Self.batchStandard
        connections =
            try arguments.number("connections", in: 1...Self.connectionsMax)
            ?? (kind == .ingest ? Self.ingestConnections : Self.getConnections)
        inFlight =
            try arguments.number("in-flight", in: 1...Self.inFlightMax)
            ?? (kind == .ingest ? Self.ingestInFlight : Self.getInFlight)
        rate = try arguments.decimal("rate", in: 1...1e9)
        events = try arguments.number("events", in: 1...1_000_000_000_000)
        seconds = try arguments.decimal("seconds", in: 0.1...86_400)
        if events == nil, seconds == nil { seconds = Self.secondsStandard }
    }

    /// A share, `0.02` or `2%`.
    private static func share(_ option: String, _ arguments: Arguments) throws(UsageError)
        -> Double?
    {
        guard let text = arguments[option] else { return nil }
        let isPercent = text.hasSuffix("%")
        let number = Double(isPercent ? String(text.dropLast()) : text).map {
            isPercent ? $0 / 100 : $0
        }
        guard let number, (0...1).contains(number) else {
            throw UsageError("--\(option) must be from 0 to 1, or 0% to 100%, not \"\(text)\"")
        }
        return number
    }
}

extension Arguments {
    /// The value of an option as a number that need not be whole.
    package func decimal(
        _ option: String, in range: ClosedRange<Double>
    ) throws(UsageError) -> Double? {
        guard let text = self[option] else { return nil }
        guard let number = Double(text), range.contains(number) else {
            throw UsageError(
                "--\(option) must be a number from \(Words.decimal(range.lowerBound)) to "
                    + "\(Words.decimal(range.upperBound)), not \"\(text)\"")
        }
        return number
    }
}

extension Words {
    /// A number without a fraction that says nothing.
    static func decimal(_ number: Double) -> String {
        number == number.rounded() && number.magnitude < 1e15
            ? String(Int64(number)) : number.description
    }

    /// A latency given in microseconds, with about three digits.
    static func latency(_ micros: Double) -> String {
        if micros < 1_000 { return "\(Int(micros.rounded())) µs" }
        let millis = micros / 1_000
        if millis < 10 { return "\((millis * 100).rounded() / 100) ms" }
        if millis < 100 { return "\((millis * 10).rounded() / 10) ms" }
        if millis < 10_000 { return "\(Int(millis.rounded())) ms" }
        return seconds(millis / 1_000)
    }
}

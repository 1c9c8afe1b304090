/// A client's bounds. Times are milliseconds.
public struct ClientOptions: Sendable {
    /// The cluster that must answer; empty for any.
    public var clusterName = ""
    /// Name and version of the program, for the nodes' log lines.
    public var software = "kith"
    /// Requests that are sent and unanswered at once; more wait.
    public var requestsInFlightMax = 64
    /// Requests that wait for that; more are refused.
    public var requestsWaitingMax = 4096
    /// From call to reply, all attempts together, where a call does not say otherwise. Above the
    /// ten seconds that a node takes to find out that totals are not to be had.
    var requestMillisMax: UInt32 = 15_000
    /// For one address to take a connection and answer the hello.
    public var connectMillisMax: UInt32 = 2_000
    /// How long a node may send nothing while requests are in flight; when one of them is over its
    /// deadline after that, the next address is tried.
    public var silenceMillisMax: UInt32 = 2_000
    /// From a round in which no address answered to the next; doubles up to the greatest.
    var reconnectMillisMin: UInt32 = 50
    /// The longest pause between two rounds.
    var reconnectMillisMax: UInt32 = 1_000
    /// The longest frame that is taken, and sent, in bytes.
    public var frameBytesMax: UInt32 = 8 << 20
    /// The most bytes of one read.
    var readBytesMax = 256 << 10
    /// The bytes at which no more requests are gathered into one write.
    public var writeBytesMax = 256 << 10

    /// The defaults.
    public init() {}
}

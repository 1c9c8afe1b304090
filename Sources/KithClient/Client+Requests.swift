public import KithBytes
public import KithWire

// Each call takes `millis`, the time from call to reply with all attempts, by default
// `requestMillisMax`; and `retries`, how often the same bytes are sent again when a connection
// breaks or no address answers.

extension Client {
    /// Sends a batch that was made in memory by `IngestBatchWriter` and waits until its events are
    /// stored. Batches are sent in the order of the calls; the payload is copied once, into the
    /// write.
    ///
    /// With an error for which `isUnknown` holds the events may be stored or not: send the same
    /// payload again, whose message ids make that safe. `retries` does so by itself when the
    /// connection breaks. Without retries a batch that was sent is never sent again.
    public func ingest(
        _ payload: [UInt8], retries: Int = 0, millis: UInt32? = nil
    ) async throws(ClientError) -> IngestReply {
        let reply = try await request(
            .ingest, what: "ingest", payload: payload, millis: millis, retries: retries,
            for: IngestReply.self)
        let sent = try? IngestView.itemCount(of: payload)  // nil only for a payload made elsewhere
        guard sent == nil || sent == reply.results.count else {
            throw broken("a batch was answered with \(reply.results.count) results")
        }
        return reply
    }

    /// Has every group log `stamp` (event clock). Asking twice is the same as once.
    public func advanceTime(
        to stamp: LogTime, retries: Int = 1, millis: UInt32? = nil
    ) async throws(ClientError) {
        _ = try await request(
            .advanceTime, what: "advance time", payload: AdvanceTime(stamp: stamp).encoded(),
            millis: millis, retries: retries, for: Done.self)
    }

    /// Reads a merged profile. The read's own deadline counts where it has one; the node is told
    /// the one that counts.
    public func get(_ read: Get, retries: Int = 1) async throws(ClientError) -> ProfileReply {
        for name in [read.space, read.namespace] where name.utf8.count > WireLimits.nameBytesMax {
            throw .tooLarge(
                what: "name", byteCount: name.utf8.count, limit: WireLimits.nameBytesMax)
        }
        guard read.value.utf8.count <= WireLimits.valueBytesMax else {
            throw .tooLarge(
                what: "value", byteCount: read.value.utf8.count,
                limit: WireLimits.valueBytesMax)
        }
        var read = read
        if read.deadlineMillis == 0 { read.deadlineMillis = options.requestMillisMax }
        return try await request(
            .get, what: "get", payload: read.encoded(), millis: read.deadlineMillis,
            retries: retries, for: ProfileReply.self)
    }

    /// The cluster's totals, as one CBOR map.
    public func stats(retries: Int = 1, millis: UInt32? = nil) async throws(ClientError) -> [UInt8]
    {
        try await request(
            .stats, what: "stats", payload: [], millis: millis, retries: retries,
            for: StatsReply.self
        ).map
    }

    /// Nodes, groups, leaders, lag and sizes, as one CBOR map.
    public func status(retries: Int = 1, millis: UInt32? = nil) async throws(ClientError) -> [UInt8]
    {
        try await request(
            .status, what: "status", payload: [], millis: millis, retries: retries,
            for: StatusReply.self
        ).map
    }

    /// Asks whether a node answers, connecting if need be; `hello` then says what it is.
    public func ping(retries: Int = 0, millis: UInt32? = nil) async throws(ClientError) {
        _ = try await request(
            .ping, what: "ping", payload: [], millis: millis, retries: retries, for: Pong.self)
    }
}

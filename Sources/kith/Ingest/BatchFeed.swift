import KithBytes
import KithPorts

/// Reads the files one after another and hands out batches. Blocks while it reads, so it is pinned
/// to a loop on which nothing else runs; but no longer than `idleMillis` for a pipe in which
/// nothing comes, so that a run that has ended does not wait for it.
actor BatchFeed {
    /// What comes next.
    enum Step: Sendable {
        case batch(LineBatch)
        /// A file could not be read to its end; the next one follows.
        case failed(InputError)
        /// Nothing came for a while; there may be more. Only of a pipe or a terminal.
        case idle
        /// No more lines.
        case end(greatestTime: LogTime?)
    }

    /// Bytes of one read.
    private static let chunkBytes = 256 << 10
    /// Bytes of a line that is looked at at all. JSON may be several times as long as its CBOR.
    static let lineBytesMax = 1 << 20

    /// Milliseconds without a byte after which whoever asks is told so: the run may be over.
    private static let idleMillis: Int32 = 200

    private nonisolated let loop: any Loop
    private let clock: any Clock
    private let names: [String]
    private var batcher: LineBatcher
    private var splitter = LineSplitter(lineBytesMax: lineBytesMax)
    private var chunk = [UInt8](repeating: 0, count: chunkBytes)
    /// Place of the present file, or of the next one to open.
    private var fileNumber = 0
    private var file: InputFile?
    /// Nothing of the present file was read.
    private var isFirst = true
    /// Bytes of the files that are done.
    private var bytesDone: UInt64 = 0
    /// A failure to hand out after the batch before it.
    private var pendingFailure: InputError?

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(
        names: [String], settings: LineBatcher.Settings, clock: any Clock, loop: any Loop
    ) {
        self.names = names
        self.clock = clock
        self.loop = loop
        batcher = LineBatcher(settings)
    }

    /// Whether lines may be kept and sent again.
    func setProvisional(_ isProvisional: Bool) { batcher.isProvisional = isProvisional }

    /// The next full batch, or what there is when nothing more can be read at once. Returns within
    /// `idleMillis` of the last byte.
    func next() -> Step {
        while true {
            if let failure = pendingFailure, batcher.isEmpty {
                pendingFailure = nil
                return .failed(failure)
            }
            if takeLines() { return .batch(takeBatch()) }
            guard openNextFile() else {
                if !batcher.isEmpty { return .batch(takeBatch()) }
                return .end(greatestTime: batcher.greatestTime)
            }
            guard let file else { continue }
            if !batcher.isEmpty {
                if !file.isReady() { return .batch(takeBatch()) }
            } else if !file.isReady(within: Self.idleMillis) {
                return .idle
            }
            read(file)
            if pendingFailure != nil, !batcher.isEmpty { return .batch(takeBatch()) }
        }
    }

    /// Adds the whole lines that were read; whether the batch is full.
    private func takeLines() -> Bool {
        let arrival = clock.wallTime().rawValue
        while !batcher.isFull, let line = splitter.next() { add(line, arrival) }
        return batcher.isFull
    }

    private func add(_ line: LineSplitter.Line, _ arrival: Int64) {
        let place = LinePlace(file: fileNumber, line: line.number)
        guard let range = line.range else {
            return batcher.add(nil, at: place, arrival: arrival)
        }
        var bytes = splitter.bytes(range)
        // A byte-order mark is no part of a line; files that were joined have some inside.
        if bytes.begins(with: [0xef, 0xbb, 0xbf]) {
            bytes = bytes.extracting(3..<bytes.byteCount)
        }
        batcher.add(bytes, at: place, arrival: arrival)
    }

    /// Makes sure that a file is open, unless one fails to or all are done; false when all are
    /// done.
    private func openNextFile() -> Bool {
        if file != nil { return true }
        guard fileNumber < names.count else { return false }
        do throws(InputError) {
            file = try InputFile(names[fileNumber])
        } catch {
            fileNumber += 1
            pendingFailure = error
        }
        return true
    }

    private func read(_ file: InputFile) {
        do throws(InputError) {
            let count = try file.read(into: &chunk)
            if count > 0 {
                if isFirst { try judge(file, count) }
                isFirst = false
                return splitter.append(chunk.span.bytes.extracting(0..<count))
            }
        } catch {
            pendingFailure = error
        }
        // At the end; of a file that broke off, what is behind the last line end may be half a
        // line.
        if pendingFailure == nil, let line = splitter.last() {
            add(line, clock.wallTime().rawValue)
        }
        bytesDone += file.bytesTaken ?? 0
        isFirst = true
        self.file = nil
        fileNumber += 1
        splitter = LineSplitter(lineBytesMax: Self.lineBytesMax)
    }

    /// Whether the file holds lines of events, as far as its first bytes tell.
    private func judge(_ file: InputFile, _ count: Int) throws(InputError) {
        let head = chunk.span.bytes.extracting(0..<min(count, FileMistake.headBytesMax))
        if let mistake = FileMistake(head) {
            throw InputError("\(file.name): \(mistake.explanation(names[fileNumber]))")
        }
    }

    private func takeBatch() -> LineBatch {
        batcher.take(bytesTaken: bytesDone + (file?.bytesTaken ?? 0))
    }
}

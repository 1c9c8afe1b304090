// Reading and writing: the kernel is asked first, and only its "not now" suspends.

internal import CLinux
internal import Glibc
internal import KithPorts
internal import Synchronization

extension Socket {
    /// The next bytes, at most `limit`; empty at the end of the stream. A cancelled reader throws
    /// `closed` and leaves the stream as it is.
    func read(atMost limit: Int) async throws(NetworkError) -> [UInt8] {
        precondition(limit > 0, "a read of \(limit) bytes cannot tell the end of the stream")
        while true {
            if Task.isCancelled { throw .closed }
            switch attemptRead(limit) {
            case .done(let bytes): return bytes
            case .wait: await wait(.reading)
            case .giveWay: await loop.nextTurn()
            case .failed(let error): throw error
            }
        }
    }

    /// Returns when the kernel has all bytes. A writer that is cancelled half-way closes the
    /// stream, for the bytes that are out cannot be taken back.
    func write(_ bytes: [UInt8]) async throws(NetworkError) {
        var offset = 0
        while true {
            if Task.isCancelled {
                if offset > 0 { close() }
                throw .closed
            }
            switch attemptWrite(bytes, &offset) {
            case .done: return
            case .wait: await wait(.writing)
            case .giveWay: await loop.nextTurn()
            case .failed(let error): throw error
            }
        }
    }

    private func attemptRead(_ limit: Int) -> Attempt<[UInt8]> {
        let turn = currentTurn
        return state.withLock { state in
            if let failure = state.failure { return .failed(failure) }
            guard state.reading.isReady else { return .wait }
            if state.mustGiveWay(turn) { return .giveWay }

            let count = min(limit, EventLoop.scratchBytes)
            let raw = state.descriptor.raw
            let bytes: [UInt8]
            let result: CallResult<Int>
            if turn != nil {
                let scratch = loop.scratch
                result = systemCall { recv(raw, scratch.baseAddress, count, Self.flags) }
                guard case .success(let received) = result else { return Self.read(&state, result) }
                bytes = [UInt8](UnsafeRawBufferPointer(rebasing: scratch[..<received]))
            } else {
                var outcome = CallResult.success(0)
                bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                    let start = buffer.baseAddress
                    outcome = systemCall { recv(raw, start, count, Self.flags) }
                    if case .success(let received) = outcome { filled = received }
                }
                result = outcome
                guard case .success = result else { return Self.read(&state, result) }
            }
            if bytes.isEmpty { state.hasSeenEnd = true }
            if bytes.count < count, !state.hasSeenEnd { state.reading.isReady = false }
            return .done(bytes)
        }
    }

    private static func read(_ state: inout State, _ result: CallResult<Int>) -> Attempt<[UInt8]> {
        guard case .failure(let code) = result else { return .wait }
        if code == EAGAIN {
            state.reading.isReady = false
            return .wait
        }
        return .failed(broken(&state, code))
    }

    private func attemptWrite(_ bytes: [UInt8], _ offset: inout Int) -> Attempt<Void> {
        let turn = currentTurn
        var sent = offset
        defer { offset = sent }
        return state.withLock { state in
            if let failure = state.failure { return .failed(failure) }
            guard state.writing.isReady || sent == bytes.count else { return .wait }
            if state.mustGiveWay(turn) { return .giveWay }

            let raw = state.descriptor.raw
            while sent < bytes.count {
                let result = bytes.withUnsafeBytes { all in
                    let rest = UnsafeRawBufferPointer(rebasing: all[sent...])
                    return systemCall { send(raw, rest.baseAddress, rest.count, Self.flags) }
                }
                switch result {
                case .success(let count): sent += count
                case .failure(EAGAIN):
                    state.writing.isReady = false
                    return .wait
                case .failure(let code):
                    return .failed(Self.broken(&state, code))
                }
            }
            return .done(())
        }
    }

    /// Remembers a broken connection: the kernel tells of it only once.
    private static func broken(_ state: inout State, _ code: Int32) -> NetworkError {
        let error: NetworkError = code == EPIPE ? .closed : .reset(message: errorText(code))
        state.failure = error
        return error
    }

    private static var flags: Int32 {
        Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    }
}

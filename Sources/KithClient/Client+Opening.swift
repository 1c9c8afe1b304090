import KithBytes
import KithPorts
import KithWire

// From an address to an open connection: TCP, then the hello, both within `connectMillisMax`.

extension Client {
    /// The first address that answers, in the order of the list from `start` on and around.
    func openFirst(from start: Int) async -> Result<Link, ClientError> {
        var failures: [ClientError] = []
        for step in 0..<addresses.count where !isStopping {
            let result = await open((start + step) % addresses.count)
            guard case .failure(let error) = result, Self.isWorthAnotherAddress(error) else {
                return result
            }
            mark(.clientAddressSkipped)
            failures.append(error)
        }
        if failures.count == 1 { return .failure(failures[0]) }
        return .failure(
            .unreachable(
                address: addresses.map(\.description).joined(separator: ", "),
                message: failures.map(\.description).joined(separator: "; ")))
    }

    /// Whether another node of the list may do better. One that refuses for what this client is,
    /// speaks for all.
    static func isWorthAnotherAddress(_ error: ClientError) -> Bool {
        guard case .refused(_, let code, _, _) = error else { return true }
        switch code {
        case .shuttingDown, .overloaded, .unavailable, .internalError, .starting: return true
        default: return false
        }
    }

    private func open(_ index: Int) async -> Result<Link, ClientError> {
        let tooLate = ClientError.unreachable(
            address: addresses[index].description,
            message: "no answer within \(options.connectMillisMax) ms")
        return await withTaskGroup(of: Result<Link, ClientError>.self) {
            [clock, loop, options] group in
            group.addTask { await self.connect(index) }
            group.addTask {
                // A sleep that throws was cancelled: the result is not looked at then.
                try? await clock.sleep(
                    nanoseconds: UInt64(options.connectMillisMax) * 1_000_000, on: loop)
                return .failure(tooLate)
            }
            let first = await group.next() ?? .failure(tooLate)
            group.cancelAll()
            if case .failure = first, case .success(let late)? = await group.next() {
                late.stream.close()
            }
            return first
        }
    }

    private func connect(_ index: Int) async -> Result<Link, ClientError> {
        let address = addresses[index]
        let stream: any ByteStream
        do throws(NetworkError) {
            stream = try await network.connect(
                host: address.host, port: address.port, loop: loop)
        } catch {
            return .failure(
                .unreachable(address: address.description, message: Self.text(of: error)))
        }
        return await withTaskCancellationHandler {
            do throws(ClientError) {
                return .success(try await greet(over: stream, index))
            } catch {
                stream.close()
                return .failure(error)
            }
        } onCancel: {
            stream.close()
        }
    }

    /// Exchanges hellos and checks that this is the cluster that is meant.
    private func greet(
        over stream: any ByteStream, _ index: Int
    ) async throws(ClientError) -> Link {
        let address = addresses[index].description
        var writer = ByteWriter()
        FrameWriter.write(
            Hello(
                clusterName: options.clusterName, role: .client, software: options.software),
            requestID: Self.helloRequestID, into: &writer)
        var decoder = FrameDecoder()
        let frame = try await ask(writer.bytes, over: stream, &decoder, address)
        let hello = try Self.helloReply(in: frame, from: address)
        guard options.clusterName.isEmpty || options.clusterName == hello.clusterName else {
            throw .refused(
                address: address, code: .wrongCluster,
                text: "it belongs to cluster '\(hello.clusterName)', "
                    + "not '\(options.clusterName)'", retryAfterMillis: 0)
        }
        return Link(
            stream: stream, address: addresses[index], addressIndex: index, hello: hello,
            decoder: decoder)
    }

    /// Writes the hello and reads the first frame that comes back.
    private func ask(
        _ bytes: [UInt8], over stream: any ByteStream, _ decoder: inout FrameDecoder,
        _ address: String
    ) async throws(ClientError) -> Frame {
        do throws(NetworkError) {
            try await stream.write(bytes)
        } catch {
            throw .unreachable(address: address, message: Self.text(of: error))
        }
        while true {
            do throws(FrameError) {
                if let frame = try decoder.next() { return frame }
            } catch {
                throw .protocolError(address: address, message: error.description)
            }
            do throws(NetworkError) {
                let bytes = try await stream.read(atMost: options.readBytesMax)
                guard !bytes.isEmpty else { throw .closed }
                decoder.append(bytes)
            } catch {
                let message = "the connection ended before the hello: \(Self.text(of: error))"
                throw .unreachable(address: address, message: message)
            }
        }
    }

    private static func helloReply(
        in frame: Frame, from address: String
    ) throws(ClientError) -> HelloReply {
        let refusal: ErrorReply
        do throws(ByteError) {
            if frame.type == .helloReply {
                let hello = try HelloReply(decoding: frame.payload)
                if ProtocolVersion.supported.contains(hello.version) { return hello }
            }
            guard frame.type == .error else { throw .malformed(offset: 0) }
            refusal = try ErrorReply(decoding: frame.payload)
        } catch {
            throw .protocolError(
                address: address, message: "the answer to the hello is malformed: \(error)")
        }
        throw refused(by: address, refusal)
    }
}

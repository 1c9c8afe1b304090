import KithBytes
import KithClient
import KithCore
import KithPorts
import KithRuntime
import KithWire

/// `kith get`: the merged profile of an identifier.
enum GetCommand: Command {
    static let syntax = CommandSyntax(
        name: "get", summary: "Print the merged profile of an identifier",
        operands: "NS:VALUE", operandCount: 1...1,
        options: [
            NodeChoice.option, NodeChoice.spaceOption,
            CommandSyntax.Option("json", help: "print one JSON object"),
            CommandSyntax.Option(
                "quarantine",
                help: "what a device shared by several accounts did while nobody was named"),
        ],
        notes: [
            "NS:VALUE is a namespace and a value, split at the first colon. The value is normalised "
                + "as in events: email:A@X.com finds a@x.com. Any identifier of a person, asked of any "
                + "node, gives the same profile."
        ],
        examples: ["kith get email:ada@example.com", "kith get user_id:u-17 --json"],
        exitCodes: [.done, .failed, .usage, .notFound, .unavailable],
        exitMeanings: [
            .done: "the profile was printed",
            .failed: "the answer cannot be read, or standard output cannot be written",
            .usage: "wrong usage; an unknown namespace too",
            .notFound: "no such profile, or a value that is never an identifier",
            .unavailable:
                "no node could be reached, or the one that holds the profile is not there",
        ])

    static func run(_ arguments: Arguments, _ console: Console) throws(UsageError) -> ExitCode {
        let (namespace, value) = try split(arguments.operands[0])
        let request = Get(
            space: try NodeChoice.space(arguments), namespace: namespace, value: value,
            wantsQuarantine: arguments.has("quarantine"))
        let isJSON = arguments.has("json")
        return try NodeChoice(arguments).use("get", console) { client, runtime in
            let reply = try await client.get(request)
            if let reason = reply.ignored {
                console.complain(
                    "kith get: \(Words.printable(arguments.operands[0])) is never an identifier: "
                        + reason.explanation)
                return .notFound
            }
            guard let bytes = reply.profile else {
                console.complain(
                    "kith get: no profile of \(Words.printable(arguments.operands[0])) in space "
                        + request.space)
                return .notFound
            }
            let profile = try await decode(bytes, client)
            if isJSON {
                console.print(ProfileText.json(profile))
            } else {
                let text = ProfileText(
                    profile, style: Style(isOn: console.hasColours),
                    now: runtime.clock.wallTime().rawValue)
                console.print(text.text)
            }
            return .done
        }
    }

    /// Namespace and value of `NS:VALUE`.
    static func split(_ operand: String) throws(UsageError) -> (String, String) {
        guard let colon = operand.firstIndex(of: ":"), colon > operand.startIndex,
            operand.index(after: colon) < operand.endIndex
        else {
            throw UsageError("an identifier is NS:VALUE, as in user_id:u-17, not \"\(operand)\"")
        }
        let namespace = String(operand[..<colon])
        let value = String(operand[operand.index(after: colon)...])
        guard namespace.utf8.count <= WireLimits.nameBytesMax else {
            throw UsageError("a namespace has at most \(WireLimits.nameBytesMax) bytes")
        }
        guard value.utf8.count <= WireLimits.valueBytesMax else {
            throw UsageError("a value has at most \(WireLimits.valueBytesMax) bytes")
        }
        return (namespace, value)
    }

    private static func decode(
        _ bytes: [UInt8], _ client: Client
    ) async throws(ClientError) -> Profile {
        let failure: ByteError
        do throws(ByteError) {
            var reader = ByteReader(bytes.span.bytes)
            return try Profile(decoding: &reader)
        } catch {
            failure = error
        }
        throw await client.broken("its answer to get cannot be read: \(failure)")
    }
}

import KithBytes
import KithClient
import KithRuntime

/// `kith stats`: the cluster's totals.
enum StatsCommand: Command {
    static let syntax = CommandSyntax(
        name: "stats", summary: "Print the cluster's totals: profiles, events, merges",
        options: [NodeChoice.option, CommandSyntax.Option("json", help: "print one JSON object")],
        notes: [
            "Totals are of the whole cluster and of all spaces, exact after every acknowledgement, never "
                + "a part: where a group cannot answer, the command says which node and fails."
        ],
        examples: ["kith stats", "kith stats --json --node 127.0.0.1:7101"],
        exitCodes: [.done, .failed, .usage, .unavailable],
        exitMeanings: [
            .done: "the totals were printed",
            .failed: "the answer cannot be read, or standard output cannot be written",
            .unavailable: "no node could be reached, or a group of the cluster cannot answer",
        ])

    static func run(_ arguments: Arguments, _ console: Console) throws(UsageError) -> ExitCode {
        let isJSON = arguments.has("json")
        return try NodeChoice(arguments).use("stats", console) { client, _ in
            let totals = try await MapAnswer.totals(of: client)
            let style = Style(isOn: console.hasColours)
            console.print(
                isJSON ? JSONText.make(totals) : TreeText.make(totals, style: style))
            return .done
        }
    }
}

/// Answers that are CBOR maps. What cannot be read is an error that names the node.
enum MapAnswer {
    /// Counts that all totals have, each by the keys that lead to it.
    private static let counts = [
        ["profiles", "total"], ["profiles", "members"], ["profiles", "anonymous"],
        ["identifiers", "total"], ["events", "accepted"], ["events", "duplicate"],
        ["events", "rejected"], ["merges", "completed"], ["merges", "refused"], ["expired"],
    ]

    /// The cluster's totals. An answer without one of the counts is no totals, whatever it holds.
    static func totals(of client: Client) async throws(ClientError) -> CBORValue {
        let map = try await read(try await client.stats(), of: "stats", client)
        for path in counts {
            var value: CBORValue? = map
            for key in path { value = value?[key] }
            guard case .unsigned? = value else {
                throw await client.broken(
                    "its answer to stats has no count \"\(path.joined(separator: "."))\"")
            }
        }
        return map
    }

    /// The map that `bytes` hold, the answer to `what`.
    static func read(
        _ bytes: [UInt8], of what: String, _ client: Client
    ) async throws(ClientError) -> CBORValue {
        let message: String
        do throws(ByteError) {
            let value = try CBORValue(decoding: bytes.span.bytes)
            if case .map(let members) = value, !members.isEmpty { return value }
            message = "its answer to \(what) is no map, or an empty one"
        } catch {
            message = "its answer to \(what) cannot be read: \(error)"
        }
        throw await client.broken(message)
    }
}

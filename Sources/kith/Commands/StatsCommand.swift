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
        try TreeAnswer.print("stats", arguments, console) { client in try await client.stats() }
    }
}

/// An answer that is one CBOR map, printed.
enum TreeAnswer {
    static func print(
        _ command: String, _ arguments: Arguments, _ console: Console,
        _ ask: @escaping @Sendable (Client) async throws -> [UInt8]
    ) throws(UsageError) -> ExitCode {
        let isJSON = arguments.has("json")
        return try NodeChoice(arguments).use(command, console) { client, _ in
            console.print(try text(try await ask(client), isJSON: isJSON, console))
            return .done
        }
    }

    static func text(
        _ bytes: [UInt8], isJSON: Bool, _ console: Console
    ) throws(ByteError) -> String {
        let map = try CBORValue(decoding: bytes.span.bytes)
        let style = Style(isOn: console.hasColours)
        return isJSON ? JSONText.make(map) : TreeText.make(map, style: style)
    }
}

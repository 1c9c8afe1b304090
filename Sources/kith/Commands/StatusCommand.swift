import KithBytes
import KithClient
import KithPorts
import KithRuntime

/// `kith status`: nodes and groups.
enum StatusCommand: Command {
    static let syntax = CommandSyntax(
        name: "status", summary: "Print nodes, groups, leaders, queues, sizes and rates",
        options: [
            NodeChoice.option, CommandSyntax.Option("json", help: "print one JSON object"),
            CommandSyntax.Option("watch", help: "print it again every second, until control-C"),
        ],
        notes: [
            "A node that does not answer is shown as down, with the reason; so are the groups that it "
                + "leads. Rates are of the last five seconds.",
            "With --watch and --json, one object a second, a line each.",
        ],
        examples: [
            "kith status", "kith status --watch", "kith status --json --node 127.0.0.1:7102",
        ],
        exitCodes: [.done, .failed, .usage, .unavailable])

    static func run(_ arguments: Arguments, _ console: Console) throws(UsageError) -> ExitCode {
        guard arguments.has("watch") else {
            return try TreeAnswer.print("status", arguments, console) { client in
                try await client.status()
            }
        }
        let isJSON = arguments.has("json")
        return try NodeChoice(arguments).use("status", console) { client, runtime in
            while true {
                let text: String
                do {
                    let bytes = try await client.status()
                    text = try TreeAnswer.text(bytes, isJSON: isJSON, console)
                } catch let error as ClientError {
                    // A node that comes back is shown again.
                    text = "kith status: \(Words.printable(error.description))"
                }
                guard console.drawPage(text) else { return .done }
                try await runtime.clock.sleep(nanoseconds: 1_000_000_000, on: runtime.loops[0])
            }
        }
    }
}

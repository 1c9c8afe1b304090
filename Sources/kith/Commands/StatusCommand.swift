import KithBytes
import KithClient
import KithPorts
import KithRuntime

/// `kith status`: nodes and groups.
enum StatusCommand: Command {
    static let syntax = CommandSyntax(
        name: "status", summary: "Print how the cluster stands: problems, nodes, groups",
        options: [
            NodeChoice.option, CommandSyntax.Option("json", help: "print one JSON object"),
            CommandSyntax.Option(
                "check", help: "exit code 1 where anything is down or wrong, for monitoring"),
            CommandSyntax.Option("watch", help: "print it again every second, until control-C"),
            CommandSyntax.Option("wide", help: "all columns, however long the lines become"),
        ],
        notes: [
            "Problems come first; then columns in the order in which they are needed, as many as fit the "
                + "terminal, or 80 characters ($COLUMNS) where there is none.",
            "Nodes: state (up, down, starting, or unknown where the node that was asked cannot tell). "
                + "memory: what the profiles take, by which memory.limitMiB is judged. process: what the "
                + "system counts for the whole process. disk used: segments of the log. disk free: what "
                + "is left on that file system; below 256 MiB events are refused. conns: connections at "
                + "the moment.",
            "A node that is up may refuse all, where its clock is wrong, or events: the first line "
                + "counts those apart, and the problems say why.",
            "Groups: leader: the node that holds it. events/s: of the last five seconds. sealed: merges on "
                + "their way; many for long wait for a node that is down. pending: bytes that wait for "
                + "the log; near 6 MiB clients are told to come back later. waiting: requests that wait "
                + "for a merge. events: accepted ever. records: identifiers and what is left of them. "
                + "applied: entries of the group's log. log time: the time by which it judges.",
            "With --watch and --json, one object a second, a line each.",
        ],
        examples: [
            "kith status", "kith status --watch",
            "kith status --check > /dev/null || page-somebody",
            "kith status --json --node 127.0.0.1:7102",
        ],
        exitCodes: [.done, .failed, .usage, .unavailable],
        exitMeanings: [
            .done: "the status was printed; with --check, all is well",
            .failed:
                "with --check, something is down or wrong; or the answer cannot be read or written",
        ])

    static func run(_ arguments: Arguments, _ console: Console) throws(UsageError) -> ExitCode {
        let view = View(
            isJSON: arguments.has("json"), isWide: arguments.has("wide"),
            isCheck: arguments.has("check"))
        guard arguments.has("watch") else {
            return try NodeChoice(arguments).use("status", console) { client, _ in
                let answer = view.render(try await status(of: client), console)
                console.print(answer.text)
                return view.isCheck && answer.hasProblem ? .failed : .done
            }
        }
        guard !view.isCheck else {
            throw UsageError("--check looks once and --watch again and again; give one of them")
        }
        return try NodeChoice(arguments).use("status", console) { client, runtime in
            while true {
                let text: String
                do {
                    text = view.render(try await status(of: client), console).text
                } catch let error as ClientError {
                    // A node that comes back is shown again.
                    text = "kith status: \(Words.printable(error.description))"
                }
                guard console.drawPage(text) else { return .done }
                try await runtime.clock.sleep(nanoseconds: 1_000_000_000, on: runtime.loops[0])
            }
        }
    }

    private static func status(of client: Client) async throws(ClientError) -> CBORValue {
        try await MapAnswer.read(try await client.status(), of: "status", client)
    }

    /// How an answer is shown.
    private struct View: Sendable {
        let isJSON: Bool
        let isWide: Bool
        let isCheck: Bool

        func render(
            _ map: CBORValue, _ console: Console
        ) -> (text: String, hasProblem: Bool) {
            let style = Style(isOn: console.hasColours)
            guard let status = StatusText(map, style) else {
                // A node of another version: what it says, as it says it.
                return (isJSON ? JSONText.make(map) : TreeText.make(map, style: style), true)
            }
            let text =
                isJSON ? JSONText.make(map) : status.text(width: isWide ? nil : console.columns)
            return (text, !status.problems.isEmpty)
        }
    }
}

import KithBytes
import KithServer

/// `kith check-config`: what is wrong with a cluster file, or what it says.
enum CheckConfigCommand: Command {
    static let syntax = CommandSyntax(
        name: "check-config", summary: "Say what is wrong with a cluster file, or what it says",
        operands: "FILE", operandCount: 1...1,
        options: [
            CommandSyntax.Option("json", help: "print only the settings, as JSON"),
            CommandSyntax.Option(
                "nodes", help: "print only the nodes, a line each: id, blank, host:port"),
        ],
        notes: [
            "A cluster file is JSON; lines that begin with // are comments. Every key has a default, and "
                + "the settings are printed with all defaults filled in.",
            "An entry of identity.namespaces changes the standard namespace of its name, or adds one: "
                + "keys that it leaves out keep their standard values, and null takes the namespace "
                + "away. identity.blockedValues replaces the standard list, and "
                + "identity.moreBlockedValues is added to it.",
        ],
        examples: ["kith check-config cluster-config/local-1.json"],
        exitCodes: [.done, .failed, .usage],
        exitMeanings: [
            .done: "the file is right", .failed: "the file has mistakes, or cannot be read",
        ])

    static func run(_ arguments: Arguments, _ console: Console) throws(UsageError) -> ExitCode {
        guard let configuration = load(arguments.operands[0], "check-config", console) else {
            return .failed
        }
        if arguments.has("nodes") {
            for node in configuration.nodes {
                console.print("\(node.id.rawValue) \(ClusterFile.address(node))")
            }
        } else {
            if !arguments.has("json") { console.print(ClusterFile.summary(configuration) + "\n") }
            console.print(ClusterFile.json(configuration))
        }
        return .done
    }

    /// The settings of the file at `path`; where there are none, says why.
    static func load(
        _ path: String, _ command: String, _ console: Console
    ) -> ClusterConfiguration? {
        do throws(InputError) {
            let text = try InputFile.contents(path, byteCountMax: ClusterFile.byteCountMax + 1)
            do throws(ClusterFileError) {
                return try ClusterFile.parse(text)
            } catch {
                for problem in error.problems {
                    console.complain("kith \(command): \(path): \(Words.printable(problem))")
                }
            }
        } catch {
            console.complain("kith \(command): \(error)")
        }
        return nil
    }
}

import KithRuntime

/// One word behind `kith`: its syntax, and what it does.
protocol Command {
    static var syntax: CommandSyntax { get }

    /// Does the work and says how it ended. Blocks the main thread.
    static func run(_ arguments: Arguments, _ console: Console) throws(UsageError) -> ExitCode
}

/// `kith`: finds the command, parses its arguments, runs it.
package enum KithCommand {
    /// Name and version, as `--version` prints them and peers see them.
    package static let software = "kith 0.1.0"

    static var commands: [any Command.Type] {
        [
            ServeCommand.self, IngestCommand.self, GetCommand.self, StatsCommand.self,
            StatusCommand.self, BenchCommand.self, CheckConfigCommand.self, SimulateCommand.self,
            ChaosCommand.self,
        ]
    }

    /// Runs a command line, the program's own name not among `words`.
    package static func run(_ words: [String], _ console: Console) -> ExitCode {
        guard let name = words.first else {
            console.complain("kith: a command is missing; \(commandNames) (kith --help)")
            return .usage
        }
        switch name {
        case "--help", "-h", "help":
            if words.count > 1, let command = command(words[1]) {
                console.print(command.syntax.helpText)
            } else {
                console.print(helpText)
            }
            return .done
        case "--version":
            console.print(software)
            return .done
        default: break
        }
        guard let command = command(name) else {
            console.complain("kith: no command \(Words.printable(name)); \(commandNames)")
            return .usage
        }
        do throws(UsageError) {
            let arguments = try Arguments(Array(words.dropFirst()), for: command.syntax)
            if arguments.has("help") {
                console.print(command.syntax.helpText)
                return .done
            }
            return try command.run(arguments, console)
        } catch {
            console.complain(
                "kith \(name): \(Words.printable(error.message)) (kith \(name) --help)")
            return .usage
        }
    }

    private static func command(_ name: String) -> (any Command.Type)? {
        commands.first { $0.syntax.name == name }
    }

    private static var commandNames: String {
        "there are " + commands.map { $0.syntax.name }.joined(separator: ", ")
    }

    /// What `kith --help` prints.
    package static var helpText: String {
        var lines = [
            "Kith: one merged profile per person, from the events of every channel.", "",
            "usage: kith COMMAND [options]", "", "commands:",
        ]
        lines += HelpText.table(commands.map { ($0.syntax.name, $0.syntax.summary) })
        lines += [
            "", "options:",
            "  --help     this, or a command's own: kith ingest --help",
            "  --version  name and version",
            "", "example:", "  kith get user_id:u-17", "", "exit codes:",
        ]
        lines += ExitCode.allCases.map { "  \($0.rawValue)  \($0.meaning)" }
        return lines.joined(separator: "\n")
    }
}

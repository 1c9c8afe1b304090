import Glibc
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

    /// Runs a command line, the program's own name not among `words`. What it was asked for and
    /// could not write makes it fail.
    package static func run(_ words: [String], _ console: Console) -> ExitCode {
        let code = obey(words, console)
        guard let failure = console.outputFailure else { return code }
        // A reader that has gone is nobody to tell.
        if failure != EPIPE {
            console.complain(
                "kith: standard output cannot be written: \(String(cString: strerror(failure)))")
        }
        return code == .done ? .failed : code
    }

    private static func obey(_ words: [String], _ console: Console) -> ExitCode {
        guard let name = words.first else {
            console.complain("kith: a command is missing; \(commandNames) (kith --help)")
            return .usage
        }
        switch name {
        case "--help", "-h", "help":
            guard words.count > 1, !words[1].hasPrefix("-") else {
                console.print(helpText)
                return .done
            }
            if let text = ownHelp(words[1]) {
                console.print(text)
                return .done
            }
            guard let command = command(words[1]) else {
                let hint = Spelling.hint(
                    words[1], among: commands.map { $0.syntax.name } + ["version", "help"])
                console.complain(
                    "kith help: no command \(Words.printable(words[1]))\(hint); \(commandNames)")
                return .usage
            }
            console.print(command.syntax.helpText)
            return .done
        case "version", "--version":
            console.print(software)
            return .done
        default: break
        }
        guard let command = command(name) else {
            let hint = Spelling.hint(
                name, among: commands.map { $0.syntax.name } + ["version", "help"])
            console.complain("kith: no command \(Words.printable(name))\(hint); \(commandNames)")
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

    /// What `kith help` says of the two words that are no commands of their own.
    private static func ownHelp(_ name: String) -> String? {
        switch name {
        case "version": "Print name and version.\n\nusage: kith version"
        case "help": "Print what there is, or what a command does.\n\nusage: kith help [COMMAND]"
        default: nil
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
        lines += HelpText.table(
            commands.map { ($0.syntax.name, $0.syntax.summary) } + [
                ("version", "Print name and version"), ("help", "Print this, or help COMMAND"),
            ])
        lines += [
            "", "options:",
            "  --help     this, or a command's own: kith ingest --help",
            "  --version  name and version", "", "environment:",
            "  \(NodeChoice.variable)   nodes to ask where --node is not given",
            "  \(NodeChoice.spaceVariable)  the space where --space is not given",
            "", "example:", "  kith get user_id:u-17", "", "exit codes:",
        ]
        lines += ExitCode.allCases.map { "  \($0.rawValue)  \($0.meaning)" }
        return lines.joined(separator: "\n")
    }
}

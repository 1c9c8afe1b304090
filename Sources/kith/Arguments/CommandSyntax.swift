/// What a command takes: the one description from which its arguments are parsed and its help is
/// written.
package struct CommandSyntax: Sendable {
    /// A long option.
    package struct Option: Sendable {
        /// Without the dashes.
        package var name: String
        /// What its value is called; nil for an option that takes none.
        package var value: String?
        /// As the help shows it; nil where there is none.
        package var standard: String?
        package var help: String

        package init(
            _ name: String, value: String? = nil, standard: String? = nil, help: String
        ) {
            self.name = name
            self.value = value
            self.standard = standard
            self.help = help
        }
    }

    package var name: String
    /// One line for the list of commands.
    package var summary: String
    /// What the operands are called, `FILE…`; nil for a command that takes none.
    package var operands: String?
    package var operandCount: ClosedRange<Int>
    package var options: [Option]
    /// Paragraphs for the help.
    package var notes: [String]
    package var examples: [String]
    package var exitCodes: [ExitCode]
    /// What an exit code means for this command, where that is more than it means for all.
    package var exitMeanings: [ExitCode: String]

    package init(
        name: String, summary: String, operands: String? = nil,
        operandCount: ClosedRange<Int> = 0...0, options: [Option] = [], notes: [String] = [],
        examples: [String], exitCodes: [ExitCode], exitMeanings: [ExitCode: String] = [:]
    ) {
        self.name = name
        self.summary = summary
        self.operands = operands
        self.operandCount = operandCount
        self.options = options
        self.notes = notes
        self.examples = examples
        self.exitCodes = exitCodes
        self.exitMeanings = exitMeanings
    }

    /// The option that every command has.
    static let help = Option("help", help: "print this and exit")

    /// What `kith NAME --help` prints.
    package var helpText: String {
        var usage = "usage: kith \(name)"
        if let operands { usage += " " + operands }
        var lines = [summary + ".", "", usage + " [options]"]
        for note in notes {
            lines.append("")
            lines += HelpText.wrapped(note, indent: 0)
        }
        lines += ["", "options:"]
        lines += HelpText.table(
            (options + [Self.help]).map { option in
                let name = "--" + option.name + (option.value.map { " " + $0 } ?? "")
                let standard = option.standard.map { " (default: \($0))" } ?? ""
                return (name, option.help + standard)
            })
        lines += ["", examples.count == 1 ? "example:" : "examples:"]
        lines += examples.map { "  " + $0 }
        lines += ["", "exit codes:"]
        for code in exitCodes {
            let text = HelpText.wrapped(exitMeanings[code] ?? code.meaning, indent: 5)
            lines.append("  \(code.rawValue)  " + (text.first ?? "").dropFirst(5))
            lines += text.dropFirst()
        }
        return lines.joined(separator: "\n")
    }
}

/// Laying out of help.
package enum HelpText {
    package static let width = 88

    /// Two columns, the second wrapped.
    static func table(_ rows: [(String, String)]) -> [String] {
        let left = min(rows.map(\.0.count).max() ?? 0, 26)
        var lines: [String] = []
        for (name, text) in rows {
            let wrapped = wrapped(text, indent: left + 4)
            let start = "  " + name
            if name.count > left {
                lines.append(start)
                lines += wrapped
            } else {
                let gap = String(repeating: " ", count: left + 4 - start.count)
                lines.append(start + gap + (wrapped.first ?? "").dropFirst(left + 4))
                lines += wrapped.dropFirst()
            }
        }
        return lines
    }

    /// `text` in lines of at most `width` characters.
    static func wrapped(_ text: String, indent: Int, width: Int = width) -> [String] {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, indent + line.count + 1 + word.count > width {
                lines.append(margin + line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        lines.append(margin + line)
        return lines
    }
}

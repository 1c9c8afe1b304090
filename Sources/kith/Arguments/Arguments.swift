// A command line, taken apart by a `CommandSyntax`: `--name value`, `--name=value`, `--flag`, and
// operands between them; `--` ends the options, and a lone `-` is an operand. Nothing is
// abbreviated.

/// The options and operands of one command.
package struct Arguments: Sendable {
    private var values: [String: String] = [:]
    private var flags: Set<String> = []
    package private(set) var operands: [String] = []

    /// Takes `words` apart, the command's name not among them. `--help` alone is enough: what else
    /// is wrong is not looked at.
    package init(_ words: [String], for syntax: CommandSyntax) throws(UsageError) {
        if words.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
            flags = ["help"]
            return
        }
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                operands += rest
                break
            }
            if word.hasPrefix("--") {
                try takeOption(word, &rest, syntax)
            } else if word.hasPrefix("-"), word != "-" {
                throw Self.unknown(word, syntax)
            } else {
                operands.append(word)
            }
        }
        try checkOperands(syntax)
    }

    private mutating func takeOption(
        _ word: String, _ rest: inout ArraySlice<String>, _ syntax: CommandSyntax
    ) throws(UsageError) {
        let parts = word.dropFirst(2).split(
            separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard let option = syntax.options.first(where: { $0.name == name }) else {
            throw Self.unknown("--" + name, syntax)
        }
        guard values[name] == nil, !flags.contains(name) else {
            throw UsageError("--\(name) is given twice; give it once")
        }
        guard let valueName = option.value else {
            guard parts.count == 1 else { throw UsageError("--\(name) takes no value") }
            flags.insert(name)
            return
        }
        if parts.count == 2 {
            values[name] = String(parts[1])
        } else if let value = rest.popFirst() {
            values[name] = value
        } else {
            throw UsageError("--\(name) needs a value: --\(name) \(valueName)")
        }
    }

    private static func unknown(_ word: String, _ syntax: CommandSyntax) -> UsageError {
        let known = (syntax.options + [CommandSyntax.help]).map { "--" + $0.name }
        return UsageError(
            "no option \(word)" + Spelling.hint(word, among: known)
                + "; there are \(known.joined(separator: " "))")
    }

    private func checkOperands(_ syntax: CommandSyntax) throws(UsageError) {
        guard !syntax.operandCount.contains(operands.count) else { return }
        guard let wanted = syntax.operands else {
            throw UsageError("\"\(operands[0])\" is one word too many: only options are taken")
        }
        if operands.count < syntax.operandCount.lowerBound {
            throw UsageError("\(wanted) is missing, as in: \(syntax.examples[0])")
        }
        throw UsageError(
            "\"\(operands[syntax.operandCount.upperBound])\" is one word too many after \(wanted)")
    }

    // MARK: Values

    /// Whether an option without value is given.
    package func has(_ flag: String) -> Bool { flags.contains(flag) }

    /// The value of an option; nil where it is not given.
    package subscript(option: String) -> String? { values[option] }

    /// The value of an option as a number.
    package func number<Number: FixedWidthInteger>(
        _ option: String, in range: ClosedRange<Number>
    ) throws(UsageError) -> Number? {
        guard let text = values[option] else { return nil }
        guard let number = Number(text), range.contains(number) else {
            throw UsageError(
                "--\(option) must be a number from \(range.lowerBound) to \(range.upperBound), "
                    + "not \"\(text)\"")
        }
        return number
    }
}

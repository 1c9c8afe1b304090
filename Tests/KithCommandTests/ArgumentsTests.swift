import Testing
import kith

@Suite struct ArgumentsTests {
    static let syntax = CommandSyntax(
        name: "paint", summary: "Paint things", operands: "THING…", operandCount: 1...2,
        options: [
            CommandSyntax.Option("colour", value: "NAME", standard: "red", help: "what colour"),
            CommandSyntax.Option("coats", value: "N", help: "how many coats"),
            CommandSyntax.Option("dry", help: "let it dry"),
        ],
        notes: ["Paints."], examples: ["kith paint fence"], exitCodes: [.done, .usage])

    @Test func `values come behind a blank or an equals sign, between operands`() throws {
        let arguments = try Arguments(
            ["fence", "--colour", "blue", "--coats=2", "--dry", "gate"], for: Self.syntax)

        #expect(arguments.operands == ["fence", "gate"])
        #expect(arguments["colour"] == "blue")
        #expect(try arguments.number("coats", in: 1...3) == 2)
        #expect(arguments.has("dry"))
    }

    @Test func `two dashes end the options and one dash is an operand`() throws {
        #expect(try Arguments(["-", "--", "--dry"], for: Self.syntax).operands == ["-", "--dry"])
    }

    @Test func `help is given whatever else is wrong`() throws {
        #expect(try Arguments(["--nonsense", "-h"], for: Self.syntax).has("help"))
    }

    @Test(arguments: [
        (
            ["--color", "x"],
            "no option --color, did you mean --colour?; there are --colour --coats --dry --help"
        ),
        (["-c"], "no option -c; there are --colour --coats --dry --help"),
        (["fence", "--colour"], "--colour needs a value: --colour NAME"),
        (["fence", "--dry=yes"], "--dry takes no value"),
        (["fence", "--dry", "--dry"], "--dry is given twice; give it once"),
        ([], "THING… is missing, as in: kith paint fence"),
        (["a", "b", "c"], "\"c\" is one word too many after THING…"),
    ])
    func `a wrong argument gets one line that says what is right`(
        _ words: [String], _ message: String
    ) {
        #expect(throws: UsageError(message)) { try Arguments(words, for: Self.syntax) }
    }

    @Test(arguments: ["0", "4", "two", "2.5", ""])
    func `a number out of its range is refused with the range`(_ text: String) throws {
        let arguments = try Arguments(["fence", "--coats", text], for: Self.syntax)

        #expect(throws: UsageError("--coats must be a number from 1 to 3, not \"\(text)\"")) {
            try arguments.number("coats", in: 1...3)
        }
    }

    @Test func `the help shows usage, options with defaults, an example and exit codes`() {
        #expect(
            Self.syntax.helpText == """
                Paint things.

                usage: kith paint THING… [options]

                Paints.

                options:
                  --colour NAME  what colour (default: red)
                  --coats N      how many coats
                  --dry          let it dry
                  --help         print this and exit

                example:
                  kith paint fence

                exit codes:
                  0  done
                  2  wrong usage
                """)
    }
}

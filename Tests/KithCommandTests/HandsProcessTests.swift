import Foundation
import Glibc
import KithBytes
import Testing
import kith

/// What somebody at a keyboard, or a script of theirs, meets.
@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct HandsProcessTests {
    private static let line = #"{"type":"page","userId":"u","messageId":"m"}"#

    // MARK: The environment

    @Test func `node and space come from the environment, and options are stronger`() throws {
        let node = try TestNode()
        let variables = ["KITH_NODE": node.address, "KITH_SPACE": "shop-1"]
        func kith(_ words: String..., input: String? = nil) throws -> (
            code: Int32, output: String, error: String
        ) {
            try Run(words, input: input, variables: variables).end()
        }

        #expect(try kith("ingest", "-", "--quiet", input: Self.line).code == 0)
        #expect(try kith("get", "user_id:u").output.contains("space shop-1"))
        #expect(try kith("get", "user_id:u", "--space", "default").code == 3)
        #expect(try kith("stats", "--node", "127.0.0.1:1").code == 4)
        let wrong = try Run(["stats"], variables: ["KITH_NODE": "nowhere"]).end()
        #expect(wrong.code == 2 && wrong.error.contains("KITH_NODE must be host:port"))
        let space = try Run(["get", "a:b"], variables: ["KITH_SPACE": "A"]).end()
        #expect(space.code == 2 && space.error.contains("KITH_SPACE must be 1 to 64"))
        // A variable that is empty says nothing.
        let empty = try Run(
            ["get", "user_id:u", "--node", node.address], variables: ["KITH_SPACE": ""]
        ).end()
        #expect(empty.code == 3 && empty.error.contains("space default"))
    }

    // MARK: Words

    @Test(arguments: [
        (["gte", "a:b"], "no command gte, did you mean get?"),
        (["sttaus"], "did you mean status?"), (["sevre"], "did you mean serve?"),
        (["help", "ingset"], "no command ingset, did you mean ingest?"),
        (["get", "a:b", "--sapce", "x"], "no option --sapce, did you mean --space?"),
        (["status", "--chek"], "did you mean --check?"),
    ])
    func `a word that is nearly right is met with the right one`(
        _ words: [String], _ text: String
    ) throws {
        let result = try Run(words).end()

        #expect(result.code == 2)
        #expect(result.error.contains(text), "\(result.error)")
    }

    @Test func `a word that is far from all is met with what there is`() throws {
        let result = try Run(["xylophone"]).end()

        #expect(result.code == 2)
        #expect(!result.error.contains("did you mean"))
        #expect(result.error.contains("there are serve, ingest, get"))
    }

    @Test func `version is said by a command too`() throws {
        let version = try Run(["version"]).end()

        #expect(version.code == 0)
        #expect(version.output == KithCommand.software + "\n")
        #expect(try Run(["--version"]).end().output == version.output)
    }

    @Test func `help says what the columns of status mean, and exit codes of the command at hand`()
        throws
    {
        let status = try Run(["help", "status"]).end().output
        for column in ["memory:", "disk free:", "sealed:", "pending:", "log time:", "applied:"] {
            #expect(status.contains(column), "\(column)")
        }
        #expect(status.contains("with --check, something is down or wrong"))
        let version = try Run(["help", "version"]).end()
        #expect(version.code == 0 && version.output.contains("usage: kith version"))
        #expect(try Run(["help", "help"]).end().output.contains("usage: kith help [COMMAND]"))
        #expect(try Run(["help", "get"]).end().output.contains("an unknown namespace too"))
        let serve = try Run(["help", "serve"]).end().output
        #expect(!serve.contains("some lines were refused"))
        for command in ["serve", "get", "stats", "status", "check-config", "bench"] {
            let help = try Run([command, "--help"]).end().output
            for line in help.split(separator: "\n") { #expect(line.count <= HelpText.width) }
        }
    }

    @Test func `a value that is never an identifier is told so`() throws {
        let node = try TestNode()

        for (identifier, reason) in [
            ("user_id:null", "stands for nobody in particular"),
            ("email:nobody", "is not what its namespace asks for"),
            ("user_id:0000", "zeros only"),
        ] {
            let result = try node.kith("get", identifier)
            #expect(result.code == 3)
            #expect(
                result.error.contains("\(identifier) is never an identifier: "), "\(result.error)")
            #expect(result.error.contains(reason), "\(result.error)")
        }
    }

    @Test func `a key that a cluster file gives twice is refused with its place`() throws {
        let node = try TestNode()
        let path = try node.file(
            "twice.json",
            """
            {
              "name": "a",
              // A comment.
              "retention": {"anonymousDays": 1, "anonymousDays": 90}
            }
            """)

        let result = try Run(["check-config", path]).end()

        #expect(result.code == 1)
        #expect(
            result.error.hasSuffix(
                "line 4, column 17: \"anonymousDays\" is given twice in one object; give it once\n"),
            "\(result.error)")
    }

    // MARK: Status

    @Test func `status --check is 0 where all is well, 1 where a node is down, 4 where nobody is`()
        throws
    {
        let cluster = try TestCluster(2)
        let deadline = Date().addingTimeInterval(20)
        while try cluster.kith(1, "status", "--check").code != 0, Date() < deadline {}
        #expect(try cluster.kith(1, "status", "--check", "--json").code == 0)

        cluster.crash(2)
        let check = try cluster.kith(1, "status", "--check")
        #expect(check.code == 1)
        #expect(check.output.contains("problems\n    node 2 is down: "), "\(check.output)")
        #expect(try cluster.kith(1, "status", "--check", "--json").code == 1)
        #expect(try cluster.kith(1, "status").code == 0)
        cluster.crash(1)
        #expect(try cluster.kith(1, "status", "--check").code == 4)
        #expect(try Run(["status", "--check", "--watch"]).end().code == 2)
    }

    @Test func `a status fits 80 columns, with memory and disk, and --wide shows all`() throws {
        let cluster = try TestCluster(3)
        let lines = (0..<300).map { #"{"type":"page","userId":"u-\#($0)"}"# }
        let text = lines.joined(separator: "\n")
        #expect(try cluster.kith(1, "ingest", "-", "--quiet", input: text).code == 0)

        let narrow = try cluster.kith(1, "status").output
        let wide = try cluster.kith(1, "status", "--wide").output

        for line in narrow.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
        for column in ["id", "state", "address", "memory", "process", "disk used", "disk free"] {
            #expect(narrow.contains(column), "\(column): \(narrow)")
        }
        for column in ["software", "log time", "memory limit"] { #expect(wide.contains(column)) }
        #expect(narrow.contains("--wide shows all") && !wide.contains("--wide"))
    }

    /// An empty map, a nest of a hundred arrays, an end without a beginning, half of the totals.
    private static let noTotals: [[UInt8]] = [
        [0xa0], [UInt8](repeating: 0x81, count: 100) + [0], [0xff],
        (["profiles": ["total": 1, "members": 1, "anonymous": 0]] as CBORValue).encoded(),
    ]

    @Test(arguments: noTotals, [[], ["--json"]])
    func `an answer that is no totals is refused, and the node is named`(
        _ answer: [UInt8], _ options: [String]
    ) throws {
        let node = try FakeNode([], map: answer)

        let stats = try Run(["stats", "--node", node.address] + options).end()

        #expect(stats.code == 1)
        #expect(stats.output.isEmpty)
        #expect(
            stats.error.contains("node \(node.address) does not speak the protocol: its answer"),
            "\(stats.error)")
    }

    @Test(arguments: noTotals.prefix(3))
    func `a status and a profile that cannot be read name the node`(_ answer: [UInt8]) throws {
        let node = try FakeNode([], map: answer)

        for command in [["status"], ["status", "--check"], ["get", "user_id:u"]] {
            let result = try Run(command + ["--node", node.address]).end()

            #expect(result.code == 1)
            #expect(result.output.isEmpty)
            #expect(
                result.error.contains("node \(node.address) does not speak the protocol"),
                "\(result.error)")
        }
    }

    // MARK: Load

    @Test func `bench ingest asks for a space of its own unless there are no events yet`() throws {
        let node = try TestNode()
        let load = ["bench", "ingest", "--events", "1000", "--node", node.address]

        #expect(try Run(load).end().code == 0)
        let second = try Run(load).end()
        #expect(second.code == 1)
        #expect(second.error.contains("--space load-test"), "\(second.error)")
        #expect(try Run(load + ["--space", "default"]).end().code == 1)
        #expect(try Run(load + ["--space", "load-test"]).end().code == 0)
        #expect(try node.stats()["events"]?["accepted"] == 2_000)
    }

    // MARK: Refusals

    @Test func `a refusal between nodes is told as one, with one exit code wherever asked`() throws
    {
        let cluster = try TestCluster(2)
        cluster.crash(2)
        let other = try cluster.file(
            "other.json",
            #"{"name":"test","replicas":1,"retention":{"anonymousDays":7},"nodes":["#
                + #"{"id":1,"port":\#(cluster.ports[0])},{"id":2,"port":\#(cluster.ports[1])}]}"#)
        let serve = [
            "serve", "--config", other, "--node", "2", "--data",
            cluster.folder.appendingPathComponent("node-2").path,
        ]
        let refused = try Run(serve).end()
        #expect(refused.code == 1)
        #expect(
            refused.error.contains("node 1 runs with another cluster file: the cluster files of")
                && refused.error.contains("differ in retention"), "\(refused.error)")
        // While the other does not answer nobody tells it.
        cluster.signal(1, SIGSTOP)
        let run = try Run(serve)
        #expect(run.line() != nil)
        cluster.signal(1, SIGCONT)

        var codes: Set<Int32> = []
        var refusals: [String] = []
        for person in 0..<20 {
            for node in 1...2 {
                let get = try cluster.kith(node, "get", "user_id:u-\(person)")
                codes.insert(get.code)
                if get.code == 4 { refusals.append(get.error) }
            }
        }
        let stats = try (1...2).map { try cluster.kith($0, "stats") }
        let lines = (0..<20).map { #"{"type":"page","userId":"u-\#($0)"}"# }
        let ingest = try cluster.kith(
            1, "ingest", "-", "--patience", "1", input: lines.joined(separator: "\n"))

        #expect(ingest.error.contains("node 2 refuses: wrongCluster: the cluster files"))
        #expect(!ingest.error.contains("does not answer"), "\(ingest.error)")
        #expect(codes == [3, 4])
        #expect(!refusals.isEmpty)
        for text in refusals + stats.map(\.error) {
            #expect(text.contains("refuses: wrongCluster: the cluster files"), "\(text)")
            #expect(!text.contains("does not answer"), "\(text)")
        }
        #expect(stats.allSatisfy { $0.code == 4 })
        run.signal(SIGKILL)
        run.process.waitUntilExit()
    }

    // MARK: Scripts

    @Test func `scripts take the ports of the cluster that they are given`() throws {
        let program = try #require(Built.program)
        let cluster = try TestCluster(2)
        let config = cluster.folder.appendingPathComponent("cluster.json").path
        #expect(try cluster.kith(1, "ingest", "-", "--quiet", input: Self.line).code == 0)
        func script(_ name: String, _ words: [String]) throws -> (
            code: Int32, output: String, error: String
        ) {
            try Run(
                words, program: SurroundingsProcessTests.root + "/scripts/" + name,
                variables: ["KITH_BINARY": program]
            ).end()
        }

        let addresses = try script("cluster", ["addresses", "--config", config])
        #expect(addresses.output == "1 \(cluster.address(1))\n2 \(cluster.address(2))\n")
        let query = try script("query", ["user_id:u", "--node", "2", "--config", config])
        #expect(query.code == 0 && query.output.contains("user_id  u"), "\(query.error)")
        let third = try script("query", ["user_id:u", "--node", "3", "--config", config])
        #expect(third.code == 2 && third.error.contains("has no node 3"), "\(third.error)")
        let load = try script("load-test", ["--config", config, "--seconds", "0.5"])
        #expect(load.code == 0, "\(load.error)")
        #expect(load.output.contains("using the cluster of 2"), "\(load.output)")
    }
}

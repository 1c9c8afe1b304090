import Foundation
import Glibc
import KithBytes
import Testing
import kith

/// The program among what it cannot choose: descriptors that are closed, output that nobody takes,
/// terminals that go, disks that are read-only or full, a log that takes its time.
@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct SurroundingsProcessTests {
    /// Runs a line of shell in which `$0` is the program.
    private func shell(_ script: String, _ words: [String] = []) throws -> (
        code: Int32, output: String, error: String
    ) {
        let program = try #require(Built.program)
        return try Run(["-c", script, program] + words, program: "/bin/sh").end()
    }

    // MARK: Descriptors

    @Test func `closed input is empty, and not the first socket that is opened`() throws {
        let node = try TestNode()

        let result = try shell(#"timeout 20 "$0" ingest - --json --node "$1" <&-"#, [node.address])

        #expect(result.code == 0, "\(result.error)")
        #expect(try JSONTranscoder.tree(Array(result.output.utf8))["events"] == 0)
    }

    /// Every choice of the three that are closed, as a shell says it.
    static let closings = (1..<8).map { choice in
        ["<&-", ">&-", "2>&-"].enumerated().filter { choice >> $0.offset & 1 == 1 }
            .map(\.element).joined(separator: " ")
    }

    @Test(arguments: closings)
    func `a node serves whichever descriptors are closed`(_ closing: String) throws {
        let node = try TestNode()
        node.crash()
        let arguments = node.serveArguments
        let program = try #require(Built.program)
        let run = try Run(
            ["-c", "exec \"$0\" \"$@\" \(closing)", program] + arguments, program: "/bin/sh")

        let deadline = Date().addingTimeInterval(20)
        var code: Int32 = -1
        while code != 0, Date() < deadline { code = try node.kith("status", "--check").code }
        #expect(code == 0)
        let line = #"{"type":"page","userId":"u"}"#
        #expect(try node.kith("ingest", "-", "--quiet", input: line).code == 0)
        #expect(try node.kith("get", "user_id:u").code == 0)

        run.signal(SIGTERM)
        let end = run.end()
        // What it has to say first could not be said, which its log says at once.
        let words = closing.split(separator: " ")
        #expect(end.code == (words.contains(">&-") ? 1 : 0))
        if words.contains(">&-"), !words.contains("2>&-") {
            #expect(
                end.error.contains(
                    "warning  node 1: standard output cannot be written: Bad file descriptor"),
                "\(end.error)")
        }
        // Nothing of its own was written into a file that took a closed one's number.
        node.crash()
        try node.start()
        #expect(try node.kith("get", "user_id:u").code == 0)
    }

    @Test(arguments: closings)
    func `a client asks and tells whichever descriptors are closed`(_ closing: String) throws {
        let node = try TestNode()
        let line = #"{"type":"page","userId":"u"}"#
        let file = try node.file("events.ndjson", line)
        #expect(try node.kith("ingest", "-", "--quiet", input: line).code == 0)
        let isMute = closing.split(separator: " ").contains(">&-")
        let isSilent = closing.split(separator: " ").contains("2>&-")
        let told = "kith: standard output cannot be written: Bad file descriptor\n"

        for words in [
            "get user_id:u", "stats --json", "status", "ingest - --json", "ingest \(file)",
        ] {
            let result = try shell(
                #"timeout 20 "$0" \#(words) --node "$1" \#(closing)"#, [node.address])
            #expect(result.code == (isMute ? 1 : 0), "\(words): \(result.error)")
            #expect(result.output.isEmpty == isMute, "\(words): \(result.output)")
            #expect(result.error == (isMute && !isSilent ? told : ""), "\(words)")
        }
        let quiet = try shell(
            #"timeout 20 "$0" ingest \#(file) --quiet --node "$1" \#(closing)"#, [node.address])
        #expect(quiet.code == 0)
    }

    // MARK: Output

    @Test(arguments: [
        "--help", "version", "--version", "help get", "get --help",
        "check-config cluster-config/local-1.json", "check-config --help",
        "simulate --seed 1 --steps 4", "simulate --seed 1 --steps 4 --json",
        "chaos --seconds 2 --seeds 1",
    ])
    func `output that cannot be written is exit code 1 and a line that says so`(
        _ words: String
    ) throws {
        for target in [">/dev/full", ">&-"] {
            let result = try shell(#"cd "$1" && "$0" \#(words) \#(target)"#, [Self.root])

            #expect(result.code == 1, "\(words) \(target): \(result.error)")
            #expect(result.error.contains("standard output cannot be written: "), "\(result.error)")
        }
    }

    @Test func `a client's output that cannot be written is exit code 1`() throws {
        let node = try TestNode()
        let line = #"{"type":"page","userId":"u"}"#
        #expect(try node.kith("ingest", "-", "--quiet", input: line).code == 0)

        for words in [
            "get user_id:u", "get user_id:u --json", "stats", "stats --json", "status",
            "status --json", "status --check", "status --watch",
            "bench ingest --events 2000 --visitors 5 --space b",
            "bench get --events 100 --visitors 5 --space b",
        ] {
            let result = try shell(#""$0" \#(words) --node "$1" >/dev/full"#, [node.address])
            #expect(result.code == 1, "\(words): \(result.error)")
            #expect(result.error.contains("No space left on device"), "\(result.error)")
        }
        let ingest = try shell(
            #"echo '{"type":"page","userId":"u"}' | "$0" ingest - --node "$1" >/dev/full"#,
            [node.address])
        #expect(ingest.code == 1)
    }

    @Test func `a reader that has gone is exit code 1, and not worth a word`() throws {
        let result = try shell(
            #"{ sleep 0.2; "$0" --help; echo "$?" >&2; } | true"#)

        #expect(result.error == "1\n")
    }

    // MARK: Signals

    @Test func `a terminal that goes does not end a node`() throws {
        let node = try TestNode()

        for _ in 0..<3 { node.run?.signal(SIGHUP) }

        #expect(try node.kith("status").code == 0)
        node.run?.signal(SIGTERM)
        #expect(node.run?.end().code == 0)
    }

    // MARK: Disks

    /// Whether a test may mount file systems of its own, in a namespace of its own.
    static let canMount: Bool = {
        let end = try? ChildProcess.shell("unshare -rm true 2> /dev/null")
        return end == ChildProcess.End(isSignal: false, status: 0)
    }()

    @Test(.enabled(if: canMount, "needs unshare -rm"))
    func `a read-only disk, a full one and a folder in use are told apart`() throws {
        let node = try TestNode()
        let serve = [node.serveArguments[2], node.folder.appendingPathComponent("mount").path]
        func start(
            _ mount: String, _ folder: String, _ option: String = ""
        ) throws -> (code: Int32, error: String) {
            let script = """
                mkdir -p "$2" && exec unshare -rm sh -c '\(mount) && exec "$0" serve \
                --config "$1" --node 1 --port 0 --data "$2/\(folder)" \(option)' "$0" "$@"
                """
            let result = try shell(script, serve)
            return (result.code, result.error)
        }

        let readOnly = try start(#"mount -t tmpfs -o ro tmpfs "$2""#, "data")
        #expect(readOnly.code == 1)
        #expect(
            readOnly.error.contains("the file system of the data folder is read-only"),
            "\(readOnly.error)")
        let noFile = try start(
            #"mount -t tmpfs tmpfs "$2" && mkdir "$2/data" && mount -o remount,ro "$2""#, "data",
            "--new")
        #expect(noFile.code == 1)
        #expect(
            noFile.error.contains("the file system of the data folder is read-only"),
            "\(noFile.error)")
        let full = try start(#"mount -t tmpfs -o size=64k tmpfs "$2""#, "data")
        #expect(full.code == 1)
        #expect(full.error.contains("the disk is full"), "\(full.error)")
        var arguments = node.serveArguments
        arguments[8] = "0"
        let taken = try Run(arguments).end()
        #expect(taken.code == 1)
        #expect(taken.error.contains("the data folder is used by another process"))
    }

    @Test func `above the memory limit events are refused and told why, and reads go on`() throws {
        let node = try TestNode(config: #"{"memory": {"limitMiB": 4}}"#)
        let text = String(repeating: "x", count: 8_000)
        func person(_ number: Int) -> String {
            #"{"type":"identify","userId":"u-\#(number)","messageId":"m-\#(number)","traits":{"a":"\#(text)"}}"#
        }
        let lines = (1...2_000).map(person).joined(separator: "\n")

        let ingest = try node.kith(
            "ingest", "-", "--json", "--patience", "2", input: lines)

        #expect(ingest.code != 0)
        #expect(
            ingest.error.contains("node 1 holds as much in memory as it may and takes no events"),
            "\(ingest.error)")
        #expect(try node.kith("get", "user_id:u-1").code == 0)
        let status = try JSONTranscoder.tree(
            Array(try node.kith("status", "--json").output.utf8))
        guard case .array(let rows)? = status["nodes"], let row = rows.first,
            case .unsigned(let held)? = row["memoryBytes"],
            case .text(let problem)? = row["problem"]
        else {
            Issue.record("\(status)")
            return
        }
        #expect(row["memoryLimitBytes"] == .unsigned(4 << 20))
        #expect(held > 4 << 20 && held < 16 << 20)
        #expect(problem.contains("memory.limitMiB"))
        // It stays so after a restart, and a higher limit mends it.
        node.crash()
        try node.start()
        let again = try node.kith("ingest", "-", "--patience", "1", input: person(9_999))
        #expect(again.code == 1 && again.error.contains("node 1 holds as much"), "\(again.error)")
        node.crash()
        _ = try node.file("cluster.json", #"{"memory": {"limitMiB": 400}}"#)
        try node.start()
        #expect(try node.kith("ingest", "-", input: person(9_999)).code == 0)
    }

    @Test func `a node in too little address space refuses what it has no memory for, and lives`()
        throws
    {
        let node = try TestNode()
        node.crash()
        // Room for the node and its reserve, and for little of what comes.
        let run = try Run(
            ["-c", "ulimit -v 520000; exec \"$0\" \"$@\"", try #require(Built.program)]
                + node.serveArguments + ["--loops", "2"], program: "/bin/sh")
        #expect(run.line() != nil)

        // 6 MB a request, 64 of them at once.
        let bench = try node.kith(
            "bench", "ingest", "--seconds", "2", "--event-bytes", "4000", "--batch", "1500",
            "--connections", "32", "--in-flight", "2", "--visitors", "1000", "--json")
        let status = try node.kith("status")
        let get = try node.kith("get", "user_id:nobody")
        run.signal(SIGTERM)
        let end = run.end()

        #expect(bench.output.contains("\"events\""), "\(bench.error)")
        #expect(status.output.contains("1 of 1 node up"), "\(status.error)")
        #expect(get.code == 3, "\(get.error)")
        #expect(end.code == 0)
        #expect(end.error.contains("sent more than there is memory for"), "\(end.error)")
        #expect(end.error.contains("memory: the system gives no more"), "\(end.error)")
    }

    @Test(.enabled(if: canMount, "needs unshare -rm"))
    func `a disk that is nearly full is named to who sends events, and reads go on`() throws {
        let node = try TestNode()
        node.crash()
        let arguments = node.serveArguments.map { $0.hasSuffix("/data") ? $0 + "-small" : $0 }
        let folder = node.folder.appendingPathComponent("data-small")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let script = #"""
            exec unshare -rm sh -c 'mount -t tmpfs -o size=200m tmpfs "$1"; shift; exec "$0" "$@"' \
            "$0" "$@"
            """#
        let program = try #require(Built.program)
        let run = try Run(
            ["-c", script, program, folder.path] + arguments + ["--new"], program: "/bin/sh")
        let first = run.line()
        guard first != nil else {
            Issue.record("\(run.end().error)")
            return
        }

        let line = #"{"type":"page","userId":"u"}"#
        let ingest = try node.kith("ingest", "-", "--patience", "1", input: line)
        let status = try node.kith("status", "--json")
        let get = try node.kith("get", "user_id:u")

        #expect(ingest.code == 1)
        #expect(
            ingest.error.contains("node 1 has less than 256 MiB free on its disk"),
            "\(ingest.error)")
        #expect(status.output.contains("less than 256 MiB are free on its disk"))
        #expect(get.code == 3)
        run.signal(SIGTERM)
        let end = run.end()
        #expect(end.error.contains("disk: less than 256 MiB are free"), "\(end.error)")
    }

    @Test func `a data folder that is moved away is told as that, and not as a full disk`() throws {
        let node = try TestNode()
        let data = node.folder.appendingPathComponent("data")
        try FileManager.default.moveItem(
            at: data, to: node.folder.appendingPathComponent("elsewhere"))

        let end = try #require(node.run).end()

        #expect(end.code == 1)
        #expect(end.error.contains("was removed, moved or cut short"), "\(end.error)")
        #expect(!end.error.contains("disk:"), "\(end.error)")
    }

    // MARK: A start that takes its time

    @Test func `a node that replays its log says so at its port, and how far it is`() throws {
        let node = try TestNode()
        let load = try node.kith("bench", "ingest", "--events", "400000", "--visitors", "50000")
        #expect(load.code == 0, "\(load.error)")
        node.crash()

        let run = try Run(node.serveArguments + ["--loops", "1"])
        var percents: [UInt64] = []
        var states: Set<String> = []
        var refusal = ""
        let deadline = Date().addingTimeInterval(120)
        while Date() < deadline {
            let status = try node.kith("status", "--json")
            guard status.code == 0 else { continue }
            let tree = try JSONTranscoder.tree(Array(status.output.utf8))
            guard case .array(let rows)? = tree["nodes"], let row = rows.first,
                case .text(let state)? = row["state"]
            else { break }
            states.insert(state)
            guard state == "starting" else { break }
            if case .unsigned(let percent)? = row["startPercent"] { percents.append(percent) }
            let get = try node.kith("get", "user_id:u")
            if get.code == 4, get.error.contains("starting") { refusal = get.error }
        }

        #expect(states.contains("starting"), "the log was replayed too fast for this test")
        #expect(percents == percents.sorted() && percents.allSatisfy { $0 <= 100 })
        #expect(refusal.contains("is starting: ") && refusal.contains("% of its log"), "\(refusal)")
        #expect(run.line()?.contains("listening") == true)
        #expect(try node.kith("status").output.contains("1 of 1 node up"))
        run.signal(SIGTERM)
        let end = run.end()
        #expect(end.code == 0 && end.error.contains("log: recovered"), "\(end.error)")
    }

    // MARK: The log

    @Test func `each line of the log has its time and its level, as text or as JSON`() throws {
        let node = try TestNode()
        node.crash()
        for form in ["text", "json"] {
            let run = try Run(node.serveArguments + ["--log", form])
            let first = try #require(run.line())
            #expect(first.contains("127.0.0.1:\(node.port)"))
            let stranger = try #require(PlainSocket(port: node.port, millis: 2_000))
            _ = stranger.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
            _ = stranger.receive()
            sleep(2)
            run.signal(SIGTERM)
            let lines = run.end().error.split(separator: "\n").map(String.init)

            #expect(lines.count >= 3)
            let refused = lines.first { $0.contains("refused 1 connection") }
            #expect(refused?.contains("warning") == true, "\(lines)")
            for line in lines {
                if form == "text" {
                    let pattern =
                        /\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z  (info|warning|error) +node 1: .+/
                    #expect(line.wholeMatch(of: pattern) != nil, "\(line)")
                } else {
                    let tree = try JSONTranscoder.tree(Array(line.utf8))
                    #expect(tree["node"] == 1)
                    for key in ["time", "level", "text"] {
                        guard case .text? = tree[key] else {
                            Issue.record("no \(key): \(line)")
                            continue
                        }
                    }
                }
            }
            if form == "json" {
                #expect(try JSONTranscoder.tree(Array(first.utf8))["address"] != nil)
            }
        }
    }

    @Test func `the log says when another node goes and when it comes back`() throws {
        let cluster = try TestCluster(2)
        let lines = (0..<40).map { #"{"type":"page","userId":"u-\#($0)"}"# }
        let text = lines.joined(separator: "\n")
        #expect(try cluster.kith(1, "ingest", "-", "--quiet", input: text).code == 0)

        cluster.crash(2)
        #expect(try cluster.kith(1, "status").output.contains("down"))
        try cluster.start(2)
        let deadline = Date().addingTimeInterval(20)
        while try cluster.kith(1, "stats").code != 0, Date() < deadline {}
        let log = try #require(cluster.end(1)).error

        let name = "node 2 (\(cluster.address(2)))"
        #expect(log.contains("\(name) answers"), "\(log)")
        #expect(log.contains("\(name) does not answer any more"), "\(log)")
        #expect(log.components(separatedBy: "\(name) answers").count == 3, "\(log)")
        #expect(!log.contains("u-1"))
    }

    /// The folder of the repository.
    static let root: String = {
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        return here.appendingPathComponent("../..").standardized.path
    }()
}

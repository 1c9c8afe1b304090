import Foundation
import Glibc
import KithBytes
import Testing
import kith

@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct ProcessTests {
    // MARK: The command line

    @Test(arguments: ["serve", "ingest", "get", "stats", "status", "check-config"])
    func `every command has a help with an example and its exit codes`(_ command: String) throws {
        let help = try Run([command, "--help"]).end()

        #expect(help.code == 0)
        #expect(help.output.contains("usage: kith \(command)"))
        #expect(help.output.contains("  kith \(command)"))
        #expect(help.output.contains("\nexit codes:\n  0  "))
        #expect(try Run(["--help"]).end().output.contains("  \(command) "))
    }

    @Test(arguments: [
        ([], "a command is missing"), (["gte"], "there are serve, ingest, get"),
        (["get"], "NS:VALUE is missing"), (["get", "ada"], "an identifier is NS:VALUE"),
        (["get", ":x"], "an identifier is NS:VALUE"), (["get", "a:b", "c"], "one word too many"),
        (["get", "a:b", "--josn"], "there are --node --space --json"),
        (["get", "a:b", "--node", "nowhere"], "--node must be host:port"),
        (["get", "a:b", "--space", "A"], "--space must be 1 to 64"),
        (["ingest"], "FILE… is missing"), (["ingest", "-", "--errors", "some"], "all or a number"),
        (["ingest", "-", "--in-flight=0"], "from 1 to 64"),
        (["ingest", "-", "--patience", "0"], "from 1 to 3600"),
        (["serve"], "--config must be given"),
    ])
    func `wrong usage is one line that says what is right, and exit code 2`(
        _ arguments: [String], _ text: String
    ) throws {
        let result = try Run(arguments).end()

        #expect(result.code == 2)
        #expect(result.error.contains(text), "\(result.error)")
        #expect(result.error.split(separator: "\n").count == 1)
        #expect(result.output.isEmpty)
    }

    @Test func `a node that cannot be reached is named, with exit code 4`() throws {
        for command in [["get", "user_id:u"], ["stats"], ["status"], ["ingest", "/dev/null"]] {
            let result = try Run(command + ["--node", "127.0.0.1:1"]).end()

            #expect(result.code == 4)
            #expect(result.error.contains("127.0.0.1:1"), "\(result.error)")
        }
    }

    // MARK: A node

    @Test func `events go in, one profile comes out, refused lines are named`() throws {
        let node = try TestNode()
        let path = try node.file(
            "events.ndjson",
            """
            {"type":"page","anonymousId":"a-1","context":{"traits":{"city":"Rome"}}}
            {"type":"identify","userId":"u-17","anonymousId":"a-1","traits":{"email":"Ada@x.org"}}
            no json

            {"type":"track","userId":"u-17"}
            {"type":"track","userId":"u-17","event":"Order Completed","messageId":"m1"}
            {"type":"track","userId":"u-17","event":"Order Completed","messageId":"m1"}
            {"type":"page","userId":"u-17","a":"\(String(repeating: "x", count: 40_000))"}
            {"type":"dance","userId":"u-17"}
            """)

        let ingest = try node.kith("ingest", path, "--json")

        #expect(ingest.code == 1)
        let summary = try JSONTranscoder.tree(Array(ingest.output.utf8))
        #expect(summary["accepted"] == 3)
        #expect(summary["duplicate"] == 1)
        #expect(
            summary["rejectedByReason"] == [
                "event_too_large": 1, "invalid_json": 1, "invalid_type": 1,
                "missing_event_name": 1,
            ])
        #expect(
            ingest.error.split(separator: "\n").map { $0.dropFirst(path.count) }.map {
                $0.prefix { $0 != " " }
            } == [":3:", ":5:", ":8:", ":9:"])
        for identifier in ["user_id:u-17", "email: ADA@x.org ", "anonymous_id:a-1"] {
            let get = try node.kith("get", identifier, "--json")
            #expect(get.code == 0)
            let profile = try JSONTranscoder.tree(Array(get.output.utf8))
            #expect(profile["kind"] == "member")
            #expect(profile["traits"]?["city"] == "Rome")
            #expect(profile["events"]?["total"] == 3)
            #expect(
                profile["events"]?["byName"] == [
                    "Order Completed": 1, "identify": 1, "page": 1,
                ])
        }
        let stats = try node.stats()
        #expect(stats["profiles"]?["total"] == 1)
        #expect(stats["events"]?["rejected"] == 4)
        #expect(stats["merges"]?["completed"] == 1)
    }

    @Test func `what is not there, or no namespace, has an exit code of its own`() throws {
        let node = try TestNode()

        let absent = try node.kith("get", "user_id:nobody")
        #expect(absent.code == 3)
        #expect(absent.error == "kith get: no profile of user_id:nobody in space default\n")
        let unknown = try node.kith("get", "fax:1")
        #expect(unknown.code == 2)
        #expect(unknown.error.contains("user_id, email, phone, anonymous_id, device_id"))
        #expect(try node.kith("get", "user_id:nobody", "--quarantine").code == 3)
    }

    @Test func `archives and standard input are read, and broken ones are named`() throws {
        let node = try TestNode()
        let lines = (1...2_000).map { #"{"type":"page","userId":"u-\#($0)","messageId":"\#($0)"}"# }
        let path = try node.file("a.ndjson", lines.joined(separator: "\n"))
        try #require(try ChildProcess.shell("exec gzip -k \"$0\"", path).status == 0)
        let archive = try Data(contentsOf: URL(fileURLWithPath: path + ".gz"))
        let torn = node.folder.appendingPathComponent("torn.ndjson.gz")
        try archive.prefix(archive.count / 2).write(to: torn)

        let first = try node.kith("ingest", path + ".gz", "--quiet")
        let second = try node.kith("ingest", "-", input: lines.joined(separator: "\r\n") + "\r\n")
        let third = try node.kith("ingest", torn.path)

        #expect(first.code == 0 && first.output.isEmpty && first.error.isEmpty)
        #expect(second.code == 0)
        #expect(third.code == 1)
        #expect(third.error.contains("torn.ndjson.gz: gzip: "), "\(third.error)")
        let stats = try node.stats()
        #expect(stats["events"]?["accepted"] == 2_000)
        #expect(stats["profiles"]?["members"] == 2_000)
        let absent = try node.kith("ingest", "/no/such/file", path)
        #expect(absent.code == 1)
        #expect(absent.error.contains("/no/such/file: No such file or directory"))
    }

    @Test func `after a clean stop and after a crash everything acknowledged is there`() throws {
        let node = try TestNode()
        #expect(
            try node.kith("ingest", "-", input: #"{"type":"page","userId":"u-1"}"#).code == 0)

        node.run?.signal(SIGTERM)
        #expect(node.run?.end().code == 0)
        try node.start()
        #expect(try node.kith("get", "user_id:u-1").code == 0)
        #expect(
            try node.kith("ingest", "-", input: #"{"type":"page","userId":"u-2"}"#).code == 0)
        node.crash()
        try node.start()

        #expect(try node.stats()["profiles"]?["members"] == 2)
    }

    @Test func `a node stops when told, although whoever started it had blocked the signal`() throws
    {
        var blocked = sigset_t()
        var before = sigset_t()
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &blocked, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let node = try TestNode()

        node.run?.signal(SIGTERM)

        #expect(node.run?.end().code == 0)
    }

    @Test func `a crash in the middle of an ingest loses nothing and counts nothing twice`() throws
    {
        let node = try TestNode()
        let count = 60_000
        // Half of them without a message id of their own.
        let lines = (0..<count).map { number in
            #"{"type":"track","event":"e","userId":"u-\#(number % 500)","anonymousId":"a-\#(number % 900)""#
                + (number % 2 == 0 ? #","messageId":"m-\#(number)"}"# : "}")
        }
        let path = try node.file("events.ndjson", lines.joined(separator: "\n"))

        let ingest = try Run(["ingest", path, "--json", "--node", node.address])
        var crashes = 0
        for part in [10_000, 30_000] as [UInt64] {
            // Asks until so many are in; the ingest does not end before they are.
            while true {
                guard case .unsigned(let accepted)? = try node.stats()["events"]?["accepted"] else {
                    Issue.record("no totals")
                    return
                }
                if accepted >= part { break }
            }
            node.crash()
            crashes += 1
            try node.start()
        }
        let result = ingest.end()

        #expect(crashes == 2)
        #expect(result.code == 0, "\(result.error)")
        let summary = try JSONTranscoder.tree(Array(result.output.utf8))
        guard case .unsigned(let accepted)? = summary["accepted"],
            case .unsigned(let duplicate)? = summary["duplicate"]
        else {
            Issue.record("no summary")
            return
        }
        #expect(accepted + duplicate == UInt64(count))
        #expect(try node.stats()["events"]?["accepted"] == .unsigned(UInt64(count)))
    }

    @Test func `a crowd leaves a node the files that its log needs`() throws {
        let node = try TestNode(descriptorsMax: 600)
        let pipe = Pipe()
        let ingest = try Run(["ingest", "-", "--json", "--node", node.address], openInput: pipe)
        let first = #"{"type":"page","userId":"u"}"# + "\n"
        try pipe.fileHandleForWriting.write(contentsOf: Data(first.utf8))
        // From here on the ingest has its connection.
        while try node.stats()["events"]?["accepted"] != 1 {}

        var crowd: [PlainSocket] = []
        var served = 0
        for _ in 0..<500 {
            let socket = try #require(PlainSocket(port: node.port, millis: 2_000))
            crowd.append(socket)
            if socket.send(Stranger.hello), socket.receive() != nil { served += 1 }
        }
        // As many as may be there without a word, always others.
        var mute: [PlainSocket] = []
        func comeAndGo(_ count: Int) throws {
            for _ in 0..<count {
                mute.append(try #require(PlainSocket(port: node.port, millis: 2_000)))
            }
            mute.removeFirst(max(0, mute.count - 130))
        }
        try comeAndGo(130)
        // More than two segments of the log hold: the second is open before the crowd comes.
        let text = String(repeating: "x", count: 32_000)
        let line = #"{"type":"identify","userId":"u","traits":{"a":"\#(text)"}}"# + "\n"
        for _ in 0..<44 {
            let lines = String(repeating: line, count: 100)
            try pipe.fileHandleForWriting.write(contentsOf: Data(lines.utf8))
            try comeAndGo(15)
        }
        try pipe.fileHandleForWriting.close()
        let result = ingest.end()

        #expect(result.code == 0, "\(result.error)")
        let summary = try JSONTranscoder.tree(Array(result.output.utf8))
        #expect(summary["accepted"] == 4_401)
        // Idle ones give way, `kith ingest` too while it waits for lines.
        #expect(served == 500)
        withExtendedLifetime(crowd) {}
        node.run?.signal(SIGTERM)
        let error = node.run?.end().error ?? ""
        #expect(error.contains("at most 354 clients are served, not 10,000"), "\(error)")
        #expect(error.contains("places: all 354 for clients were taken"), "\(error)")
    }

    @Test func `status --watch ends when nobody reads it any more`() throws {
        let watch = try Run(["status", "--watch", "--node", "127.0.0.1:1"])
        #expect(try #require(watch.line()).contains("127.0.0.1:1"))

        watch.stopReading()
        let end = watch.process.waitUntilExit()

        // As of every command whose output cannot be written; nobody is left to be told.
        #expect(end == ChildProcess.End(isSignal: false, status: 1))
    }

    // MARK: A node that does not start

    @Test func `a port that is taken is named`() throws {
        let node = try TestNode()
        var arguments = node.serveArguments
        arguments[6] += "-other"

        let result = try Run(arguments).end()

        #expect(result.code == 1)
        #expect(result.error.contains("cannot listen on 127.0.0.1:\(node.port)"))
        #expect(result.error.contains("or give another --port"))
    }

    @Test func `a data folder in use is refused`() throws {
        let node = try TestNode()
        var arguments = node.serveArguments
        arguments[8] = "0"

        let result = try Run(arguments).end()

        #expect(result.code == 1)
        #expect(result.error.contains("the data folder is used by another process"))
    }

    @Test func `a data folder of another cluster is refused with what differs, but for the key`()
        throws
    {
        let node = try TestNode(config: #"{"name": "one", "groups": 4}"#)
        node.crash()
        for (config, texts) in [
            (#"{"name": "two"}"#, ["\"one\"", "\"two\""]),
            (#"{"name": "one", "groups": 8}"#, ["4", "8"]),
            (
                #"{"name": "one", "hashKey": "000102030405060708090a0b0c0d0e0f"}"#,
                ["its hashKey is not the one of the cluster file"]
            ),
        ] {
            _ = try node.file("cluster.json", config)

            let result = try Run(node.serveArguments).end()

            #expect(result.code == 1)
            for text in texts { #expect(result.error.contains(text), "\(result.error)") }
            // A secret is told to nobody, neither the folder's nor the file's.
            #expect(
                result.error.firstMatch(of: /[0-9a-f]{32}/.ignoresCase()) == nil, "\(result.error)")
        }
    }

    @Test func `a log that is damaged in the middle is refused and left alone`() throws {
        let node = try TestNode()
        let lines = (1...3_000).map { #"{"type":"page","userId":"u-\#($0)"}"# }
        #expect(
            try node.kith("ingest", "-", input: lines.joined(separator: "\n")).code == 0)
        node.crash()
        let data = node.folder.appendingPathComponent("data")
        let files = try #require(FileManager.default.enumerator(atPath: data.path))
        var largest: (path: String, size: Int) = ("", 0)
        for case let path as String in files {
            let full = data.appendingPathComponent(path).path
            let size =
                try FileManager.default.attributesOfItem(atPath: full)[.size] as? Int ?? 0
            // Of the segments the first: the one made ready after it holds nothing yet.
            if size > largest.size || size == largest.size && full < largest.path {
                largest = (full, size)
            }
        }
        let log = URL(fileURLWithPath: largest.path)
        var bytes = try Data(contentsOf: log)
        bytes[40_000] ^= 0xff
        try bytes.write(to: log)

        let result = try Run(node.serveArguments).end()

        #expect(result.code == 1)
        #expect(result.error.contains("the log is damaged"), "\(result.error)")
        #expect(result.error.contains("nothing was changed"))
        #expect(try Data(contentsOf: log) == bytes)
    }

    @Test func `a cluster file with mistakes is refused with the key`() throws {
        let node = try TestNode()
        let path = try node.file("wrong.json", #"{"retention": {"anonymousDays": "ninety"}}"#)

        for arguments in [
            ["check-config", path], ["serve", "--config", path, "--node", "1", "--data", "x"],
        ] {
            let result = try Run(arguments).end()
            #expect(result.code == 1)
            #expect(
                result.error.hasSuffix(
                    "retention.anonymousDays must be a whole number, not \"ninety\"\n"))
        }
    }
}

import Foundation
import Glibc
import KithBytes
import Testing
import kith

/// `kith chaos` as a process: a short run of a cluster that is killed and cut off, and one with a
/// fault planted in every node, which must be noticed. Longer ones: `kith chaos --seeds 10`.
@Suite(.enabled(if: Built.isThere, Built.note), .serialized) struct ChaosProcessTests {
    @Test func `processes that are killed and cut off keep every promise, and none is left`() throws
    {
        let run = try Run(["chaos", "--seconds", "6", "--seed", "5", "--json"])
        let end = run.end()

        let result = try JSONTranscoder.tree(Array(end.output.utf8))
        #expect(end.code == 0, "\(end.output)\n\(end.error)")
        #expect(result["ok"] == .bool(true))
        #expect(Self.number(result["acknowledged"]) > 100)
        // Each node was killed once at least, for the last check.
        #expect(Self.number(result["kills"]) >= 3)
        #expect(Self.number(result["starts"]) >= 6)
        guard case .map(let faults)? = result["faults"] else { return }
        #expect(faults.count > 1)
        #expect(Self.processes(of: try #require(Self.text(result["folder"]))).isEmpty)
    }

    /// Answers that were made up are found by what nodes say in the end, or by another client.
    @Test(.enabled(if: Built.planted != nil, "needs kith beside the tests"))
    func `a planted fault is noticed, and what happened is kept`() throws {
        let run = try Run(
            [
                "chaos", "--seconds", "4", "--seed", "2", "--planted", "newmessageids",
                "--faults", "reset,kill",
            ], program: Built.planted)
        let end = run.end()

        let folder = try #require(
            end.error.split(separator: "\n").first?.components(separatedBy: " in ").last)
        // Leftovers in a temporary folder do no harm.
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(end.code == 1, "\(end.output)\n\(end.error)")
        #expect(end.output.contains("seed 2 FAILED"))
        // Whichever of its consequences comes first: a retry is an event of its own, and of two
        // traits of one time another message id decides.
        #expect(
            ["counted twice", "the fold of its events"].contains { end.output.contains($0) },
            "\(end.output)")
        #expect(
            end.output.contains(
                "kith chaos --seed 2 --seconds 4 --nodes 3 --rate 40 --faults reset,kill "
                    + "--planted newmessageids"))
        let log = try String(contentsOfFile: folder + "/run.log", encoding: .utf8)
        #expect(log.contains("VIOLATION"))
        #expect(FileManager.default.fileExists(atPath: folder + "/node-3.log"))
        #expect(Self.processes(of: folder).isEmpty)
    }

    @Test(
        arguments: [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 129), (SIGKILL, 9)] as [(Int32, Int32)])
    func `a signal ends the run and its nodes, and keeps the data`(
        signal: Int32, code: Int32
    ) throws {
        let run = try Run(["chaos", "--seconds", "60", "--data", Self.folder()])
        let folder = run.process.arguments.last ?? ""
        defer { try? FileManager.default.removeItem(atPath: folder) }
        Self.wait { Self.processes(of: folder).count == 3 }
        #expect(Self.processes(of: folder).count == 3)

        run.signal(signal)
        let end = run.end()

        #expect(end.code == code, "\(end.error)")
        Self.wait { Self.processes(of: folder).isEmpty }
        #expect(Self.processes(of: folder).isEmpty)
        #expect(FileManager.default.fileExists(atPath: folder + "/run.log"))
    }

    /// The work of ten minutes takes about a second to lay out, in one piece.
    @Test func `a signal also ends a run that is busy with itself`() throws {
        for _ in 0..<5 {
            let run = try Run(
                ["chaos", "--seconds", "600", "--nodes", "1", "--data", Self.folder()])
            let folder = run.process.arguments.last ?? ""
            defer { try? FileManager.default.removeItem(atPath: folder) }
            func log() -> String {
                String(
                    decoding: FileManager.default.contents(atPath: folder + "/run.log") ?? Data(),
                    as: UTF8.self)
            }
            Self.wait { log().contains("n1 serves") }
            let wasLaidOut = log().contains("steps of work")
            run.signal(SIGTERM)

            #expect(run.end().code == 143)
            Self.wait { Self.processes(of: folder).isEmpty }
            #expect(Self.processes(of: folder).isEmpty)
            // Too late to tell: once more.
            if wasLaidOut { continue }
            #expect(!log().contains("steps of work"))
            return
        }
        Issue.record("never seen in time")
    }

    @Test func `wrong usage says what there is`() throws {
        let folder = Self.folder()
        let end = try Run(["chaos", "--faults", "earthquake"]).end()
        let both = try Run(["chaos", "--seeds", "2", "--data", folder]).end()

        #expect(end.code == 2 && end.error.contains("reset-mid-frame"))
        #expect(both.code == 2 && both.error.contains("--data"))
    }

    @Test(arguments: [
        ["--faults", "crash,disk"], ["--faults", "partition", "--nodes", "1"],
        ["--without", "network,process"], ["--faults", "kill", "--without", "process"],
    ])
    func `a choice that leaves no fault is wrong usage, and what is left is listed`(
        choice: [String]
    ) throws {
        let end = try Run(["chaos", "--seconds", "2"] + choice).end()

        #expect(end.code == 2)
        #expect(end.error.contains("restart-storm") && end.error.contains("--faults none"))
        #expect(end.error.contains(" partition ") == !choice.contains("1"))
    }

    @Test func `faults that processes cannot have are left out aloud, and the rest is done`() throws
    {
        let end = try Run(
            [
                "chaos", "--seconds", "2", "--nodes", "1", "--faults", "crash,partition,process",
                "--without", "stop", "--json",
            ]
        ).end()

        #expect(end.code == 0, "\(end.output)\n\(end.error)")
        #expect(end.error.contains("left out") && end.error.contains("crash partition\n"))
        let result = try JSONTranscoder.tree(Array(end.output.utf8))
        #expect(
            Self.text(result["command"])
                == "kith chaos --seed 1 --seconds 2 --nodes 1 --rate 40 "
                + "--faults kill,crash-all,restart-storm,pause,stop --without stop")
    }

    @Test func `more work than can be judged is wrong usage, and the rate that can be is told`()
        throws
    {
        let end = try Run(["chaos", "--seconds", "600", "--rate", "1000"]).end()

        #expect(end.code == 2 && end.error.contains("a rate of 40,"), "\(end.error)")
    }

    @Test func `output that nobody reads ends the runs`() throws {
        let run = try Run(["chaos", "--seconds", "2", "--seeds", "100", "--nodes", "1"])
        run.stopReading()
        let end = run.process.waitUntilExit()

        #expect(end == ChildProcess.End(isSignal: false, status: 1))
    }

    // MARK: Steps

    private static func folder() -> String {
        FileManager.default.temporaryDirectory
            .appendingPathComponent("kith-chaos-test-" + UUID().uuidString).path
    }

    /// Waits until that is so, for 10 seconds at most.
    private static func wait(until condition: () -> Bool) {
        let end = ContinuousClock.now + .seconds(10)
        while !condition(), ContinuousClock.now < end { usleep(5_000) }
    }

    /// Processes that were told of a path in `folder`.
    private static func processes(of folder: String) -> [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.filter { id in
            guard Int(id) != nil,
                let words = FileManager.default.contents(atPath: "/proc/\(id)/cmdline")
            else { return false }
            let text = String(decoding: words, as: UTF8.self)
            return text.contains("serve\0") && text.contains(folder + "/")
        }
    }

    private static func number(_ value: CBORValue?) -> UInt64 {
        if case .unsigned(let number)? = value { number } else { 0 }
    }

    private static func text(_ value: CBORValue?) -> String? {
        if case .text(let text)? = value { text } else { nil }
    }
}

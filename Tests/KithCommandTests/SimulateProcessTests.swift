import Foundation
import Testing

/// `kith simulate` as a process: what it prints, and that two processes agree.
@Suite(.enabled(if: Built.isThere, Built.note)) struct SimulateProcessTests {
    private func run(_ arguments: String...) throws -> (lines: [String], status: Int32) {
        let run = try Run(["simulate"] + arguments)
        let end = run.end()
        return (end.output.split(separator: "\n").map(String.init), end.code)
    }

    @Test func `two processes and two runs of one process agree about every seed`() throws {
        let first = try run("--seeds", "6", "--json", "--steps", "12", "--twice")
        let second = try run("--seeds", "6", "--json", "--steps", "12", "--jobs", "1")

        #expect(first.status == 0 && second.status == 0)
        #expect(first.lines.count == 6)
        let hashes = try [first, second].map { run in
            try run.lines.map { line in
                let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
                let members = try #require(object as? [String: Any])
                #expect(members["ok"] as? Bool == true)
                #expect(members["steps"] as? Int ?? 0 > 0)
                return "\(try #require(members["seed"])) \(try #require(members["hash"]))"
            }
        }
        #expect(hashes[0] == hashes[1])
    }

    @Test func `a wrong name of a fault is wrong usage, and the names are listed`() throws {
        let run = try Run(["simulate", "--seed", "1", "--faults", "crash,earthquake"])
        let end = run.end()

        #expect(end.code == 2)
        #expect(end.error.contains("earthquake"))
        #expect(end.error.contains("torn-write"))
    }

    @Test func `a search ends with what it came to, at what load and how fast`() throws {
        let end = try run(
            "--seeds", "3", "--steps", "40", "--rate", "20", "--workloads", "browsing")

        let sum = try #require(end.lines.first { $0.hasPrefix("3 seeds, 0 failed: ") })
        for part in [" s of one core", "times real time", "requests and", "events a simulated"] {
            #expect(sum.contains(part), "\(sum)")
        }
    }

    @Test func `a wrong name of a workload is wrong usage, and the names are listed`() throws {
        let run = try Run(["simulate", "--seed", "1", "--workloads", "browsing,sleeping"])
        let end = run.end()

        #expect(end.code == 2)
        #expect(end.error.contains("sleeping"))
        #expect(end.error.contains("tablet"))
    }

    @Test func `a trace that cannot be made is wrong usage, and one that is cut short fails`()
        throws
    {
        let absent = try Run(["simulate", "--seed", "1", "--trace", "/no/such/folder/t"]).end()
        let full = try Run(["simulate", "--seed", "1", "--trace", "/dev/full"]).end()

        #expect(absent.code == 2 && absent.error.contains("/no/such/folder/t: No such file"))
        #expect(absent.output.isEmpty)
        #expect(full.code == 1 && full.error.contains("/dev/full: No space left"))
        #expect(full.output.contains("seed 1 ok"))
    }

    @Test func `a trace has a line for every step`() throws {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("kith-trace-" + UUID().uuidString).path
        // Leftovers in a temporary folder do no harm.
        defer { try? FileManager.default.removeItem(atPath: path) }
        let end = try run("--seed", "1", "--steps", "12", "--json", "--trace", path)
        let object = try JSONSerialization.jsonObject(with: Data(end.lines[0].utf8))
        let steps = try #require((object as? [String: Any])?["steps"] as? Int)

        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.hasSuffix("\n"))
        let last = text.split(separator: "\n").last?.split(separator: "\t").first
        #expect(last.flatMap { Int($0) } ?? 0 >= steps - 1 && steps > 0)
    }

    @Test(.enabled(if: Built.planted != nil, "needs kith beside the tests"))
    func `the command that repeats a run names the planted fault`() throws {
        let run = try Run(
            ["simulate", "--seed", "1", "--steps", "3", "--planted", "nolinks", "--json"],
            program: Built.planted)

        #expect(run.end().output.contains("--steps 3 --planted nolinks\""))
    }

    @Test func `seed and seeds together are wrong usage`() throws {
        #expect(try run("--seed", "1", "--seeds", "2").status == 2)
        #expect(try run("--json").status == 2)
    }
}

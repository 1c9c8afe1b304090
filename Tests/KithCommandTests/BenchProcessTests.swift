import KithBytes
import Testing
import kith

/// `kith bench` as a person runs it, against a node of its own.
@Suite(.enabled(if: Built.isThere, Built.note), .serialized)
struct BenchProcessTests {
    @Test(arguments: [
        (["bench"], "ingest|get is missing"), (["bench", "put"], "ingest or get, not \"put\""),
        (["bench", "ingest", "--skew", "x"], "--skew must be a number from 0 to 5"),
        (["bench", "ingest", "--logins", "200%"], "--logins must be from 0 to 1"),
        (["bench", "ingest", "--batch", "0"], "--batch must be a number from 1 to 65536"),
        (["bench", "ingest", "--visitors=0"], "--visitors must be a number from 1"),
        (["bench", "ingest", "--rate", "-1"], "--rate must be a number from 1"),
        (["bench", "get", "--batch", "10"], "--batch is for bench ingest only"),
    ])
    func `wrong usage of bench is one line and exit code 2`(
        _ arguments: [String], _ text: String
    ) throws {
        let result = try Run(arguments).end()

        #expect(result.code == 2)
        #expect(result.error.contains(text), "\(result.error)")
        #expect(result.error.split(separator: "\n").count == 1)
    }

    @Test func `bench has a help, and a node that is not there is exit code 4`() throws {
        let help = try Run(["bench", "--help"]).end()
        #expect(help.code == 0)
        #expect(help.output.contains("usage: kith bench ingest|get"))

        let result = try Run(["bench", "ingest", "--events", "1", "--node", "127.0.0.1:1"]).end()
        #expect(result.code == 4)
        #expect(result.error.contains("127.0.0.1:1"))
    }

    @Test func `what bench counts as acknowledged is what the node has, and can be read`() throws {
        let node = try TestNode()
        let people = ["--visitors", "900", "--seed", "7", "--skew", "0", "--space", "load-1"]

        let early = try Run(
            ["bench", "get", "--events", "10", "--node", node.address] + people
        ).end()
        #expect(early.code == 3)
        #expect(early.error.contains("first: kith bench ingest"), "\(early.error)")

        for run in 1...2 {
            let ingest = try Run(
                [
                    "bench", "ingest", "--events", "10300", "--batch", "500", "--connections", "3",
                    "--logins", "5%", "--json", "--node", node.address,
                ] + people
            ).end()

            #expect(ingest.code == 0, "\(ingest.error)")
            let result = try JSONTranscoder.tree(Array(ingest.output.utf8))
            #expect(result["ok"] == 10_300)
            #expect(result["events"] == 10_300)
            #expect(result["requests"] == 21)
            #expect(result["errors"] == 0)
            for name in ["eventsPerSecond", "p50Micros", "p99Micros"] {
                guard case .unsigned(let value)? = result[name], value > 0 else {
                    Issue.record("\(name) in \(ingest.output)")
                    continue
                }
            }
            // The second run's message ids are new ones.
            #expect(try node.stats()["events"]?["accepted"] == .unsigned(UInt64(10_300 * run)))
        }
        let stats = try node.stats()
        #expect(stats["events"]?["duplicate"] == 0)
        #expect(stats["events"]?["rejected"] == 0)
        #expect(stats["merges"]?["refused"] == 0)
        #expect(stats["merges"]?["completed"] != 0)

        let get = try Run(
            ["bench", "get", "--events", "3000", "--json", "--node", node.address] + people
        ).end()
        #expect(get.code == 0, "\(get.error)")
        let reads = try JSONTranscoder.tree(Array(get.output.utf8))
        #expect(reads["events"] == 3_000)
        #expect(reads["errors"] == 0)
        #expect(reads["notFound"] == 0)
    }

    @Test func `an open loop sends what is due, no faster`() throws {
        let node = try TestNode()

        let result = try Run([
            "bench", "ingest", "--rate", "20000", "--seconds", "0.5", "--batch", "100", "--json",
            "--node", node.address,
        ]).end()

        #expect(result.code == 0, "\(result.error)")
        let report = try JSONTranscoder.tree(Array(result.output.utf8))
        #expect(report["ok"] == 10_000)
        #expect(report["loop"] == "open")
        guard case .unsigned(let rate)? = report["eventsPerSecond"] else {
            Issue.record("no rate in \(result.output)")
            return
        }
        // The last batch is due 5 ms before the end.
        #expect(rate <= 20_300)
    }
}

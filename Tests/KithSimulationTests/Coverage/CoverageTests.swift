import KithBytes
import KithClient
import Testing

@testable import KithSimulation

/// What runs say that they came to.
@Suite struct CoverageTests {
    private func report(_ seeds: ClosedRange<UInt64>, steps: Int) -> MarkReport {
        var report = MarkReport()
        for seed in seeds {
            var options = RunOptions(seed: seed)
            options.steps = steps
            report.add(ClusterRun.run(options).coverage, seed: seed)
        }
        return report
    }

    @Test func `a few runs come to marks of every part of the program`() {
        let report = report(1...12, steps: 20)
        let groups = Set(report.passed.map { $0.name.prefix { $0 != "." } })

        for group in ["seal", "standing", "event", "link", "log", "peer", "read", "group"] {
            #expect(groups.contains(group[...]), "\(group): \(report.text)")
        }
        #expect(report.runs == 12)
        #expect(report.passed.count >= 40, "\(report.text)")
    }

    @Test func `two runs of a seed come to the same`() {
        let first = ClusterRun.run(RunOptions(seed: 3)).coverage
        let second = ClusterRun.run(RunOptions(seed: 3)).coverage

        #expect(first.marks == second.marks)
        #expect(first.crashes == second.crashes)
        #expect(first.marksPassed > 0)
    }

    @Test func `a report says what was passed, what is missing and what need not be`() {
        let board = MarkBoard()
        board.record {
            mark(.readMoved)
            mark(.readMoved)
        }
        var report = MarkReport()
        report.add(Coverage(board), seed: 7)
        report.add(Coverage(), seed: 8)

        #expect(report.passed == [.readMoved])
        #expect(report.text.contains("read.moved: 2 times in 1 runs, first in seed 7"))
        #expect(report.missing.contains(.logTailTorn))
        #expect(!report.missing.contains(.eventForgotten))
        #expect(report.text.contains("event.forgotten: only erasing forgets"))
        #expect(!report.isFull)
    }

    @Test func `a table of crashes knows its empty cells`() {
        var matrix = CrashMatrix()
        let all = CrashMatrix.cells
        for cell in all { matrix[cell] = 1 }
        #expect(matrix.missing.isEmpty)

        let cell = CrashMatrix.Cell(.absorbed, .winner)
        matrix[cell] = 0
        #expect(matrix.missing == [cell])

        var other = CrashMatrix()
        other[cell] = 2
        matrix.add(other)
        #expect(matrix[cell] == 2)
        #expect(matrix.text.contains("absorbed, not forwarded"))
    }

    @Test func `runs that come to less than a file lists are told so`() throws {
        let goal = try CoverageGoal(
            "# what there must be\n\nmark read.moved\nmark absorb.declined\n"
                + "crash sealed, nobody told / a client's router\n")
        var report = MarkReport()
        #expect(goal.missing(in: report).count == 3)

        let board = MarkBoard()
        board.record { mark(.readMoved) }
        var crashes = CrashMatrix()
        crashes[CrashMatrix.Cell(.sealed, .router)] = 1
        report.add(Coverage(board, crashes: crashes), seed: 1)
        #expect(goal.missing(in: report) == ["mark absorb.declined"])
    }

    @Test(arguments: [
        "mark absorb.nothing", "absorb.declined", "crash sealed, nobody told", "crash",
        "crash winner's node is down / winner's leader",
    ])
    func `a list of marks and crashes with a line that names none is refused`(line: String) {
        #expect {
            try CoverageGoal("mark read.moved\n\(line)\n")
        } throws: { error in
            "\(error)".hasPrefix("line 2")
        }
    }

    @Test(arguments: [
        (FaultKind.cellRot, Mark.cellSecondCopy), (.cellLost, .cellCorrupt),
        (.lostSegment, .logSegmentMissing), (.headerRot, .logHeaderCorrupt),
        (.unknownRoom, .logRoomUnknown), (.roughStart, .nodeFolderNotWritten),
        (.foreignFolder, .folderOfAnotherCluster), (.copiedFolder, .nodeRunsAlready),
        (.newFolder, .groupRisen), (.restoredFolder, .folderAsks),
    ])
    func `a kind of fault leads where only it leads, and breaks no rule`(
        kind: FaultKind, mark: Mark
    ) {
        var passed = 0
        for seed in 1...16 as ClosedRange<UInt64> {
            var options = RunOptions(seed: seed)
            options.steps = 16
            options.faults.only = [kind]
            let report = ClusterRun.run(options)
            #expect(report.isOk, "\(kind) seed \(seed): \(report.violations)")
            passed += report.coverage.marks[Int(mark.rawValue)]
        }
        #expect(passed > 0, "\(kind) never led to \(mark.name)")
    }

    @Test func `nodes die at steps of merges that faults wait for`() {
        var crashes = CrashMatrix()
        for seed in 10...24 as ClosedRange<UInt64> {
            var options = RunOptions(seed: seed)
            options.nodes = 3
            options.steps = 48
            options.faults.only = [.crashInMerge]
            let report = ClusterRun.run(options)
            #expect(report.isOk, "seed \(seed): \(report.violations)")
            crashes.add(report.coverage.crashes)
        }
        let met = CrashMatrix.cells.filter { crashes[$0] > 0 }
        #expect(met.count >= 12, "\(crashes.text)")
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a crash is entered by the step of the merge`(seed: UInt64) throws {
        let world = try PeerWorld.started(seed: seed)
        let person = world.person("p", cookieAt: 1, accountAt: 2)
        _ = try world.ingestAll(person.events.dropLast().map(\.event), at: 3)
        let payload = PeerWorld.payload([person.link])
        var matrix = CrashMatrix()
        let client = world.cluster.client(at: 3)
        world.cluster.clientLane.start {
            // The profiles at the end say whether it was taken.
            _ = try? await client.ingest(payload)
        }
        var seen: Set<CrashMatrix.Step> = []
        for _ in 0..<400 {
            try world.cluster.simulator.run(nanoseconds: 20_000, maxSteps: 100_000)
            var now = CrashMatrix()
            world.cluster.noteCrash(of: 1, in: &now)
            for step in CrashMatrix.Step.allCases {
                if now[CrashMatrix.Cell(step, .loser)] > 0 { seen.insert(step) }
            }
            matrix.add(now)
            var third = CrashMatrix()
            world.cluster.noteCrash(of: 3, in: &third)
            world.cluster.noteCrash(of: 3, routers: { _, _ in [3] }, in: &third)
            for step in CrashMatrix.Step.allCases {
                let (router, other) = (
                    third[CrashMatrix.Cell(step, .router)], third[CrashMatrix.Cell(step, .other)]
                )
                #expect(router == other, "seed \(seed): \(step)")
            }
        }

        #expect(seen.contains(.sealAsked), "seed \(seed): \(matrix.text)")
        #expect(seen.contains(.sealed), "seed \(seed): \(matrix.text)")
        #expect(seen.contains(.absorbAsked), "seed \(seed): \(matrix.text)")
        #expect(seen.contains(.absorbed), "seed \(seed): \(matrix.text)")
        #expect(seen.contains(.forwardAsked), "seed \(seed): \(matrix.text)")
        try world.expectWhole([person], "seed \(seed)")
        try world.cluster.shutdown()
    }

    #if KITH_PLANTED
    @Test(arguments: ["nosync", "ackfirst", "shiftresults", "nofollow", "newmessageids"])
    func `runs notice a planted fault`(_ fault: String) {
        let caught = (1...20 as ClosedRange<UInt64>).contains { seed in
            var options = RunOptions(seed: seed)
            options.planted = fault
            return !ClusterRun.run(options).violations.isEmpty
        }
        #expect(caught, "\(fault) in 20 seeds")
    }

    /// Each where it can act: folders that are not what they were, and events older than retention.
    @Test(arguments: ["anyfolder", "provcounts", "linkscount", "ignoredagain"])
    func `runs notice a planted fault of folders and imports`(_ fault: String) {
        let caught = (1...60 as ClosedRange<UInt64>).contains { seed in
            var options = RunOptions(seed: seed)
            options.planted = fault
            if fault == "anyfolder" {
                options.faults.only = [.emptyFolder, .olderFolder, .copiedFolder]
            } else {
                options.workloads = [fault == "ignoredagain" ? "retries" : "late"]
                (options.steps, options.nodes) = (80, 1)
                options.faults.only = []
            }
            return !ClusterRun.run(options).violations.isEmpty
        }
        #expect(caught, "\(fault) in 60 seeds")
    }
    #endif
}

// Keeping real nodes up: one that was killed or stopped is started again when its time has come.
// One that ends by itself breaks a rule.

import Foundation
import Glibc
import KithPorts
import KithSimulation

extension ChaosRun {
    /// From the end of a process to its next start.
    private static let restartNanoseconds: UInt64 = 50_000_000
    /// For a clean stop.
    private static let stopNanoseconds: UInt64 = 30_000_000_000

    func node(_ number: Int) -> ChaosNode { nodes[number - 1] }

    private func change<Value>(_ number: Int, _ body: (inout ChaosNode) -> Value) -> Value {
        body(&nodes[number - 1])
    }

    /// Begins to start the node whenever it is to be up, and to look how it does.
    func keep(_ number: Int) {
        start { [self] in
            while !isEnding {
                look(number)
                await wait(nanoseconds: Self.lookNanoseconds, subject: UInt64(number))
            }
        }
    }

    private func look(_ number: Int) {
        let time = clock.monotonicNanoseconds()
        guard let process = node(number).process else {
            if time >= node(number).downUntil, violations.isEmpty { begin(number) }
            return
        }
        if let end = process.reap() { return ended(number, end) }
        if proxy.targets[number] == nil, !node(number).isEndExpected {
            // Nodes that start answer each other.
            proxy.targets[number] = port(after: " answers at ", number)
        }
        if !node(number).isServing, !node(number).isEndExpected,
            let port = port(after: " listening on ", number)
        {
            proxy.targets[number] = port
            change(number) { $0.isServing = true }
            note("n\(number) serves, process \(process.id)")
        }
        if let killAt = node(number).killAt, time >= killAt {
            change(number) { $0.killAt = nil }
            kill(number, down: 0)
        }
        if let deadline = node(number).stopDeadline, time >= deadline {
            change(number) { $0.stopDeadline = nil }
            broke("1 nodes go on", "n\(number) does not stop within 30 s of SIGTERM")
        }
    }

    private func begin(_ number: Int) {
        let place = node(number)
        let logBytes = (try? FileManager.default.attributesOfItem(atPath: place.logPath))?[.size]
        do {
            let process = try ChildProcess.start(
                Self.program, as: "kith",
                [
                    "serve", "--config", place.configPath, "--node", "\(number)", "--data",
                    place.dataPath, "--port", "0", "--loops", "\(plan.loops[number - 1])",
                    "--memory-share", "\(nodeCount)",
                ], variables: variables, log: place.logPath)
            starts += 1
            note("n\(number) starts, process \(process.id)")
            change(number) {
                $0.process = process
                $0.logStart = logBytes as? Int ?? 0
                $0.isEndExpected = false
                $0.killAt =
                    $0.storm.isEmpty
                    ? nil : clock.monotonicNanoseconds() + $0.storm.removeFirst()
            }
        } catch {
            broke(
                "the run itself",
                "n\(number) cannot be started: \(String(cString: strerror(error.code)))")
        }
    }

    private func ended(_ number: Int, _ end: ChildProcess.End) {
        let place = node(number)
        if !place.isEndExpected {
            broke("1 nodes go on", "n\(number) ended by itself: \(end); \(lastWords(number))")
        } else if place.stopDeadline != nil, end != .exited(0) {
            broke("1 nodes go on", "n\(number) was told to stop: \(end); \(lastWords(number))")
        }
        note("n\(number) has ended")
        proxy.targets[number] = nil
        let soonest = clock.monotonicNanoseconds() + Self.restartNanoseconds
        change(number) {
            $0.process = nil
            $0.isServing = false
            $0.stopDeadline = nil
            $0.killAt = nil
            $0.forgetPause()
            $0.downUntil = max($0.downUntil, soonest)
        }
    }

    /// Ends the process at once, as a crash does; the node is started again after `down`.
    func kill(_ number: Int, down: UInt64) {
        let until = clock.monotonicNanoseconds() + down
        change(number) { $0.downUntil = max($0.downUntil, until) }
        // Killed already, and not gone yet.
        let isDying = node(number).isEndExpected && node(number).stopDeadline == nil
        guard let process = node(number).process, !isDying else { return }
        note("n\(number) is killed")
        kills += 1
        process.signal(SIGKILL)
        proxy.targets[number] = nil
        change(number) {
            $0.isEndExpected = true
            $0.isServing = false
            $0.stopDeadline = nil
        }
    }

    /// Has the process end cleanly; the node is started again after `down`.
    func stop(_ number: Int, down: UInt64) {
        let time = clock.monotonicNanoseconds()
        // While a log is read again SIGTERM ends the process at once, which is a kill.
        guard let process = node(number).process, node(number).isServing,
            !node(number).isEndExpected
        else { return kill(number, down: down) }
        note("n\(number) is told to stop")
        process.signal(SIGTERM)
        // To one that stands still it comes when that goes on.
        process.signal(SIGCONT)
        change(number) {
            $0.forgetPause()
            $0.downUntil = max($0.downUntil, time + down)
            $0.isEndExpected = true
            $0.isServing = false
            $0.stopDeadline = time + Self.stopNanoseconds
        }
    }

    /// Kills all processes, and waits until there are none.
    func endProcesses() async {
        for place in nodes { place.process?.signal(SIGKILL) }
        for number in 1...nodeCount {
            while let process = node(number).process {
                if process.reap() != nil { change(number) { $0.process = nil } }
                await wait(nanoseconds: 1_000_000, subject: 0)
            }
        }
    }

    // MARK: Files

    /// The port of the address that stands behind those words of the present process.
    private func port(after words: String, _ number: Int) -> UInt16? {
        let lines = said(number).split(separator: "\n", omittingEmptySubsequences: false)
        // A line is whole once another begins.
        guard
            let line = lines.dropLast().first(where: { $0.contains(words) }),
            let address = line.components(separatedBy: words).last?.split(separator: ",")
                .first, let port = address.split(separator: ":").last
        else { return nil }
        return UInt16(port)
    }

    /// What the node's present or last process said.
    private func said(_ number: Int) -> Substring {
        let bytes = FileManager.default.contents(atPath: node(number).logPath) ?? Data()
        return String(decoding: bytes.dropFirst(node(number).logStart), as: UTF8.self)[...]
    }

    private func lastWords(_ number: Int) -> String {
        said(number).split(separator: "\n").suffix(6).joined(separator: " | ")
    }

    /// This very program, also where another has taken its place on the disk meanwhile.
    private static let program = "/proc/self/exe"

    private var variables: [String] {
        var variables = ProcessInfo.processInfo.environment
        variables[ChildProcess.parentVariable] = "\(getpid())"
        #if KITH_PLANTED
        variables[PlantedNode.variable] = chaos.planted
        #endif
        return variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }

    func writeFile(_ path: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }

    func appendFile(_ path: String, _ text: String) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var bytes = Array(text.utf8)
        // A log that has no room says less.
        _ = write(descriptor, &bytes, bytes.count)
    }
}

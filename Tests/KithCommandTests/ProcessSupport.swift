// The built program as a process: what the tests of whole journeys drive. They need the environment
// variable KITH_BINARY, which scripts/test sets.

import Foundation
import Glibc
import KithBytes
import Testing
import kith

/// Where the built program and the real event files are.
enum Built {
    /// The program; nil where the tests run without it.
    static let program = ProcessInfo.processInfo.environment["KITH_BINARY"]
    static let note: Comment = "needs the built program: set KITH_BINARY, as scripts/test does"
    static let isThere = program != nil

    /// The program beside the tests, which is built as they are: with faults that can be planted.
    static let planted: String? = {
        let tests = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let program = tests.map {
            URL(fileURLWithPath: $0).deletingLastPathComponent().appendingPathComponent("kith").path
        }
        return program.flatMap { FileManager.default.isExecutableFile(atPath: $0) ? $0 : nil }
    }()

    /// The folder of real event files, beside the repository unless KITH_DATA_DIR says otherwise.
    static let data: String = {
        if let folder = ProcessInfo.processInfo.environment["KITH_DATA_DIR"] { return folder }
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        return here.appendingPathComponent("../../../shared/data").standardized.path
    }()
    static let hasData = FileManager.default.fileExists(atPath: data)
    static let dataNote: Comment = "needs real event files: none at KITH_DATA_DIR or ../shared/data"
}

/// A run of the program.
final class Run {
    let process: ChildProcess
    private let output = Pipe()
    private let complaints: URL
    /// What was read of standard output beyond the lines that were asked for.
    private var buffer: [UInt8] = []

    /// Seconds after which a process that hangs is ended, so that the test fails and does not hang
    /// too.
    private static let secondsMax = 300

    /// Starts `kith`, or another `program`, with `arguments`. `input` is its standard input, or the
    /// pipe `openInput`, which stays open. At most `descriptorsMax` descriptors, where that is
    /// given; `variables` stand in its environment besides.
    init(
        _ arguments: [String], input: String? = nil, openInput: Pipe? = nil,
        descriptorsMax: Int? = nil, program other: String? = nil, variables: [String: String] = [:]
    ) throws {
        var program = try #require(other ?? Built.program)
        var arguments = arguments
        if let descriptorsMax {
            let script = "ulimit -n \(descriptorsMax); exec \"$0\" \"$@\""
            arguments = ["-c", script, program] + arguments
            program = "/bin/sh"
        }
        complaints = FileManager.default.temporaryDirectory
            .appendingPathComponent("kith-test-" + UUID().uuidString)
        _ = FileManager.default.createFile(atPath: complaints.path, contents: nil)
        let error = try FileHandle(forWritingTo: complaints)
        let pipe = openInput ?? input.map { _ in Pipe() }
        let nothing = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/dev/null"))
        let stdin = pipe?.fileHandleForReading ?? nothing
        process = try ChildProcess(
            program, arguments,
            environment: ProcessInfo.processInfo.environment.merging(variables) { $1 },
            input: stdin.fileDescriptor, output: output.fileHandleForWriting.fileDescriptor,
            error: error.fileDescriptor)
        // The child's ends are the child's alone: so the others see theirs end.
        try output.fileHandleForWriting.close()
        try pipe?.fileHandleForReading.close()
        if let input, let pipe {
            try pipe.fileHandleForWriting.write(contentsOf: Data(input.utf8))
            try pipe.fileHandleForWriting.close()
        }
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(Self.secondsMax)) {
            [weak process] in
            process?.signal(SIGKILL)
        }
    }

    deinit {
        process.signal(SIGKILL)
        try? FileManager.default.removeItem(at: complaints)  // A file that is gone is as well.
    }

    /// The next line of standard output; nil at its end. Waits for it.
    func line() -> String? {
        while true {
            if let end = buffer.firstIndex(of: 0x0a) {
                defer { buffer.removeSubrange(...end) }
                return String(decoding: buffer[..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return nil }
            buffer += more
        }
    }

    /// Closes the reading end of its standard output.
    func stopReading() { try? output.fileHandleForReading.close() }

    /// Waits for the end: exit code, standard output, standard error.
    func end() -> (code: Int32, output: String, error: String) {
        var rest = buffer
        while true {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { break }
            rest += more
        }
        let end = process.waitUntilExit()
        let error = FileManager.default.contents(atPath: complaints.path) ?? Data()
        return (
            end.status, String(decoding: rest, as: UTF8.self),
            String(decoding: error, as: UTF8.self)
        )
    }

    func signal(_ number: Int32) { process.signal(number) }
}

/// A cluster of one node in a folder of its own, removed at the end.
final class TestNode {
    let folder: URL
    private(set) var port: UInt16 = 0
    private(set) var run: Run?
    private let descriptorsMax: Int?

    /// Starts a node with the settings of `config`, a cluster file; with at most `descriptorsMax`
    /// descriptors, where that is given.
    init(config: String = "{}", descriptorsMax: Int? = nil) throws {
        self.descriptorsMax = descriptorsMax
        folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("kith-node-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(config.utf8).write(to: folder.appendingPathComponent("cluster.json"))
        try start()
    }

    deinit {
        run?.signal(SIGKILL)
        run?.process.waitUntilExit()
        // Leftovers in a temporary folder do no harm.
        try? FileManager.default.removeItem(at: folder)
    }

    var address: String { "127.0.0.1:\(port)" }
    var serveArguments: [String] {
        [
            "serve", "--config", folder.appendingPathComponent("cluster.json").path, "--node", "1",
            "--data", folder.appendingPathComponent("data").path, "--port", String(port),
        ]
    }

    /// Starts the node, on the port that it had before, and waits until it listens.
    func start() throws {
        let run = try Run(serveArguments, descriptorsMax: descriptorsMax)
        guard let line = run.line() else {
            throw TestNodeError(text: run.end().error)
        }
        let place = try #require(line.range(of: "127.0.0.1:"))
        port = try #require(UInt16(line[place.upperBound...].prefix { $0.isNumber }))
        self.run = run
    }

    /// Ends the node as a crash does.
    func crash() {
        run?.signal(SIGKILL)
        run?.process.waitUntilExit()
        run = nil
    }

    /// Runs a client command against the node, to its end.
    func kith(
        _ arguments: String..., input: String? = nil
    ) throws -> (code: Int32, output: String, error: String) {
        try Run(arguments + ["--node", address], input: input).end()
    }

    /// The totals.
    func stats() throws -> CBORValue {
        try JSONTranscoder.tree(Array(try kith("stats", "--json").output.utf8))
    }

    /// The path of a new file with `text`.
    func file(_ name: String, _ text: String) throws -> String {
        let url = folder.appendingPathComponent(name)
        try Data(text.utf8).write(to: url)
        return url.path
    }
}

struct TestNodeError: Error, CustomStringConvertible {
    var text: String
    var description: String { "the node did not start: \(text)" }
}

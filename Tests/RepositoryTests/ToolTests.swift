import Foundation
import Testing

/// What other programs say of the repository, where they are installed.
@Suite struct ToolTests {
    static let scripts: [String] = (Repository.files(in: "scripts") + Repository.files(in: ".ci"))
        .filter { (Repository.text($0) ?? "").hasPrefix("#!") }

    @Test(arguments: scripts)
    func `a script can be run and parses`(_ path: String) throws {
        let file = Repository.root.appending(path: path).path
        #expect(FileManager.default.isExecutableFile(atPath: file), "\(path) is not executable")
        guard (Repository.text(path) ?? "").prefix(80).contains("bash") else { return }
        let result = try #require(run(["bash", "-n", file]), "bash is not installed")
        #expect(result.status == 0, "\(path): \(result.output)")
    }

    @Test func `scripts are files that say what runs them`() {
        let silent = (Repository.files(in: "scripts") + Repository.files(in: ".ci"))
            .filter { !Self.scripts.contains($0) }
        #expect(silent.isEmpty, "without #!: \(silent)")
    }

    @Test(arguments: ["cluster", "demo", "fuzz", "load-test", "package", "query", "test"])
    func `a script has a help with its exit codes`(_ name: String) throws {
        let help = try #require(run(["scripts/\(name)", "--help"]))

        #expect(help.status == 0)
        #expect(help.output.contains("\nusage: scripts/\(name)"), "\(help.output)")
        #expect(help.output.contains("\nexit codes:\n"))
    }

    @Test(arguments: [
        (["cluster"], "a command is missing: up, down"),
        (["cluster", "stop"], "there are up, down"),
        (["cluster", "kill"], "which node? As in: scripts/cluster kill 1"),
        (["cluster", "up", "2"], "up takes no node"),
        (["cluster", "up", "--nodes"], "needs a value"),
        (["cluster", "up", "--nodes", "x"], "--nodes must be a number"),
        (["cluster", "up", "--nodes", "3", "--config", "f"], "exclude each other"),
        (["demo", "--now"], "there are --fast --stop --help"),
        (["load-test", "--nodes", "0"], "--nodes must be a number"),
        (["load-test", "--nodes", "1000"], "there are cluster-config/local-1.json"),
        (["load-test", "--seconds", "long"], "--seconds must be a number"),
        (["load-test", "7"], "there are --nodes --seconds"),
        (["load-test", "--nodes", "3", "--config", "f"], "leave it out with --config"),
        (["package", "--now"], "there are --out --binary --no-try --readme --help"),
        (["query"], "NS:VALUE is missing"),
        (["query", "a:b", "--node", "h:1"], "is a number here"),
        (["test", "--fast"], "there are --filter --help"),
    ])
    func `wrong usage of a script is one line that says what is right, and exit code 2`(
        _ words: [String], _ text: String
    ) throws {
        let result = try #require(run(["scripts/" + words[0]] + words.dropFirst()))

        #expect(result.status == 2)
        #expect(result.output.contains(text), "\(result.output)")
        #expect(result.output.hasPrefix("\(words[0]): "), "\(result.output)")
        #expect(result.output.split(separator: "\n").count == 1)
    }

    /// A package is used where nothing else of the repository is.
    @Test func `the README of a package names no script that is not in it`() throws {
        let readme = try #require(run(["scripts/package", "--readme"])).output
        let named = Set(readme.matches(of: /scripts\/([a-z-]+)/).map { String($0.1) })

        #expect(named == ["cluster", "query", "demo", "load-test"])
        #expect(!readme.contains("Swift 6.3 are"))
    }

    /// `swift format lint --strict`, as the project's rules ask for.
    @Test func `swift format has nothing to say`() throws {
        let command = [
            "swift", "format", "lint", "--strict", "--parallel", "--recursive", "Sources", "Tests",
            "Package.swift",
        ]
        guard run(["swift", "format", "--version"])?.status == 0 else {
            print("swift format is not installed: its rules were not looked at")
            return
        }
        let result = try #require(run(command))
        #expect(result.status == 0, "\(result.output)")
    }

    /// Runs a program in the repository's folder; nil where it cannot be started.
    private func run(_ command: [String]) -> (status: Int32, output: String)? {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = command
        process.currentDirectoryURL = Repository.root
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        guard (try? process.run()) != nil else { return nil }
        // Read before waiting: a full pipe would stop the program.
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}

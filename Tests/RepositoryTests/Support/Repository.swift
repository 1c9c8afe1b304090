import Foundation
import Testing

/// The files of this repository, as the tests in this folder look at them: read once, from the
/// working copy that the tests were built from.
enum Repository {
    /// The folder that holds `Package.swift`.
    static let root: URL = {
        var folder = URL(filePath: #filePath)
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        return folder
    }()

    /// What the top level may hold. `.gitignore` names what builds and local clusters leave there.
    static let topLevel: Set<String> = [
        ".ci", ".git", ".gitignore", ".swift-format", "LICENSE", "Package.swift", "README.md",
        "Sources", "Tests", "cluster-config", "docs", "scripts",
    ]

    /// Paths of the files below `folder`, relative to the root, sorted.
    static func files(in folder: String, suffix: String = "") -> [String] {
        let start = root.appending(path: folder)
        guard
            let walk = FileManager.default.enumerator(
                at: start, includingPropertiesForKeys: [.isRegularFileKey])
        else { return [] }
        var paths: [String] = []
        for case let url as URL in walk {
            guard (try? url.resourceValues(forKeys: [.isRegularFileKey]))?.isRegularFile == true,
                url.path.hasSuffix(suffix)
            else { continue }
            paths.append(
                String(url.path.dropFirst(root.path.count)).trimmingPrefix("/").description)
        }
        return paths.sorted()
    }

    /// Every file that belongs to the repository: all of the allowed top level but `.git`.
    static let all: [String] = topLevel.subtracting([".git"]).sorted().flatMap { entry in
        isFolder(entry) ? files(in: entry) : exists(entry) ? [entry] : []
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).path)
    }

    static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        let there = FileManager.default.fileExists(
            atPath: root.appending(path: path).path, isDirectory: &isFolder)
        return there && isFolder.boolValue
    }

    /// The text of a file; nil where it is not UTF-8.
    static func text(_ path: String) -> String? {
        guard let data = FileManager.default.contents(atPath: root.appending(path: path).path)
        else {
            return nil
        }
        return String(data: data, encoding: .utf8)
    }

    static let sources: [SourceFile] = files(in: "Sources", suffix: ".swift").map(SourceFile.init)
    static let tests: [SourceFile] = files(in: "Tests", suffix: ".swift").map(SourceFile.init)
    static let documents: [String] = all.filter { $0.hasSuffix(".md") }
}

/// One broken rule at one place.
struct Violation: CustomStringConvertible {
    var path: String
    /// From 1; 0 where the whole file is meant.
    var line: Int
    var what: String

    var description: String { line > 0 ? "\(path):\(line): \(what)" : "\(path): \(what)" }
}

extension [Violation] {
    /// Fails the test with all of them, one a line, where there are any.
    func expectNone(sourceLocation: SourceLocation = #_sourceLocation) {
        guard !isEmpty else { return }
        let list = map(\.description).joined(separator: "\n")
        Issue.record("\(count) places break the rule:\n\(list)", sourceLocation: sourceLocation)
    }
}

extension Repository {
    /// Names of all entries of the top level, sorted.
    static func entriesOfRoot() -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []).sorted()
    }
}

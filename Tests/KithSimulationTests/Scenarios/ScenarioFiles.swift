import Foundation
import KithSimulation

/// The scenario files beside the tests, and what the environment asks of them.
///
///     KITH_SCENARIO     only files whose name contains this
///     KITH_SEED         the first seed (default 1)
///     KITH_SEEDS        seeds a placement (default 2)
///     KITH_PLACEMENTS   numbers of groups, comma-separated (default 1,2,4,7)
///     KITH_VARIANT      only this naming and order
enum ScenarioFiles {
    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Scenarios")

    static let environment = ProcessInfo.processInfo.environment

    /// All file names, sorted.
    static let all: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
        return names.filter { $0.hasSuffix(".scenario") }.sorted()
    }()

    /// Those to run.
    static var chosen: [String] {
        guard let part = environment["KITH_SCENARIO"] else { return all }
        return all.filter { $0.contains(part) }
    }

    static func load(_ name: String) throws -> Scenario {
        let text = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
        return try ScenarioParser.parse(text, file: "Tests/Scenarios/\(name)")
    }

    static var placements: [Int] {
        guard let text = environment["KITH_PLACEMENTS"] else { return [1, 2, 4, 7] }
        return text.split(separator: ",").compactMap { Int($0) }
    }

    static var seeds: Range<UInt64> {
        let first = environment["KITH_SEED"].flatMap { UInt64($0) }
        let count = environment["KITH_SEEDS"].flatMap { UInt64($0) } ?? (first == nil ? 2 : 1)
        return (first ?? 1)..<((first ?? 1) + count)
    }

    static func variants(of scenario: Scenario) -> [Int] {
        if let only = environment["KITH_VARIANT"].flatMap({ Int($0) }) { return [only] }
        return Array(0..<scenario.variantCount)
    }
}

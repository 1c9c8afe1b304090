import Foundation

/// docs/wire.md, read for its examples and its tables.
struct WireDocument {
    let lines: [String]

    init() throws {
        let file = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "docs/wire.md")
        lines = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n")
    }

    /// The examples by name, in the document's order. An example is a fenced block whose first line
    /// names it; on each further line the bytes stand in hex before the bar.
    var examples: [(name: String, bytes: [UInt8])] {
        var found: [(name: String, bytes: [UInt8])] = []
        var isInside = false
        for line in lines {
            if line.hasPrefix("example: ") {
                found.append((String(line.dropFirst("example: ".count)), []))
                isInside = true
            } else if line.hasPrefix("```") {
                isInside = false
            } else if isInside {
                let hex = line.prefix { $0 != "|" }.split(separator: " ")
                found[found.count - 1].bytes += hex.compactMap { UInt8($0, radix: 16) }
            }
        }
        return found
    }

    /// The rows of the table whose header row has these cells; back-quotes are removed.
    func table(_ header: String...) -> [[String]] {
        func cells(_ line: String) -> [String] {
            line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
                .map {
                    $0.trimmingCharacters(in: .whitespaces)
                        .replacingOccurrences(of: "`", with: "")
                }
        }
        guard let start = lines.firstIndex(where: { cells($0) == header }) else { return [] }
        return lines[(start + 2)...].prefix { $0.hasPrefix("|") }.map(cells)
    }
}

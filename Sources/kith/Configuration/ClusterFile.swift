// The cluster file: JSON in which a line that begins with `//`, after blanks, is a comment.
//
//   {
//     "name": "local",
//     "nodes": [{"id": 1, "host": "127.0.0.1", "port": 7101}],
//     // Half a year instead of 90 days.
//     "retention": {"anonymousDays": 180}
//   }
//
// Every key has a default. A key that is not known or of the wrong type is an error that names it
// by its path, `identity.namespaces.email.limit`; so is a value out of bounds. Members keep their
// order, since the order of namespaces has a meaning: the file is read through `JSONTranscoder`.
//
// `identity.namespaces` is laid over the standard ones by name: an entry changes the keys it gives
// and leaves the rest of that namespace as it was; a new name is added behind, with class 2 unless
// it says otherwise; `null` takes a namespace away. `blockedValues` replaces the standard list,
// and `moreBlockedValues` is added to whichever holds.

import KithBytes
import KithCore
package import KithServer
import KithWire

/// Why a cluster file is not taken: every problem that was found.
package struct ClusterFileError: Error, Equatable, Sendable {
    package var problems: [String]

    init(_ problem: String) { problems = [problem] }
    init(_ problems: [String]) { self.problems = problems }
}

/// Reads cluster files.
package enum ClusterFile {
    /// Bytes of a cluster file.
    package static let byteCountMax = 1 << 20

    /// The settings that `text` gives.
    package static func parse(_ text: [UInt8]) throws(ClusterFileError) -> ClusterConfiguration {
        guard text.count <= byteCountMax else {
            throw ClusterFileError("the file has \(text.count) bytes, at most \(byteCountMax)")
        }
        let json = blankingComments(text)
        let tree: CBORValue
        do {
            tree = try JSONTranscoder.tree(json, refusesRepeatedNames: true)
        } catch {
            throw ClusterFileError("\(place(of: error.offset, in: json)): \(error)")
        }
        var configuration = try ClusterFileReader.configuration(tree)
        configuration.nodes.sort { $0.id < $1.id }
        let problems = configuration.problems()
        guard problems.isEmpty else { throw ClusterFileError(problems) }
        return configuration
    }

    /// `text` with blanks in place of comments, so that places stay what they were.
    private static func blankingComments(_ text: [UInt8]) -> [UInt8] {
        var text = text
        if text.starts(with: [0xef, 0xbb, 0xbf]) {
            text.replaceSubrange(..<3, with: [0x20, 0x20, 0x20])
        }
        var start = 0
        while start < text.count {
            let end = text[start...].firstIndex(of: UInt8(ascii: "\n")) ?? text.count
            let first = text[start..<end].firstIndex { $0 != 0x20 && $0 != 0x09 } ?? end
            if text[first..<end].starts(with: "//".utf8) {
                for index in first..<end { text[index] = 0x20 }
            }
            start = end + 1
        }
        return text
    }

    private static func place(of offset: Int, in text: [UInt8]) -> String {
        let before = text.prefix(offset)
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let column = String(decoding: before[lineStart...], as: UTF8.self).count + 1
        return "line \(line), column \(column)"
    }
}

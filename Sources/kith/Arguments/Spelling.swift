/// What somebody may have meant who typed a word that is none.
package enum Spelling {
    /// `, did you mean X?`, or nothing where no word is near.
    package static func hint(_ word: String, among known: [String]) -> String {
        nearest(word, among: known).map { ", did you mean \($0)?" } ?? ""
    }

    /// The known word that takes the fewest letters changed, added, left out or swapped with their
    /// neighbours: at most two, and fewer than half of the word. O(letters²) a word.
    package static func nearest(_ word: String, among known: [String]) -> String? {
        let letters = Array(word.drop { $0 == "-" }.lowercased())
        guard letters.count <= 40 else { return nil }
        let limit = min(2, (letters.count - 1) / 2)
        let near = known.map { candidate in
            (candidate, distance(letters, Array(candidate.drop { $0 == "-" })))
        }
        guard let best = near.min(by: { $0.1 < $1.1 }), best.1 <= max(1, limit) else { return nil }
        return letters.isEmpty ? nil : best.0
    }

    private static func distance(_ one: [Character], _ other: [Character]) -> Int {
        var rows = [Array(0...other.count)]
        for (i, letter) in one.enumerated() {
            var row = [i + 1]
            for (j, target) in other.enumerated() {
                var steps = min(
                    rows[i][j] + (letter == target ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, letter == other[j - 1], one[i - 1] == target {
                    steps = min(steps, rows[i - 1][j - 1] + 1)
                }
                row.append(steps)
            }
            rows.append(row)
        }
        return rows[one.count][other.count]
    }
}

// Maps of numbers as indented columns: what `stats` and `status` answer, whatever keys a node
// sends.
//
//   profiles                      events
//     total      10,214             accepted   98,304
//
// A map is a section, an array of maps a table with a column for each key, in the order of the
// fullest row, so that one row's problem comes last; a column that says no in all rows is left out.

package import KithBytes

/// Renders an answer that is a tree.
package enum TreeText {
    /// Lines for people, without the last line end.
    package static func make(_ value: CBORValue, style: Style) -> String {
        guard case .map(let members) = value else { return scalar(value, "") }
        var plain: [(String, CBORValue)] = []
        var sections: [String] = []
        for member in members {
            let name = name(member.key)
            switch member.value {
            case .map(let inner) where inner.isEmpty: continue
            case .map(let inner):
                sections.append(style.bold(words(name)) + "\n" + rows(flat(inner, depth: 0)))
            case .array(let items) where !items.isEmpty:
                sections.append(style.bold(words(name)) + "\n" + table(items, style))
            case .array: continue
            default: plain.append((name, member.value))
            }
        }
        if !plain.isEmpty {
            sections.append(rows(plain.map { (words($0.0), scalar($0.1, $0.0), 0) }, indent: 0))
        }
        return sections.joined(separator: "\n\n")
    }

    /// `byNamespace` as `by namespace`, `uptimeMillis` as `uptime`: its cell says the unit;
    /// `eventsPerSecond` as `events/s`.
    static func words(_ key: String) -> String {
        guard !key.contains("_"), !key.contains("(") else { return key }
        if key.hasSuffix("PerSecond") { return words(String(key.dropLast(9))) + "/s" }
        var text = ""
        let unit = ["Millis", "Bytes"].first { key.hasSuffix($0) && key.count > $0.count }
        for character in key.dropLast(unit?.count ?? 0) {
            if character.isUppercase, !text.isEmpty { text += " " }
            text += character.lowercased()
        }
        return text
    }

    private typealias Row = (name: String, value: String, depth: Int)

    private static func flat(_ members: [CBORMember], depth: Int) -> [Row] {
        var rows: [Row] = []
        for member in members {
            let name = name(member.key)
            if case .map(let inner) = member.value {
                guard !inner.isEmpty else { continue }
                rows.append((words(name), "", depth))
                rows += flat(inner, depth: depth + 1)
            } else {
                rows.append((words(name), scalar(member.value, name), depth))
            }
        }
        return rows
    }

    private static func rows(_ rows: [Row], indent: Int = 2) -> String {
        let names = max(rows.map { $0.depth * 2 + $0.name.count }.max() ?? 0, 22)
        let values = rows.map(\.value.count).max() ?? 0
        return rows.map { row in
            let margin = String(repeating: " ", count: indent + row.depth * 2)
            guard !row.value.isEmpty else { return margin + row.name }
            return margin + Words.padded(row.name, to: names - row.depth * 2) + "  "
                + Words.padded(row.value, to: values, isRight: true)
        }.joined(separator: "\n")
    }

    private static func table(_ items: [CBORValue], _ style: Style) -> String {
        var columns: [String] = []
        let fullest = items.max { memberCount($0) < memberCount($1) }
        for case .map(let members) in (fullest.map { [$0] } ?? []) + items {
            for member in members where !columns.contains(name(member.key)) {
                columns.append(name(member.key))
            }
        }
        // What is so nowhere is not worth a column.
        columns.removeAll { column in
            items.contains { $0[column] != nil }
                && items.allSatisfy { $0[column] == nil || $0[column] == .bool(false) }
        }
        guard !columns.isEmpty else {
            return items.map { "  " + scalar($0, "") }.joined(separator: "\n")
        }
        var lines = [columns.map(words)]
        for item in items {
            lines.append(columns.map { column in item[column].map { scalar($0, column) } ?? "" })
        }
        let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.enumerated().map { number, cells in
            let text = cells.enumerated().map { column, cell in
                let isNumber = lines.dropFirst().allSatisfy { $0[column].first?.isNumber ?? true }
                return Words.padded(cell, to: widths[column], isRight: isNumber)
            }.joined(separator: "  ")
            return "  " + (number == 0 ? style.dim(text) : text)
        }.joined(separator: "\n")
    }

    private static func memberCount(_ value: CBORValue) -> Int {
        if case .map(let members) = value { members.count } else { 0 }
    }

    /// A value in a cell; what its key says of its unit is used.
    static func cell(_ value: CBORValue, _ key: String) -> String { scalar(value, key) }

    private static func scalar(_ value: CBORValue, _ key: String) -> String {
        switch value {
        case .null: return "–"
        case .bool(let value): return value ? "yes" : "no"
        case .unsigned(let value):
            if key.hasSuffix("Bytes") { return Words.bytes(value) }
            if key.hasSuffix("Millis") { return Words.seconds(Double(value) / 1000) }
            if key.hasSuffix("Time"), value < 1 << 53 { return Words.time(Int64(value)) }
            return Words.grouped(value)
        case .negative(let value) where value < UInt64(Int64.max):
            return Words.grouped(-1 - Int64(value))
        case .text(let text): return Words.printable(text)
        default: return Words.printable(JSONText.make(value))
        }
    }

    private static func name(_ key: CBORValue) -> String {
        if case .text(let name) = key { return Words.printable(name) }
        return JSONText.make(key)
    }
}

// A cluster's status for people: how it stands in one line, what is wrong, then its tables.
//
//   local-3   2 of 3 nodes up   2 of 3 groups up   1 profile   2,310 events/s
//     profiles and events of the groups that are up only
//
//   problems
//     node 2 is down: Connection refused
//
//   nodes
//     id  state  address         memory   process  disk used  disk free  conns  uptime
//
// Columns stand in the order in which somebody needs them at night. What does not fit the width is
// left out from the right, and a line says so: a table whose lines are broken cannot be read.

package import KithBytes

/// Renders the answer of `status`.
package struct StatusText {
    private let cluster: String
    private let nodes: [CBORValue]
    private let groups: [CBORValue]
    private let rest: [CBORMember]
    private let style: Style

    /// Nil where `value` is no status.
    package init?(_ value: CBORValue, _ style: Style) {
        guard case .map(let members) = value, case .text(let name)? = value["cluster"],
            case .array(let nodes)? = value["nodes"], case .array(let groups)? = value["groups"]
        else { return nil }
        cluster = Words.printable(name)
        self.nodes = nodes
        self.groups = groups
        rest = members.filter { !["cluster", "nodes", "groups"].contains($0.key) }
        self.style = style
    }

    private static let nodeColumns = [
        "id", "state", "address", "memoryBytes", "processBytes", "logBytes", "diskFreeBytes",
        "connections", "uptimeMillis", "memoryLimitBytes", "software",
    ]
    private static let groupColumns = [
        "group", "state", "leader", "profiles", "eventsPerSecond", "sealed", "pendingBytes",
        "waiting", "events", "memoryBytes", "records", "applied", "logTime",
    ]
    /// Said among the problems already.
    private static let hidden = ["problem", "refuses", "startPercent", "logIsNearlyFull"]
    private static let titles = [
        "processBytes": "process", "logBytes": "disk used", "diskFreeBytes": "disk free",
        "connections": "conns", "memoryLimitBytes": "memory limit",
    ]

    /// Lines for people, without the last line end, of at most `width` characters; of any length
    /// with nil. Sums are of the groups that are up; where that is not all, a line says so.
    package func text(width: Int?) -> String {
        var sections = [head(width: width)]
        if groups.contains(where: { $0["state"] != .text("up") }) {
            let note = HelpText.wrapped(
                "profiles and events of the groups that are up only", indent: 2,
                width: width ?? .max)
            sections[0] += "\n" + note.map { style.yellow($0) }.joined(separator: "\n")
        }
        if !problems.isEmpty {
            let lines = problems.flatMap { problem in
                HelpText.wrapped(problem, indent: 4, width: width ?? .max)
            }
            let marked = lines.map { line in style.yellow(line) }
            sections.append(style.bold("problems") + "\n" + marked.joined(separator: "\n"))
        }
        var hasHidden = false
        for (title, rows, columns) in [
            ("nodes", nodes, Self.nodeColumns), ("groups", groups, Self.groupColumns),
        ] where !rows.isEmpty {
            let table = table(rows, columns, width)
            hasHidden = hasHidden || table.isCut
            sections.append(style.bold(title) + "\n" + table.text)
        }
        if !rest.isEmpty { sections.append(TreeText.make(.map(rest), style: style)) }
        if hasHidden {
            let note = HelpText.wrapped(
                "columns that did not fit are left out; --wide shows all", indent: 0,
                width: width ?? .max)
            sections.append(note.map { style.dim($0) }.joined(separator: "\n"))
        }
        return sections.joined(separator: "\n\n")
    }

    /// What is down or wrong, a sentence each; empty where all is well.
    package var problems: [String] {
        var problems: [String] = []
        var named: [CBORValue] = []
        for node in nodes {
            let name = "node " + TreeText.cell(node["id"] ?? .null, "id")
            let state = text(node["state"]) ?? "?"
            let problem = text(node["problem"])
            if state != "up" {
                if let id = node["id"] { named.append(id) }
                problems.append("\(name) is \(state)" + (problem.map { ": \($0)" } ?? ""))
            } else if let problem {
                problems.append("\(name): \(problem)")
            }
        }
        for group in groups where text(group["state"]) != "up" {
            // A group is where its node is: said above.
            if let leader = group["leader"], named.contains(leader) { continue }
            let name = TreeText.cell(group["group"] ?? .null, "group")
            problems.append("group \(name) is \(text(group["state"]) ?? "?")")
        }
        return problems
    }

    private func text(_ value: CBORValue?) -> String? {
        if case .text(let text)? = value { Words.printable(text) } else { nil }
    }

    private func table(
        _ rows: [CBORValue], _ order: [String], _ width: Int?
    ) -> (text: String, isCut: Bool) {
        var columns = order.filter { key in rows.contains { $0[key] != nil } }
        for case .map(let members) in rows {
            for case .text(let key) in members.map({ $0.key })
            where !columns.contains(key) && !Self.hidden.contains(key) {
                columns.append(key)
            }
        }
        let indent = 2
        var widths: [Int] = []
        var cells: [[String]] = [[]] + rows.map { _ in [] }
        var used = indent - 2
        var isCut = false
        for key in columns {
            let title = Self.titles[key] ?? TreeText.words(Words.printable(key))
            let column =
                [title]
                + rows.map { row in
                    row[key].map { TreeText.cell($0, key) } ?? ""
                }
            let most = column.map(\.count).max() ?? 0
            if let width, used + 2 + most > width {
                isCut = true
                break
            }
            used += 2 + most
            widths.append(most)
            for place in cells.indices { cells[place].append(column[place]) }
        }
        let isNumber = widths.indices.map { column in
            // An address begins with a digit and is none.
            cells.dropFirst().allSatisfy {
                $0[column].first?.isNumber ?? true && !$0[column].contains(":")
            }
        }
        let lines = cells.enumerated().map { number, row in
            var line = row.enumerated().map { column, cell in
                Words.padded(cell, to: widths[column], isRight: isNumber[column])
            }.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return "  " + (number == 0 ? style.dim(line) : line)
        }
        return (lines.joined(separator: "\n"), isCut)
    }

    /// The cluster in one line; in more where it does not fit.
    private func head(width: Int?) -> String {
        let parts = [
            (cluster, style.bold(cluster)), up(nodes, "node", at: "id"),
            up(groups, "group", at: "leader"),
        ]
        let sums = [sum("profiles", "profile"), sum("eventsPerSecond", "event") + "/s"]
        var head = ""
        var used = 0
        for (plain, styled) in parts + sums.map({ ($0, $0) }) {
            if used > 0 {
                let fits = width.map { used + 3 + plain.count <= $0 } ?? true
                head += fits ? "   " : "\n  "
                used = fits ? used + 3 : 2
            }
            head += styled
            used += plain.count
        }
        return head
    }

    /// How many are up, and of these how many do not do what that promises: a node that refuses,
    /// and a group at one, whose number is under `key`.
    private func up(
        _ items: [CBORValue], _ noun: String, at key: String
    ) -> (plain: String, styled: String) {
        let up = items.filter { $0["state"] == .text("up") }
        var text = "\(up.count) of \(items.count) \(noun)\(items.count == 1 ? "" : "s") up"
        var isWell = up.count == items.count
        for (refused, words) in [("all", "refusing all"), ("events", "taking no events")] {
            let refusing = nodes.filter { $0["refuses"] == .text(refused) }.compactMap { $0["id"] }
            let count = up.count { item in item[key].map { refusing.contains($0) } ?? false }
            guard count > 0 else { continue }
            text += ", \(count) \(words)"
            isWell = false
        }
        return (text, isWell ? style.green(text) : style.yellow(text))
    }

    private func sum(_ key: String, _ noun: String) -> String {
        var sum: UInt64 = 0
        for case .unsigned(let count)? in groups.map({ $0[key] }) { sum &+= count }
        return "\(Words.grouped(sum)) \(noun)\(sum == 1 ? "" : "s")"
    }
}

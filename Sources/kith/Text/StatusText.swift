// A cluster's status for people: how it stands in one line, then its tables.
//
//   local-3   2 of 3 nodes up   2 of 3 groups up   1 profile   2,310 events/s

package import KithBytes

/// Renders the answer of `status`.
package enum StatusText {
    /// Lines for people, without the last line end; nil where `value` is no status. The sums of the
    /// first line are of the groups that are up.
    package static func make(_ value: CBORValue, _ style: Style) -> String? {
        guard case .map(let members) = value, case .text(let name)? = value["cluster"],
            case .array(let nodes)? = value["nodes"], case .array(let groups)? = value["groups"]
        else { return nil }
        let head = [
            style.bold(Words.printable(name)), up(nodes, "node", style), up(groups, "group", style),
            sum("profiles", groups, "profile"), sum("eventsPerSecond", groups, "event") + "/s",
        ]
        let rest = members.filter { $0.key != .text("cluster") }
        return head.joined(separator: "   ") + "\n\n" + TreeText.make(.map(rest), style: style)
    }

    private static func up(_ items: [CBORValue], _ noun: String, _ style: Style) -> String {
        let count = items.count { $0["state"] == .text("up") }
        let text = "\(count) of \(items.count) \(noun)\(items.count == 1 ? "" : "s") up"
        return count == items.count ? style.green(text) : style.yellow(text)
    }

    private static func sum(_ key: String, _ items: [CBORValue], _ noun: String) -> String {
        var sum: UInt64 = 0
        for case .unsigned(let count)? in items.map({ $0[key] }) { sum &+= count }
        return "\(Words.grouped(sum)) \(noun)\(sum == 1 ? "" : "s")"
    }
}

// The log of a node, on standard error: a line for each thing that changed, with its time and how
// much it wants to be seen.
//
//   2026-11-30T12:22:19.123Z  warning  node 1: node 2 (127.0.0.1:7102) does not answer: …
//   {"time":"2026-11-30T12:22:19.123Z","level":"warning","node":1,"text":"node 2 (…) …"}
//
// The second with `--log json`. No line ever holds an identifier or a trait.

import Glibc
import KithBytes
package import KithServer

/// Writes the log of one node.
package struct NodeLog: Sendable {
    /// How lines look.
    package enum Form: String, Sendable, CaseIterable { case text, json }

    private let form: Form
    private let node: UInt16
    private let console: Console
    /// The wall clock, in milliseconds since 1970.
    private let now: @Sendable () -> Int64

    package init(
        _ form: Form, node: UInt16, _ console: Console, now: @escaping @Sendable () -> Int64
    ) {
        self.form = form
        self.node = node
        self.console = console
        self.now = now
    }

    package func write(_ line: LogLine) { console.complain(text(line)) }

    /// A line as it is written, without its end.
    package func text(_ line: LogLine) -> String {
        let text = Words.printable(line.text)
        let time = Words.time(now(), withMillis: true)
        switch form {
        case .text:
            let width = LogLine.Level.allCases.map(\.rawValue.count).max() ?? 0
            let level = Words.padded(line.level.rawValue, to: width)
            return "\(time)  \(level)  node \(node): \(text)"
        case .json:
            let members: CBORValue = [
                "time": .text(time), "level": .text(line.level.rawValue),
                "node": .unsigned(UInt64(node)), "text": .text(text),
            ]
            return JSONText.make(members, isSorted: false)
        }
    }

    /// Says on standard output that the node serves: the one line that programs wait for.
    func announce(address: String, cluster: String, data: String) {
        switch form {
        case .text:
            console.print(
                "kith node \(node) of \"\(cluster)\" listening on \(address), data in \(data)")
        case .json:
            let members: CBORValue = [
                "time": .text(Words.time(now(), withMillis: true)), "level": "info",
                "node": .unsigned(UInt64(node)), "text": .text("listening on \(address)"),
                "address": .text(address), "cluster": .text(cluster), "data": .text(data),
            ]
            console.print(JSONText.make(members, isSorted: false))
        }
        // Who waits for that line waits in vain: it is said where it can be, while the node serves.
        if let code = console.outputFailure {
            let reason = String(cString: strerror(code))
            write(LogLine(.warning, "standard output cannot be written: \(reason)"))
        }
    }
}

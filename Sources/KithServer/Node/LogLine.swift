/// One line of a node's log, for people and programs. Never holds an identifier or a trait.
///
/// A literal is a line of level `info`.
public struct LogLine: Sendable, Equatable, ExpressibleByStringInterpolation {
    /// How much a line wants to be seen.
    public enum Level: String, Sendable, CaseIterable {
        /// What happens in the normal course of things.
        case info
        /// What a person should look into; the node goes on.
        case warning
        /// What ends the node, or a part of its work.
        case error
    }

    public var level: Level
    public var text: String

    public init(_ level: Level, _ text: String) {
        self.level = level
        self.text = text
    }

    public init(stringLiteral text: String) { self.init(.info, text) }

    static func warning(_ text: String) -> LogLine { LogLine(.warning, text) }
}

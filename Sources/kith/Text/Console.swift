import Foundation
import Glibc

/// Where the command writes: what was asked for to standard output, everything else to standard
/// error.
package struct Console: Sendable {
    /// Whether standard output is a terminal that wants colours.
    package let hasColours: Bool
    /// Whether standard error is a terminal, on which a line may be drawn again and again.
    package let hasLiveLine: Bool

    package init() {
        let environment = ProcessInfo.processInfo.environment
        let isDumb = environment["TERM"] == "dumb"
        let isPlain = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
        hasColours = isatty(STDOUT_FILENO) == 1 && !isDumb && !isPlain
        hasLiveLine = isatty(STDERR_FILENO) == 1 && !isDumb
    }

    /// Prints a line, or lines, to standard output; false where nobody reads any more.
    @discardableResult
    package func print(_ text: String) -> Bool {
        Self.write(text + "\n", to: STDOUT_FILENO)
    }

    /// Prints a line, or lines, to standard error.
    package func complain(_ text: String) {
        Self.write(text + "\n", to: STDERR_FILENO)
    }

    /// Draws `text` over the whole screen of a terminal, cut to its size; elsewhere prints it as
    /// it is. False where nobody reads any more.
    package func drawPage(_ text: String) -> Bool {
        guard isatty(STDOUT_FILENO) == 1 else {
            return Self.write(text + "\n", to: STDOUT_FILENO)
        }
        // Home; then each line with its rest cleared, and the rest of the screen, so that nothing
        // flickers.
        let size = Self.size(of: STDOUT_FILENO)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let page = lines.prefix(max(1, size.rows - 1)).map {
            Self.cut(String($0), to: size.columns) + "\u{1b}[K\n"
        }.joined()
        return Self.write("\u{1b}[H" + page + "\u{1b}[J", to: STDOUT_FILENO)
    }

    /// Draws `text` over the line at the cursor of standard error, cut to the terminal's width.
    package func drawLive(_ text: String) {
        guard hasLiveLine else { return }
        let width = max(20, Self.size(of: STDERR_FILENO).columns - 1)
        Self.write("\r\u{1b}[K" + text.prefix(width), to: STDERR_FILENO)
    }

    /// The first `columns` characters of a line, and every escape sequence of it: those take no
    /// room, and the last one ends what the others began.
    package static func cut(_ line: String, to columns: Int) -> String {
        var result = ""
        var count = 0
        var isEscape = false
        for character in line {
            if character == "\u{1b}" { isEscape = true }
            if isEscape || count < columns { result.append(character) }
            if !isEscape { count += 1 }
            if isEscape, character.isLetter { isEscape = false }
        }
        return result
    }

    /// Lines of the terminal, and characters in one.
    private static func size(of descriptor: Int32) -> (rows: Int, columns: Int) {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0
        else { return (24, 80) }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    /// Writes all of `text`; false where its reader has gone, which is nobody to tell.
    @discardableResult
    private static func write(_ text: some StringProtocol, to descriptor: Int32) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}

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

    /// Prints a line, or lines, to standard output.
    package func print(_ text: String) {
        Self.write(text + "\n", to: STDOUT_FILENO)
    }

    /// Prints a line, or lines, to standard error.
    package func complain(_ text: String) {
        Self.write(text + "\n", to: STDERR_FILENO)
    }

    /// Draws `text` over the whole screen of a terminal; elsewhere prints it as it is.
    package func drawPage(_ text: String) {
        guard isatty(STDOUT_FILENO) == 1 else { return print(text) }
        // Home; then each line with its rest cleared, and the rest of the screen, so that nothing
        // flickers.
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let page = lines.map { $0 + "\u{1b}[K\n" }.joined()
        Self.write("\u{1b}[H" + page + "\u{1b}[J", to: STDOUT_FILENO)
    }

    /// Draws `text` over the line at the cursor of standard error, cut to the terminal's width.
    package func drawLive(_ text: String) {
        guard hasLiveLine else { return }
        Self.write("\r\u{1b}[K" + text.prefix(max(20, Self.columns - 1)), to: STDERR_FILENO)
    }

    /// Characters in a line of the terminal.
    private static var columns: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Writes all of `text`; a reader that has gone is nobody to tell.
    private static func write(_ text: some StringProtocol, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR {
                return
            }
        }
    }
}

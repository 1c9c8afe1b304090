import Foundation
import Glibc
import Synchronization

/// Where the command writes: what was asked for to standard output, everything else to standard
/// error. It remembers that output could not be written: a command that nobody could read has
/// failed, whatever else it did.
package struct Console: Sendable {
    /// Whether standard output is a terminal that wants colours.
    package let hasColours: Bool
    /// Whether standard error is a terminal, on which a line may be drawn again and again.
    package let hasLiveLine: Bool
    private let failure = Failure()

    /// The error number of the first write to standard output that failed; 0 where none did.
    private final class Failure: Sendable {
        let code = Atomic<Int32>(0)
    }

    /// The error number of the first write to standard output that failed; nil where none did.
    package var outputFailure: Int32? {
        let code = failure.code.load(ordering: .relaxed)
        return code == 0 ? nil : code
    }

    package init() {
        let environment = ProcessInfo.processInfo.environment
        let isDumb = environment["TERM"] == "dumb"
        let isPlain = environment["NO_COLOR"].map { !$0.isEmpty } ?? false
        hasColours = isatty(STDOUT_FILENO) == 1 && !isDumb && !isPlain
        hasLiveLine = isatty(STDERR_FILENO) == 1 && !isDumb
    }

    /// Prints a line, or lines, to standard output; false where they cannot be written.
    @discardableResult
    package func print(_ text: String) -> Bool { printed(text + "\n") }

    /// Writes to standard output, and remembers what went wrong.
    private func printed(_ text: String) -> Bool {
        let code = Self.write(text, to: STDOUT_FILENO)
        guard code != 0 else { return true }
        _ = failure.code.compareExchange(expected: 0, desired: code, ordering: .relaxed)
        return false
    }

    /// Prints a line, or lines, to standard error.
    package func complain(_ text: String) {
        Self.write(text + "\n", to: STDERR_FILENO)
    }

    /// Draws `text` over the whole screen of a terminal, cut to its size; elsewhere prints it as
    /// it is. False where nobody reads any more.
    package func drawPage(_ text: String) -> Bool {
        guard isatty(STDOUT_FILENO) == 1 else { return printed(text + "\n") }
        // Home; then each line with its rest cleared, and the rest of the screen, so that nothing
        // flickers.
        let size = Self.size(of: STDOUT_FILENO)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let page = lines.prefix(max(1, size.rows - 1)).map {
            Self.cut(String($0), to: size.columns) + "\u{1b}[K\n"
        }.joined()
        return printed("\u{1b}[H" + page + "\u{1b}[J")
    }

    /// Characters that a line of standard output has room for: of its terminal, else as the
    /// variable `COLUMNS` says, else 80.
    package var columns: Int {
        if isatty(STDOUT_FILENO) == 1 { return Self.size(of: STDOUT_FILENO).columns }
        let variable = getenv("COLUMNS").flatMap { Int(String(cString: $0)) }
        return variable.map { max(20, $0) } ?? 80
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

    /// Writes all of `text`; the error number where that cannot be done, else 0. A descriptor that
    /// somebody made non-blocking is waited for.
    @discardableResult
    private static func write(_ text: some StringProtocol, to descriptor: Int32) -> Int32 {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
                continue
            }
            let code = errno
            switch code {
            case EINTR: continue
            case EAGAIN:
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, -1)
            default: return code == 0 ? EIO : code
            }
        }
        return 0
    }
}

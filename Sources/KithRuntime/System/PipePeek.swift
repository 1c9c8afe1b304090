internal import CLinux

/// A look at what waits in a pipe, which leaves it there.
public enum PipePeek {
    /// The first bytes that wait, up to `count`; waits for the first. Empty at the end of the pipe,
    /// and for what is no pipe.
    public static func bytes(_ descriptor: Int32, count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let copied = bytes.withUnsafeMutableBytes {
            kith_peek_pipe(descriptor, $0.baseAddress, $0.count)
        }
        return Array(bytes.prefix(max(0, copied)))
    }
}

internal import CLinux
internal import Glibc

/// Descriptors 0, 1 and 2, as whoever started the process left them.
public enum StandardDescriptors {
    /// Has each of them lead somewhere, and a pipe without a reader, or a file beyond the size that
    /// the process may write, be an error rather than the end of the process. Before anything opens
    /// a descriptor: one that is closed would be given to the first file or socket, which would
    /// then be read as input and written as output.
    ///
    /// Input that was closed is empty; output that was closed cannot be written. Throws where the
    /// system has no `/dev/null`.
    public static func secure() throws(SystemError) {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        guard kith_open_standard_descriptors() == 0 else {
            throw SystemError("open of /dev/null", errno)
        }
    }
}

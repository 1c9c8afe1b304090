internal import Glibc

/// How many descriptors (files, sockets) this process may have open at a time.
public enum DescriptorLimit {
    /// Raises the limit as far as the process may by itself, and not above `wanted`; the limit that
    /// holds then. One that is above `wanted` already stays.
    public static func raise(to wanted: Int) -> Int {
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return wanted }
        let goal = min(limit.rlim_max, rlim_t(wanted))
        if limit.rlim_cur < goal {
            let before = limit.rlim_cur
            limit.rlim_cur = goal
            // Without leave to raise it, what is there must do.
            if setrlimit(resource, &limit) != 0 { limit.rlim_cur = before }
        }
        return Int(clamping: limit.rlim_cur)
    }

    private static var resource: __rlimit_resource_t {
        __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    }
}

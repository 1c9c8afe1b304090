// How much memory this process may use, and how much it does.
//
// What it may use is the least of: the machine's memory, the limits of its control group and of all
// groups around that one (version 2, `memory.max`, or version 1, `memory.limit_in_bytes`), and the
// limits of its address space and data (`ulimit -v`, `-d`).

internal import Glibc

/// Memory as the system gives and counts it.
public enum MachineMemory {
    /// Bytes that this process may use.
    public static func availableBytes() -> UInt64 { availableBytes(root: "") }

    /// The same, of a machine whose `/proc` and `/sys` lie below `root`.
    static func availableBytes(root: String) -> UInt64 {
        var least = min(machineBytes, limit(of: RLIMIT_AS), limit(of: RLIMIT_DATA))
        for file in limitFiles(root: root) {
            if let bytes = text(of: file).flatMap({ UInt64($0) }), bytes > 0 {
                least = min(least, bytes)
            }
        }
        return least
    }

    /// Bytes of this process that are in memory; nil where the system does not say.
    public static func residentBytes() -> UInt64? {
        guard let text = text(of: "/proc/self/statm") else { return nil }
        let fields = text.split(separator: " ")
        guard fields.count > 1, let pages = UInt64(fields[1]) else { return nil }
        return pages * pageBytes
    }

    private static var pageBytes: UInt64 { UInt64(max(1, sysconf(Int32(_SC_PAGESIZE)))) }

    private static var machineBytes: UInt64 {
        let pages = sysconf(Int32(_SC_PHYS_PAGES))
        return pages > 0 ? UInt64(pages) * pageBytes : .max
    }

    private static func limit(of resource: __rlimit_resource) -> UInt64 {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 else { return .max }
        return UInt64(limit.rlim_cur)  // without a limit the greatest number there is
    }

    /// The files that may say how much memory the control group has, and those around it.
    private static func limitFiles(root: String) -> [String] {
        var files: [String] = []
        for line in (text(of: root + "/proc/self/cgroup") ?? "").split(separator: "\n") {
            // number : controllers : path
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isVersion1 = parts[1].split(separator: ",").contains("memory")
            guard isVersion1 || parts[1].isEmpty else { continue }
            let base = root + (isVersion1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup")
            let name = isVersion1 ? "memory.limit_in_bytes" : "memory.max"
            var steps = parts[2].split(separator: "/")
            while true {
                files.append(([base] + steps.map(String.init) + [name]).joined(separator: "/"))
                if steps.popLast() == nil { break }
            }
        }
        return files
    }

    /// The first 4 KiB of a file, without a line end at its end; nil where it cannot be read.
    private static func text(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return nil }
        var text = String(decoding: bytes.prefix(count), as: UTF8.self)
        while text.last?.isNewline == true { text.removeLast() }
        return text
    }
}

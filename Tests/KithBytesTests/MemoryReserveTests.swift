import Glibc
import Testing

@testable import KithBytes

/// What happens when the system gives no more memory: in a process of its own, with little address
/// space.
@Suite struct MemoryReserveTests {
    @Test func `a region that finds no memory grows into the reserve, and says so`() async {
        await #expect(processExitsWith: .success) {
            let step = 1 << 20
            guard MemoryReserve.hold(16 << 20), !MemoryReserve.isSpent else { exit(1) }
            var limit = rlimit(rlim_cur: 0, rlim_max: rlim_t.max)
            limit.rlim_cur = Self.addressSpace() + 96 << 20
            guard setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { exit(2) }

            var region = MemoryRegion()
            var count = 0
            while !MemoryReserve.isSpent, count < 1_000 {
                count += 1
                region.grow(toHold: count * step, smallest: 64)
                region.store(UInt64(count), at: (count - 1) * step)
            }
            guard MemoryReserve.isSpent, count > 16 else { exit(3) }
            // What is in the log already is applied into what the reserve gave.
            for more in 1...4 { region.grow(toHold: (count + more) * step, smallest: 64) }
            for place in 0..<count where region.u64(at: place * step) != UInt64(place + 1) {
                exit(4)
            }

            region = MemoryRegion()
            MemoryReserve.refill()
            exit(MemoryReserve.isSpent ? 5 : 0)
        }
    }

    /// Bytes of address space that this process has by now.
    static func addressSpace() -> rlim_t {
        var bytes = [UInt8](repeating: 0, count: 256)
        let file = open("/proc/self/statm", O_RDONLY)
        let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
        close(file)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        let pages = text.split(separator: " ").first.flatMap { rlim_t($0) } ?? 0
        return pages * rlim_t(sysconf(Int32(_SC_PAGESIZE)))
    }

    @Test func `without a reserve nothing is spent`() {
        #expect(!MemoryReserve.isSpent)
        MemoryReserve.refill()
        #expect(!MemoryReserve.isSpent)
    }
}

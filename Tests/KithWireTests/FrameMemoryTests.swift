import Glibc
import Testing

@testable import KithBytes
@testable import KithWire

/// Frames that there is no memory for: in a process of its own, with little address space.
@Suite struct FrameMemoryTests {
    /// The first bytes of a frame that claims to have so many.
    private static func beginning(of byteCount: Int) -> [UInt8] {
        var writer = ByteWriter()
        FrameWriter.write(
            FrameHeader(type: .ingest, requestID: 1), payload: [UInt8](repeating: 0, count: 64),
            into: &writer)
        var bytes = writer.bytes
        let length = UInt32(byteCount - FrameHeader.lengthFieldByteCount)
        for place in 0..<4 { bytes[place] = UInt8(truncatingIfNeeded: length >> UInt32(8 * place)) }
        return bytes
    }

    /// Has a decoder take the beginning of such a frame, with so much address space left.
    private static func begin(_ byteCount: Int, room: Int) -> FrameError? {
        var decoder = FrameDecoder(
            frameBytesMax: 8 << 20, versions: ProtocolVersion.inHeaders)
        decoder.append(beginning(of: byteCount))
        var limit = rlimit(rlim_cur: 0, rlim_max: rlim_t.max)
        limit.rlim_cur = addressSpace() + rlim_t(room)
        guard setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { exit(9) }
        do throws(FrameError) {
            guard try decoder.next() == nil else { exit(8) }
            return nil
        } catch {
            return error
        }
    }

    /// Bytes of address space that this process has by now.
    private static func addressSpace() -> rlim_t {
        var bytes = [UInt8](repeating: 0, count: 256)
        let file = open("/proc/self/statm", O_RDONLY)
        let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
        close(file)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        let pages = text.split(separator: " ").first.flatMap { rlim_t($0) } ?? 0
        return pages * rlim_t(sysconf(Int32(_SC_PAGESIZE)))
    }

    @Test func `a large frame that there is no memory for is refused before it is begun`() async {
        await #expect(processExitsWith: .success) {
            let size = 6 << 20
            guard Self.begin(size, room: MemoryReserve.spareBytes) == .noMemory(byteCount: size)
            else { exit(1) }
            // A small one needs no room of its own, and with room a large one is begun.
            guard Self.begin(60 << 10, room: MemoryReserve.spareBytes / 2) == nil else { exit(2) }
            guard Self.begin(size, room: MemoryReserve.spareBytes + 4 * size) == nil else {
                exit(3)
            }
            exit(0)
        }
    }

    @Test func `what is under way when a large frame is refused grows into the reserve`() async {
        await #expect(processExitsWith: .success) {
            guard MemoryReserve.hold(64 << 20) else { exit(1) }
            let refused = Self.begin(6 << 20, room: MemoryReserve.spareBytes / 2)
            guard refused != nil, MemoryReserve.isSpent else { exit(2) }
            let bytes = [UInt8](repeating: 1, count: 48 << 20)
            exit(bytes.count == 48 << 20 ? 0 : 3)
        }
    }

    @Test func `without a limit there is room`() {
        #expect(MemoryReserve.hasRoom(for: 1 << 40))
        #expect(!MemoryReserve.isSpent)
    }

    @Test func `no memory is told as overloaded`() {
        #expect(ErrorCode(FrameError.noMemory(byteCount: 70_000)) == .overloaded)
        #expect(
            FrameError.noMemory(byteCount: 70_000).description
                == "there is no memory for a frame of 70000 bytes")
    }
}

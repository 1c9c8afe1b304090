import Foundation
import Testing

@testable import KithRuntime

@Suite struct MachineMemoryTests {
    private func machine(_ files: [String: String]) throws -> URL {
        let root = FileManager.default.temporaryDirectory
            .appendingPathComponent("kith-machine-" + UUID().uuidString)
        for (path, text) in files {
            let file = root.appendingPathComponent(path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        return root
    }

    private static let cases: [(files: [String: String], bytes: UInt64)] = [
        (
            [
                "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n",
                "sys/fs/cgroup/a/memory.max": "104857600\n",
                "sys/fs/cgroup/memory.max": "209715200\n",
            ], 104_857_600
        ),
        (
            [
                "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "1048576\n",
                "sys/fs/cgroup/memory.max": "max\n",
            ], 1_048_576
        ),
        (
            [
                "proc/self/cgroup": "12:cpu:/x\n5:memory:/y\n0::/z\n",
                "sys/fs/cgroup/memory/y/memory.limit_in_bytes": "2097152\n",
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "1\n",
            ], 2_097_152
        ),
    ]

    @Test(arguments: cases)
    func `the least limit of a control group and those around it counts`(
        _ files: [String: String], _ bytes: UInt64
    ) throws {
        let root = try machine(files)

        #expect(MachineMemory.availableBytes(root: root.path) == bytes)

        try FileManager.default.removeItem(at: root)
    }

    @Test func `without limits it is the machine's memory`() throws {
        let bytes = MachineMemory.availableBytes(root: "/nowhere")

        #expect(bytes >= 64 << 20)
        #expect(MachineMemory.availableBytes() <= bytes)
        let resident = try #require(MachineMemory.residentBytes())
        #expect(resident > 1 << 20 && resident < bytes)
    }
}

import Glibc
import KithPorts
import Testing

@testable import KithRuntime

/// Runs `body` with a disk in a folder of its own, which goes with it.
private func withDisk<R>(_ body: (LinuxDisk) async throws -> R) async throws -> R {
    var template = Array("/tmp/kith-disk-XXXXXX".utf8CString)
    let made = mkdtemp(&template) != nil
    try #require(made)
    let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    let disk = try LinuxDisk(root: path + "/data")
    defer {
        disk.stop()
        // The tests leave only flat files and empty directories below the root.
        for folder in [path + "/data/a/b", path + "/data/a", path + "/data", path] {
            if let directory = opendir(folder) {
                while let entry = readdir(directory) {
                    let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                    }
                    unlink(folder + "/" + name)
                }
                closedir(directory)
            }
            rmdir(folder)
        }
    }
    return try await body(disk)
}

struct DiskTests {
    @Test(arguments: [DiskLane.log, .other])
    func `what is written is read back`(lane: DiskLane) async throws {
        try await withDisk { disk in
            let file = try await disk.open("log", create: true, lane: lane)
            let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }

            try await file.write(bytes, at: 0, sync: true)
            try await file.write([9, 9], at: 50, sync: false)
            try await file.sync()

            #expect(try await file.size() == 100_000)
            #expect(try await file.read(at: 48, count: 6) == [48, 49, 9, 9, 52, 53])
            #expect(try await file.read(at: 99_998, count: 100) == Array(bytes.suffix(2)))
            #expect(try await file.read(at: 100_000, count: 100) == [])
            #expect(try await file.read(at: .max, count: 100) == [])
            await file.close()

            let again = try await disk.open("log", create: false, lane: lane)
            #expect(try await again.read(at: 0, count: 1 << 40).count == 100_000)
        }
    }

    @Test(arguments: [0, 1, 1 << 20, 3 << 20 + 17] as [UInt64])
    func `a file is extended with zeros`(size: UInt64) async throws {
        try await withDisk { disk in
            let file = try await disk.open("segment", create: true, lane: .log)
            try await file.write([1, 2, 3], at: 0, sync: false)

            try await file.extendWithZeros(to: size)

            let bytes = try await file.read(at: 0, count: 8 << 20)
            #expect(bytes.count == max(3, Int(size)))
            #expect(bytes.starts(with: [1, 2, 3]))
            #expect(bytes.dropFirst(3).allSatisfy { $0 == 0 })
        }
    }

    @Test func `a file is cut`() async throws {
        try await withDisk { disk in
            let file = try await disk.open("log", create: true, lane: .log)
            try await file.write([1, 2, 3, 4], at: 0, sync: false)
            try await file.truncate(to: 2)
            #expect(try await file.read(at: 0, count: 10) == [1, 2])
        }
    }

    @Test(arguments: ["removed", "emptied", "shortened", "replaced", "left"])
    func `a file that was taken away is noticed when it is overwritten`(
        how: String
    ) async throws {
        try await withDisk { disk in
            let file = try await disk.open("log", create: true, lane: .log)
            try await file.extendWithZeros(to: 10_000)
            try await file.overwrite([1], at: 9_000, ofSize: 10_000, sync: true)
            let path = disk.root + "/log"
            switch how {
            case "removed": unlink(path)
            case "emptied": truncate(path, 0)
            case "shortened": truncate(path, 9_999)
            case "replaced":
                let other = try await disk.open("other", create: true, lane: .log)
                try await other.extendWithZeros(to: 10_000)
                try await disk.rename("other", to: "log")
            default: break
            }

            do {
                try await file.overwrite([2], at: 9_000, ofSize: 10_000, sync: true)
                #expect(how == "left")
            } catch let error as DiskError {
                #expect(how != "left")
                #expect(error.isTakenAway)
                #expect(error.path == path)
            }
        }
    }

    @Test func `sizes of files are known, and that there is none`() async throws {
        try await withDisk { disk in
            let file = try await disk.open("one", create: true, lane: .log)
            try await file.write([1, 2, 3], at: 0, sync: false)
            #expect(try await disk.sizes(of: ["two", "one", "one/x"]) == [nil, 3, nil])
        }
    }

    @Test func `directories list their names in order`() async throws {
        try await withDisk { disk in
            #expect(try await disk.list("a") == [])
            try await disk.makeDirectory("a/b")
            try await disk.makeDirectory("a/b")
            for name in ["0003", "0001", "0002"] {
                await (try disk.open("a/" + name, create: true, lane: .other)).close()
            }
            try await disk.syncDirectory("a")

            #expect(try await disk.list("a") == ["0001", "0002", "0003", "b"])
            #expect(try await disk.list("") == ["a"])
            #expect(try await disk.exists("a/0001"))

            try await disk.rename("a/0001", to: "a/0002")
            try await disk.remove("a/b")
            #expect(try await disk.list("a") == ["0002", "0003"])
            #expect(try await disk.exists("a/0001") == false)
        }
    }

    @Test func `an absent file is an error that says which`() async throws {
        try await withDisk { disk in
            let expected = DiskError(
                operation: "open", path: disk.root + "/nothing", code: ENOENT,
                message: "No such file or directory")
            await #expect(throws: expected) {
                try await disk.open("nothing", create: false, lane: .other)
            }
            await #expect(throws: DiskError.self) { try await disk.remove("nothing") }
        }
    }

    @Test(arguments: ["../x", "/etc/passwd", "a/../../b", ".."])
    func `a path that leaves the folder is refused`(path: String) async throws {
        try await withDisk { disk in
            let expected = "outside the data folder"
            await #expect { try await disk.open(path, create: true, lane: .other) } throws: {
                ($0 as? DiskError)?.message == expected
            }
            await #expect { try await disk.remove(path) } throws: {
                ($0 as? DiskError)?.message == expected
            }
            await #expect { try await disk.rename("a", to: path) } throws: {
                ($0 as? DiskError)?.message == expected
            }
        }
    }

    @Test func `a path with a zero byte is refused`() async throws {
        try await withDisk { disk in
            _ = await #expect(throws: DiskError.self) {
                try await disk.open("a\0b", create: true, lane: .other)
            }
        }
    }

    @Test func `a lock is given once, and again after the disk has stopped`() async throws {
        try await withDisk { disk in
            try await disk.lock("lock")
            let rival = try LinuxDisk(root: disk.root)
            defer { rival.stop() }

            await #expect { try await disk.lock("lock") } throws: {
                ($0 as? DiskError)?.message == "in use by another process"
            }
            await #expect(throws: DiskError.self) { try await rival.lock("lock") }

            disk.stop()
            try await rival.lock("lock")
        }
    }

    @Test func `free space is known`() async throws {
        try await withDisk { disk in
            let free = try await disk.freeBytes()
            #expect(free > 0)
        }
    }

    @Test func `a closed file refuses everything`() async throws {
        try await withDisk { disk in
            let file = try await disk.open("log", create: true, lane: .log)
            await file.close()
            await file.close()
            await #expect { try await file.size() } throws: {
                ($0 as? DiskError)?.code == EBADF
            }
        }
    }

    @Test func `a stopped disk refuses everything`() async throws {
        try await withDisk { disk in
            let file = try await disk.open("log", create: true, lane: .log)
            disk.stop()
            await #expect(throws: DiskError.self) {
                try await file.write([1], at: 0, sync: true)
            }
            await #expect(throws: DiskError.self) { try await disk.list("") }
            await file.close()
        }
    }

    @Test func `a full disk and a bad offset are errors`() async throws {
        try await withDisk { disk in
            let file = try await disk.open("log", create: true, lane: .log)
            await #expect { try await file.write([1], at: .max, sync: false) } throws: {
                ($0 as? DiskError)?.code == EFBIG
            }
            let full = LinuxFile(
                try openFile("/dev/full", O_RDWR), path: "/dev/full",
                worker: try WorkerThread(name: "full"))
            await #expect { try await full.write([1], at: 0, sync: false) } throws: {
                ($0 as? DiskError)?.code == ENOSPC
            }
        }
    }

    @Test func `the caller comes back on its loop`() async throws {
        try await withLoops { loops in
            let loop = loops[0]
            let actor = Recorder(loop: loop)
            try await withDisk { disk in
                try await actor.run { _ in
                    let file = try await disk.open("log", create: true, lane: .log)
                    loop.preconditionIsolated()
                    try await file.write([1], at: 0, sync: true)
                    loop.preconditionIsolated()
                }
            }
        }
    }
}

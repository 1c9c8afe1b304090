// A file of events as bytes that come one after another: a plain file, standard input (`-`), or
// what the `gzip` program unpacks, told by its first bytes, whatever its name. The archive is
// opened here and is gzip's standard input, so that its offset, which both share, tells how far the
// work is.

import Foundation
import Glibc
import KithRuntime

/// Why a file cannot be read, or not to its end.
package struct InputError: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String

    init(_ description: String) { self.description = description }
}

/// One open input. Calls block: for a loop of its own.
final class InputFile {
    let name: String
    /// What the bytes are read from.
    private var source: FileHandle
    /// What the file's own bytes are read from, by gzip or by us.
    private let file: FileHandle
    private var gzip: Process?
    private var complaints: Pipe?
    /// Whether the first bytes are still to be looked at.
    private var isUnjudged = true
    /// Size of the file on disk, in bytes; nil where it is no regular file.
    let byteTotal: UInt64?

    /// Opens `name`. An archive's gzip is started when it is read.
    init(_ name: String) throws(InputError) {
        self.name = name == "-" ? "(standard input)" : name
        file = try name == "-" ? FileHandle.standardInput : Self.open(name)
        var status = stat()
        let isRegular =
            fstat(file.fileDescriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        byteTotal = isRegular ? UInt64(status.st_size) : nil
        source = file
    }

    /// Begins to unpack, where the first bytes are gzip's or the name says that they should be.
    private func startIfPacked() throws(InputError) {
        isUnjudged = false
        guard name.lowercased().hasSuffix(".gz") || beginsAsGzip() else { return }
        guard let program = Self.findGzip() else {
            throw InputError("\(name): reading .gz needs the gzip program, which is not in PATH")
        }
        let (output, complaints) = (Pipe(), Pipe())
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["-dc"]
        process.standardInput = file
        process.standardOutput = output
        process.standardError = complaints
        do {
            try process.run()
        } catch {
            throw InputError("\(name): gzip does not start: \(error.localizedDescription)")
        }
        source = output.fileHandleForReading
        gzip = process
        self.complaints = complaints
    }

    /// Looks at the first two bytes, and leaves them there: of a file at its offset, of a pipe by a
    /// copy. What is neither is taken as it comes.
    private func beginsAsGzip() -> Bool {
        let magic: [UInt8] = [0x1f, 0x8b]
        let descriptor = file.fileDescriptor
        let offset = lseek(descriptor, 0, SEEK_CUR)
        guard offset >= 0 else {
            return PipePeek.bytes(descriptor, count: magic.count) == magic
        }
        var bytes: [UInt8] = [0, 0]
        let count = bytes.withUnsafeMutableBytes {
            pread(descriptor, $0.baseAddress, $0.count, offset)
        }
        return count == magic.count && bytes == magic
    }

    private static func open(_ name: String) throws(InputError) -> FileHandle {
        let descriptor = Glibc.open(name, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw InputError("\(name): \(errorText())") }
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
            close(descriptor)
            throw InputError("\(name): is a directory; name the files in it")
        }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// Size of the file `name` in bytes; nil where it is no regular file. Throws where it cannot be
    /// opened.
    static func byteCount(_ name: String) throws(InputError) -> UInt64? {
        guard name != "-" else { return nil }
        var status = stat()
        // A named pipe is opened once: who writes into it would be gone by the second time.
        if stat(name, &status) == 0, status.st_mode & S_IFMT == S_IFIFO { return nil }
        let file = try open(name)
        guard fstat(file.fileDescriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        return UInt64(status.st_size)
    }

    /// All bytes of a file, or its first `byteCountMax`.
    static func contents(_ name: String, byteCountMax: Int) throws(InputError) -> [UInt8] {
        let file = try InputFile(name)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < byteCountMax {
            let count = try file.read(into: &chunk)
            if count == 0 { break }
            bytes.append(contentsOf: chunk.prefix(min(count, byteCountMax - bytes.count)))
        }
        return bytes
    }

    private static func findGzip() -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return path.split(separator: ":").map { $0 + "/gzip" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    private static func errorText() -> String { String(cString: strerror(errno)) }

    /// Bytes of the file on disk that were taken, ourselves or by gzip; nil where `byteTotal` is.
    var bytesTaken: UInt64? {
        guard byteTotal != nil else { return nil }
        let offset = lseek(file.fileDescriptor, 0, SEEK_CUR)
        return offset < 0 ? nil : UInt64(offset)
    }

    /// Whether `read` would return at once, or would within `millis`.
    func isReady(within millis: Int32 = 0) -> Bool {
        var descriptor = pollfd(
            fd: source.fileDescriptor, events: Int16(POLLIN), revents: 0)
        let count = poll(&descriptor, 1, millis)
        // What is wrong with a descriptor, reading it says.
        return count > 0 || count < 0 && errno != EINTR
    }

    /// Fills `buffer` from its start, as far as there are bytes now; waits for the first. 0 at the
    /// end, which for an archive is reached only if gzip found nothing wrong.
    func read(into buffer: inout [UInt8]) throws(InputError) -> Int {
        if isUnjudged { try startIfPacked() }
        let descriptor = source.fileDescriptor
        while true {
            // The one raw pointer of this module: the kernel writes into the buffer.
            let count = buffer.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            if count > 0 { return count }
            if count == 0 { break }
            guard errno == EINTR else { throw InputError("\(name): \(Self.errorText())") }
        }
        try finishGzip()
        return 0
    }

    private func finishGzip() throws(InputError) {
        guard let gzip, let complaints else { return }
        gzip.waitUntilExit()
        guard gzip.terminationStatus != 0 else { return }
        let said = complaints.fileHandleForReading.availableData
        let text = String(decoding: said, as: UTF8.self)
            .split(whereSeparator: \.isNewline).filter { !$0.isEmpty }.joined(separator: "; ")
        throw InputError("\(name): gzip: \(text.isEmpty ? "failed" : text)")
    }
}

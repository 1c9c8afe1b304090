// One search: strings made one after another, each tried against one decoder. The ordinary tests
// run a short slice of fixed seed; `scripts/fuzz` runs long ones through these environment
// variables:
//
//     KITH_FUZZ_TARGET  the search to run; the others are left out
//     KITH_FUZZ_SEED    its seed
//     KITH_FUZZ_START   the number of its first string
//     KITH_FUZZ_COUNT   how many strings
//     KITH_FUZZ_NOTE    a file that holds the string at hand, which a trap leaves behind: the
//                       number of the first string that it builds upon, and its own
//
// Test targets share no module, so this file stands in each of their folders as a link to one
// place.

import Glibc
import Testing

/// What a long search was asked for: `scripts/fuzz --help` explains it.
enum FuzzSettings {
    static func value(_ name: String) -> String? {
        guard let text = getenv(name) else { return nil }
        let value = String(cString: text)
        return value.isEmpty ? nil : value
    }

    static func number(_ name: String) -> Int? { value(name).flatMap { Int($0) } }

    static let isLong = value("KITH_FUZZ_TARGET") != nil
    static let note: Comment = "another search was asked for"

    /// Whether this run is to do that search: ordinary tests do all of them.
    static func wants(_ target: String) -> Bool {
        value("KITH_FUZZ_TARGET").map { $0 == target } ?? true
    }
}

/// What became of one string.
enum FuzzVerdict {
    /// The decoder found a value in it.
    case taken
    case refused
    /// A rule was broken; a trap is the other way to fail.
    case wrong(String)
}

/// One search over the strings of one seed.
struct FuzzSearch {
    let target: String
    let seed: UInt64
    /// Strings that build upon each other: one alone can be made again only with those before it.
    let life: Int
    private let range: Range<Int>
    private(set) var taken = 0
    private(set) var refused = 0

    /// By how much a long search may raise the most memory that its process ever held, in bytes.
    /// Strings have 64 KiB at most, so that anything above says that a length was believed.
    static let residentGrowthMax = 96 << 20

    /// `slice` is the number of strings in the ordinary tests; a debug build takes a tenth.
    init(_ target: String, slice: Int, life: Int = 1) {
        self.target = target
        self.life = life
        seed = FuzzSettings.number("KITH_FUZZ_SEED").map { UInt64($0) } ?? 1
        let start = FuzzSettings.number("KITH_FUZZ_START") ?? 0
        #if DEBUG
        let standard = slice / 10
        #else
        let standard = slice
        #endif
        range = start..<(start + max(FuzzSettings.number("KITH_FUZZ_COUNT") ?? standard, 1))
    }

    /// Tries every string with `body`, up to the first that breaks a rule. A search of some length
    /// must have met strings of both kinds, or it looked at nothing.
    mutating func run(_ body: (_ fuzzer: inout ByteFuzzer, _ string: Int) -> FuzzVerdict) {
        let note = FuzzSettings.value("KITH_FUZZ_NOTE").map { open($0, O_WRONLY | O_CREAT, 0o644) }
        let started = Self.seconds()
        let before = Self.memory("VmRSS:")
        for string in range {
            if let note { write(string, to: note) }
            var fuzzer = ByteFuzzer(seed: seed, string: string)
            switch body(&fuzzer, string) {
            case .taken: taken += 1
            case .refused: refused += 1
            case .wrong(let what):
                Issue.record(
                    "\(target), seed \(seed), string \(string): \(what)\n\(command(string))")
                return
            }
        }
        if range.count >= 500 {
            #expect(taken > 0 && refused > 0, "\(taken) strings taken, \(refused) refused")
        }
        guard FuzzSettings.isLong else { return }
        let peak = Self.memory("VmHWM:")
        print(
            "fuzz-result \(target) \(range.count) \(taken) \(refused) \(Self.seconds() - started) "
                + "\(peak / 1024)")
        #expect(peak - before <= Self.residentGrowthMax, "grew by \(peak - before) bytes")
    }

    /// The command that tries a string again.
    func command(_ string: Int) -> String {
        let start = string - string % life
        return "scripts/fuzz --target \(target) --seed \(seed) --start \(start) "
            + "--count \(string - start + 1)"
    }

    private func write(_ string: Int, to note: Int32) {
        let text = Array("\(string - string % life) \(string)              \n".utf8.prefix(32))
        _ = text.withUnsafeBytes { pwrite(note, $0.baseAddress, $0.count, 0) }
    }

    private static func seconds() -> Int {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return now.tv_sec
    }

    /// A figure of `/proc/PID/status`, which are in KiB, in bytes; 0 where there is none.
    static func memory(_ name: String, of process: String = "self") -> Int {
        guard let file = fopen("/proc/\(process)/status", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let bytes = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            let words = String(decoding: bytes, as: UTF8.self).split { $0 == " " || $0 == "\t" }
            if words.count > 1, words[0] == name { return (Int(words[1]) ?? 0) * 1024 }
        }
        return 0
    }
}

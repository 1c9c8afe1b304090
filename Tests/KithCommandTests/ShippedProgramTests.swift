#if KITH_PLANTED
import Foundation
import KithBytes
import KithCore
import Testing

/// The program that is shipped has no planted faults.
@Suite struct ShippedProgramTests {
    /// Names that no other text contains.
    private static let names =
        NodeFault.names.filter { $0.count >= 8 } + ["contnodup", "tombnocopy", "swallow0"]

    @Test(.enabled(if: Built.isThere, Built.note))
    func `the built program has no name of a planted fault`() throws {
        let program = try #require(Built.program)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: program))

        #expect(Self.names.count >= 20)
        for name in Self.names {
            #expect(bytes.range(of: Data(name.utf8)) == nil, "\(name)")
        }
    }

    @Test(.enabled(if: Built.isThere, Built.note))
    func `the built program takes no planted fault`() throws {
        let result = try Run(["simulate", "--seed", "1", "--planted", "nosync"]).end()

        #expect(result.code == 2)
        #expect(result.error.contains("planted"), "\(result.error)")
    }
}
#endif

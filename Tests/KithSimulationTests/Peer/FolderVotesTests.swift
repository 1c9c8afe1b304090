import KithBytes
import Testing

@testable import KithServer

/// Who has the wrong folder, as the words of two nodes say of each other.
@Suite struct FolderVotesTests {
    private static let wrong = FolderDifference.unknownStart

    @Test func `whoever alone is not what was seen is wrong`() {
        var votes = FolderVotes()
        #expect(votes.count(NodeID(2), own: nil, other: nil) == .agree)
        #expect(votes.count(NodeID(3), own: nil, other: Self.wrong) == .otherIsWrong)
        #expect(votes.count(NodeID(4), own: Self.wrong, other: nil) == .ownIsWrong)
        #expect(!votes.isOutvoted)
    }

    @Test func `where two contradict each other it is the one with more against it than for it`() {
        var votes = FolderVotes()
        #expect(votes.count(NodeID(2), own: Self.wrong, other: Self.wrong) == .contradict)
        #expect(votes.isOutvoted, "nobody agrees")
        _ = votes.count(NodeID(3), own: nil, other: nil)
        #expect(!votes.isOutvoted, "one against one")
        _ = votes.count(NodeID(4), own: Self.wrong, other: Self.wrong)
        #expect(votes.isOutvoted)
        // What a node says again counts once, and what it says last.
        _ = votes.count(NodeID(4), own: nil, other: nil)
        _ = votes.count(NodeID(4), own: nil, other: nil)
        #expect(!votes.isOutvoted)
        _ = votes.count(NodeID(3), own: Self.wrong, other: Self.wrong)
        #expect(votes.isOutvoted)
    }
}

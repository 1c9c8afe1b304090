import KithBytes
import Testing

@testable import KithCore

/// One account and many devices, each of which has as many event names as it may.
enum LargeProfiles {
    static let user = "u"
    static let devices = 21

    /// Links every device to the account, as far as that is allowed.
    static func link(_ world: ReviewWorld) {
        let pad = String(repeating: "x", count: 190)
        for device in 0..<devices {
            let names = 0..<FacetLimits.eventNamesMax
            world.ingest(
                names.map {
                    let name = device * names.count + $0
                    return world.event(
                        "track", id: "m\(name)", device: "d\(device)", name: "\(name)\(pad)")
                })
            world.ingest(
                world.event("page", id: "p\(device)", user: user, device: "d\(device)"))
            world.drive()
        }
    }

    /// Bytes that a read of the account answers with.
    static func bytes(_ world: ReviewWorld) -> Int {
        let leaf = world.leaf("user_id", user)
        let context = world.groups[world.group(of: leaf)].context()
        guard
            case .profile(let bytes) = world.machine(leaf.shard).read(
                leaf, at: leaf, byHint: false, context)
        else { return 0 }
        return bytes.count
    }
}

@Suite struct LargeProfileTests {
    @Test(arguments: [1, 2])
    func `a link whose profile could not be read is refused as a limit`(groups: Int) {
        let world = ReviewWorld(groups: groups)

        LargeProfiles.link(world)

        let bytes = LargeProfiles.bytes(world)
        #expect(bytes <= FacetLimits.profileBytesMax)
        #expect(bytes > FacetLimits.profileBytesMax - 220 * FacetLimits.eventNamesMax)
        let refused = world.totals.refusals[Int(RefusalRule.limit.rawValue)]
        #expect(refused > 0)
        let joined = world.profile("user_id", LargeProfiles.user)!.identifiers.count - 1
        #expect(joined + Int(refused) == LargeProfiles.devices)
        #expect(
            world.totals.accepted == UInt64(LargeProfiles.devices * (FacetLimits.eventNamesMax + 1))
        )
        world.checkInvariants()
    }
}

import KithBytes
import KithCore

/// How a run leans: which situations come up often.
enum ModelProfile: String, CaseIterable {
    case mix, chain, erase, expire, device, slow, alias

    /// `mix` twice as often as the others.
    static func random(_ random: inout ModelRandom) -> ModelProfile {
        let place = random.below(allCases.count + 1)
        return place == allCases.count ? .mix : allCases[place]
    }
}

/// An identifier of a run's closed world, or the quarantine leaf of one.
struct ModelLeaf {
    let id: LeafID
    /// 0 account, 1 contact, 3 anonymous.
    let rank: Int
    let namespace: String
    let value: String
    let group: Int
    /// The index of its quarantine leaf; −1 for none.
    var quarantine = -1
    var isQuarantine = false
}

/// An event as it was sent: what the oracle knows of it.
final class ModelEvent {
    let key: Int
    let time: Int64
    let messageHash: UInt64
    /// Leaf indices in the event's own order.
    let identifiers: [Int]
    /// By ordinal: the previous user id of an alias.
    let isAliasEnd: [Bool]
    /// By ordinal: named as previous id only.
    let isPrevious: [Bool]
    let isAlias: Bool

    init(
        key: Int, time: Int64, messageHash: UInt64, identifiers: [Int], isAliasEnd: [Bool],
        isPrevious: [Bool], isAlias: Bool
    ) {
        self.key = key
        self.time = time
        self.messageHash = messageHash
        self.identifiers = identifiers
        self.isAliasEnd = isAliasEnd
        self.isPrevious = isPrevious
        self.isAlias = isAlias
    }

    /// The name that the event is counted under.
    var counterName: String { isAlias ? "alias" : "e\(key)" }

    /// Whether the link between the two ordinals may join two accounts.
    func joinsAccounts(_ first: Int, _ other: Int) -> Bool { first == 0 && isAliasEnd[other] }
}

/// The machines of the shards that a run can touch. All others share one that stays empty.
final class ModelShards: ShardAccess {
    private var machines: [ShardMachine?] = Array(repeating: nil, count: ShardID.count)
    private let empty = ShardMachine(id: ShardID(0), key: EventFixture.key)
    private(set) var used: [ShardID] = []

    func use(_ id: ShardID) {
        guard machines[Int(id.rawValue)] == nil else { return }
        machines[Int(id.rawValue)] = ShardMachine(id: id, key: EventFixture.key)
        used.append(id)
    }

    func machine(_ id: ShardID) -> ShardMachine { machines[Int(id.rawValue)] ?? empty }
}

/// What a run is made of before anything happens: rules, leaves, groups.
struct ModelSetup {
    let rules: IdentityRules
    let key: HashKey
    let policy: LinkPolicy
    let groupCount: Int
    let contactLimit: Int
    var leaves: [ModelLeaf] = []
    /// Leaves that events name; the quarantine leaves come after.
    var identifierCount = 0
    /// Texts that are a user id and an anonymous id both: what an alias may name.
    var aliasTexts: [String] = []

    static let space = Array("default".utf8)

    init(_ random: inout ModelRandom, _ profile: ModelProfile) {
        contactLimit = random.pick([2, 5])
        // One user id a profile, or no limit that could stand in for the rule about two accounts.
        let accountLimit = random.pick([1, 9])
        groupCount = random.pick([1, 2, 3, 3])
        let isQuarantining = !random.chance(0.1)
        let aliasJoins = !random.chance(0.05)
        rules = IdentityRules(
            sharedDevice: isQuarantining ? .quarantine : .first,
            alias: aliasJoins ? .merge : .refuse,
            namespaces: [
                .init(name: "user_id", class: .account, limit: accountLimit, from: ["userId"]),
                .init(name: "email", class: .contact, limit: contactLimit, from: ["traits.email"]),
                .init(name: "device_id", class: .anonymous, limit: 100, from: ["device"]),
                .init(name: "anonymous_id", class: .anonymous, limit: 100, from: ["anonymousId"]),
            ])
        policy = LinkPolicy(
            quarantinesContested: isQuarantining, aliasJoinsAccounts: aliasJoins,
            limits: rules.namespaces.map {
                LinkPolicy.Limit(
                    namespace: Array($0.name.utf8), identifierClass: $0.identifierClass,
                    limit: $0.limit)
            })
        key = HashKey(k0: random.next(), k1: random.next())

        var accounts: Int
        var contacts = random.pick([0, 0, 1, 2, 3])
        var anonymous = 1 + random.below(4)
        switch profile {
        case .device: accounts = random.pick([2, 3])
        case .alias:
            accounts = random.pick([2, 3, 3, 4])
            contacts = random.pick([0, 0, 1])
            anonymous = 1 + random.below(3)
        default: accounts = random.pick([0, 1, 2, 3])
        }
        if profile == .expire || profile == .chain, random.chance(0.6) {
            accounts = random.pick([0, 0, 1])
            contacts = 0
            anonymous = 2 + random.below(5)
        }
        if accounts + contacts + anonymous < 2 { anonymous = 2 }

        let hasher = LeafHasher(key: key)
        let table = GroupTable(groupCount: groupCount)
        var found: [ModelLeaf] = []
        func add(_ namespace: String, _ rank: Int, _ value: String) {
            let leaf = hasher.leaf(
                class: IdentifierClass(rawValue: UInt8(rank))!, space: Self.space.span.bytes,
                namespace: Array(namespace.utf8).span.bytes, value: Array(value.utf8).span.bytes)
            found.append(
                ModelLeaf(
                    id: leaf, rank: rank, namespace: namespace, value: value,
                    group: Int(table.group(of: leaf).rawValue)))
        }
        for place in 0..<accounts {
            add("user_id", 0, "t\(place)")
            aliasTexts.append("t\(place)")
        }
        for place in 0..<contacts { add("email", 1, "c\(place)@x") }
        var devices = 0
        if profile == .alias || accounts > 0 && random.chance(0.5) {
            // Every account's text is an anonymous id too, as an alias will have it.
            for place in 0..<accounts { add("anonymous_id", 3, "t\(place)") }
            anonymous = max(anonymous - accounts, 1)
        } else {
            aliasTexts = []
        }
        for place in 0..<anonymous {
            if random.chance(0.5) {
                add("anonymous_id", 3, "n\(place)")
            } else {
                add("device_id", 3, "d\(devices)")
                devices += 1
            }
        }
        found.sort { $0.id < $1.id }
        identifierCount = found.count
        for place in 0..<identifierCount where found[place].rank == 3 {
            let leaf = hasher.quarantineLeaf(
                space: Self.space.span.bytes,
                namespace: Array(found[place].namespace.utf8).span.bytes,
                value: Array(found[place].value.utf8).span.bytes)
            found[place].quarantine = found.count
            found.append(
                ModelLeaf(
                    id: leaf, rank: 3, namespace: found[place].namespace,
                    value: found[place].value, group: Int(table.group(of: leaf).rawValue),
                    isQuarantine: true))
        }
        leaves = found
    }
}

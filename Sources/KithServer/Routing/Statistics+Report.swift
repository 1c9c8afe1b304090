internal import KithBytes
internal import KithCore

extension Statistics {
    /// The totals as `stats` prints them.
    var report: CBORValue {
        .object([
            (
                "profiles",
                .object([
                    ("total", .integer(members + anonymous)), ("members", .integer(members)),
                    ("anonymous", .integer(anonymous)),
                ])
            ),
            (
                "identifiers",
                .object([
                    ("total", .integer(identifiers.reduce(0) { $0 + $1.count })),
                    ("byNamespace", Self.counts(identifiers)),
                ])
            ),
            (
                "events",
                .object([
                    ("accepted", .unsigned(accepted)), ("duplicate", .unsigned(duplicate)),
                    ("rejected", .integer(rejected.reduce(0) { $0 + $1.count })),
                    ("expiredOnArrival", .unsigned(expiredOnArrival)),
                    ("forgotten", .unsigned(forgotten)), ("suppressed", .unsigned(suppressed)),
                    ("quarantined", .unsigned(quarantined)),
                    ("rejectedByReason", Self.counts(rejected)),
                ])
            ),
            ("ignoredIdentifiers", Self.counts(ignored)),
            (
                "merges",
                .object([
                    ("completed", .unsigned(mergesCompleted)),
                    ("refused", .unsigned(refusals.reduce(0, +))),
                    (
                        "refusedByReason",
                        .object(
                            RefusalRule.allCases.filter { refusals[Int($0.rawValue)] > 0 }.map {
                                ($0.text, .unsigned(refusals[Int($0.rawValue)]))
                            })
                    ),
                ])
            ),
            ("expired", .unsigned(expired)),
            ("traitsRefused", .unsigned(traitsRefused)),
        ])
    }

    private static func counts(_ list: [NamedCount]) -> CBORValue {
        .object(
            list.filter { $0.count != 0 }.map {
                (String(decoding: $0.name, as: UTF8.self), .integer($0.count))
            })
    }
}

extension CBORValue {
    /// A map with text keys.
    static func object(_ members: [(String, CBORValue)]) -> CBORValue {
        .map(members.map { CBORMember(.text($0.0), $0.1) })
    }
}

internal import KithCore

/// What nodes say at the end, as a partition: which profile each identifier answers.
struct Ownership {
    /// One profile, however many questions it answers.
    struct Owner {
        let space: String
        let profile: Profile
        /// Identifiers that answer it.
        var identifiers: [Int] = []
        /// Those whose quarantine it is.
        var quarantined: [Int] = []
        /// Events that it counts, and how often, by the events' places.
        var counted: [(event: Int, count: UInt64)] = []
    }

    private(set) var owners: [Owner] = []
    /// Into `owners`, by identifier; nil where there is nobody.
    private(set) var owner: [Int?]
    /// The same of quarantine profiles.
    private(set) var quarantine: [Int?]
    /// Whether the identifier was asked for at all.
    private(set) var isAsked: [Bool]
    /// Owners that count an event, by the event's place.
    private(set) var countedBy: [[Int]]

    /// The first node's answers; that all are the same is another rule.
    init(_ final: FinalState, _ evidence: Evidence) {
        let count = evidence.identifiers.count
        owner = Array(repeating: nil, count: count)
        quarantine = Array(repeating: nil, count: count)
        isAsked = Array(repeating: false, count: count)
        countedBy = Array(repeating: [], count: evidence.events.count)
        var known: [LeafID: [Int]] = [:]
        for (question, answers) in final.profiles {
            guard let place = evidence.place(question.space, question.identifier) else { continue }
            if !question.isQuarantine { isAsked[place] = true }
            guard let profile = answers.first ?? nil else { continue }
            let same = known[profile.id, default: []].first {
                owners[$0].space == question.space && owners[$0].profile == profile
            }
            let at = same ?? owners.count
            if same == nil {
                var owner = Owner(space: question.space, profile: profile)
                owner.counted = ProfileFold.counted(profile, evidence)
                for entry in owner.counted { countedBy[entry.event].append(at) }
                owners.append(owner)
                known[profile.id, default: []].append(at)
            }
            if question.isQuarantine {
                quarantine[place] = at
                owners[at].quarantined.append(place)
            } else {
                owner[place] = at
                owners[at].identifiers.append(place)
            }
        }
    }

    /// Whether the identifier's profile says that it is contested; nil where it has none.
    func isContested(_ identifier: Int, _ evidence: Evidence) -> Bool? {
        guard let place = owner[identifier] else { return nil }
        let name = evidence.identifiers[identifier].name
        return owners[place].profile.identifiers.first {
            $0.namespace == name.namespace && $0.value == name.value
        }?.isContested
    }
}

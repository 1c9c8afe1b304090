internal import KithCore
internal import KithWire

/// The names that notes on events speak of, in the order in which a reply carries them: the
/// namespaces, their paths, and the two places beside paths.
struct NoteTexts: Sendable {
    let texts: [String]
    private let namespaceCount: Int

    init(_ rules: IdentityRules) {
        namespaceCount = rules.namespaces.count
        texts =
            rules.namespaces.map(\.name) + rules.namespaces.flatMap(\.from)
            + ["context.externalIds", "previousId"]
        precondition(texts.count <= WireLimits.noteTextsMax, "\(texts.count) names")
    }

    /// The notes of a batch as a reply has them: by item, in the order in which they came.
    func notes(of notes: [EventNote]) -> [IngestNote] {
        guard !notes.isEmpty else { return [] }
        return notes.enumerated()
            .sorted { left, right in
                (left.element.position, left.offset) < (right.element.position, right.offset)
            }
            .map { IngestNote(item: $0.element.position, about($0.element.about)) }
    }

    private func about(_ about: EventNote.About) -> IngestNote.About {
        switch about {
        case .fault(let fault): .fault(fault)
        case .ignored(let reason, let namespace, let place, let count):
            .ignored(
                reason, namespace: namespace.map { UInt16($0) }, place: number(place), count: count)
        case .isNull(let place): .isNull(place: number(place))
        case .linkRefused(let rule, let namespace): .linkRefused(rule, namespace: UInt16(namespace))
        case .linkVoid(let cause, let namespace): .linkVoid(cause, namespace: UInt16(namespace))
        case .timeMoved: .timeMoved
        case .noMessageID: .noMessageID
        case .traitsRefused(let count): .traitsRefused(count)
        }
    }

    private func number(_ place: IdentifierPlace) -> UInt16 {
        switch place {
        case .path(let path): UInt16(namespaceCount) + path
        case .externalIDs: UInt16(texts.count - 2)
        case .previousID: UInt16(texts.count - 1)
        }
    }
}

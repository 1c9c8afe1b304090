internal import KithBytes

/// What the merge asks of a batch.
extension EventBatch {
    func identifier(_ event: Int, _ offset: Int) -> EventIdentifier {
        let head = heads[event]
        precondition(offset < head.identifierCount, "identifier \(offset) of event \(event)")
        return identifiers[head.identifierStart + offset]
    }

    /// Where the event goes when this identifier is all it has and is contested.
    func quarantineLeaf(_ event: Int, _ offset: Int) -> LeafID {
        let span = unsafe bytes.span.bytes
        do {
            let body = try EventBody(body(event, in: span))
            let identifier = body.identifier(at: offset)
            return identifier.quarantineLeaf ?? identifier.leaf
        } catch {
            preconditionFailure("event body does not decode: \(error)")
        }
    }

    /// The event body's bytes within `span`, which are the batch's.
    @_lifetime(copy span)
    func body(_ event: Int, in span: RawSpan) -> RawSpan {
        let head = heads[event]
        return span.extracting(head.bodyRange)
    }

    /// An identifier spelt out, for a facet that a link may have to create. Parses the body.
    func text(_ event: Int, _ offset: Int) -> IdentifierText {
        let span = unsafe bytes.span.bytes
        do {
            let body = try EventBody(body(event, in: span))
            return ShardMachine.text(body.identifier(at: offset), space: body.space)
        } catch {
            // The reader that made this batch wrote the body a moment ago.
            preconditionFailure("event body does not decode: \(error)")
        }
    }

    func isAliasLink(_ event: Int, from first: Int, to other: Int) -> Bool {
        guard heads[event].hasAlias else { return false }
        let span = unsafe bytes.span.bytes
        guard let body = try? EventBody(body(event, in: span)) else { return false }
        return body.isAliasLink(from: first, to: other)
    }
}

extension EventBody {
    /// Whether the link between two identifiers is that of an alias between its two user ids: the
    /// only kind that may join two accounts. The other links of an alias are as in any event.
    func isAliasLink(from first: Int, to other: Int) -> Bool {
        guard hasAlias, first == 0 else { return false }
        let end = identifier(at: other)
        return end.isAliasEnd && end.leaf.identifierClass == .account
            && identifier(at: first).leaf.identifierClass == .account
    }
}

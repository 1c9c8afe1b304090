// What of one batch is still to be sent, try after try, and what becomes of each of its lines.
// Pure: the answers come in.
//
//          ┌───────────── unknown, overloaded or unsent: again ─────────────┐
//          ▼                                                                │
//   open ─▶ sent ─▶ answered ─▶ settled ◀── the patience is at an end ──────┤
//                                  ▲                                        │
//                                  └── unknown, and no message id ──────────┘
//
// Invariant: an event of which any try ended without a certain answer may be stored. It is settled
// by a certain answer or as unknown, whatever kept later tries from being sent. Without a message
// id it is not sent again: the node could not tell that it is the same.

import KithCore
package import KithWire

/// What became of a line.
package enum LineOutcome: Equatable, Sendable {
    /// What a node said, or `unknown`.
    case answered(IngestResult)
    /// It did not reach a node that would take it: it is not stored.
    case unsent
}

/// One batch on its way.
package struct BatchDelivery: Sendable {
    /// How one try ended.
    package enum Answer: Equatable, Sendable {
        /// By item of the payload.
        case results([IngestResult])
        /// The same, with what there is to tell of items.
        case reply(IngestReply)
        /// The same for every item.
        case all(LineOutcome)
    }

    /// A line whose outcome is certain, or will not become so.
    package struct Settled: Equatable, Sendable {
        /// Place in the batch.
        package var item: Int
        package var outcome: LineOutcome
        /// What there is to tell of it, by the answer that settled it.
        package var told: [ToldNote]

        package init(item: Int, outcome: LineOutcome, told: [ToldNote] = []) {
            self.item = item
            self.outcome = outcome
            self.told = told
        }
    }

    /// A line that is to be sent again.
    private struct Open {
        var item: Int
        /// Of the last try.
        var outcome: LineOutcome
        /// Whether any try ended without a certain answer.
        var wasUnknown = false
    }

    private let batch: LineBatch
    private var open: [Open]
    /// What to send next.
    package private(set) var payload: [UInt8]

    package init(_ batch: LineBatch) {
        self.batch = batch
        payload = batch.payload
        open = batch.places.indices.map { Open(item: $0, outcome: .unsent) }
    }

    /// Whether every line has its outcome.
    package var isDone: Bool { open.isEmpty }

    /// Takes the answer to `payload`, which then holds what is to be sent again; the lines that are
    /// settled by it. O(bytes) where some are and others not.
    package mutating func take(_ answer: Answer) -> [Settled] {
        var settled: [Settled] = []
        var again: [Open] = []
        var told: [Int: [ToldNote]] = [:]
        if case .reply(let reply) = answer {
            for note in reply.notes {
                told[Int(note.position), default: []].append(ToldNote(note.about, reply.names))
            }
        }
        for (place, var line) in open.enumerated() {
            switch answer {
            case .results(let results): line.outcome = .answered(results[place])
            case .reply(let reply): line.outcome = .answered(reply.results[place])
            case .all(let outcome): line.outcome = outcome
            }
            if line.outcome == .answered(.unknown) { line.wasUnknown = true }
            if mustGoAgain(line) {
                again.append(line)
            } else {
                settled.append(settle(line, told[place] ?? []))
            }
        }
        if !again.isEmpty {
            let (kept, before) = (again.map(\.item), open.map(\.item))
            payload = IngestRun.subset(payload, keeping: kept, of: before) ?? payload
        }
        open = again
        return settled
    }

    /// Settles what is open, as the tries so far allow: there will be no other.
    package mutating func giveUp() -> [Settled] {
        defer { open = [] }
        return open.map { settle($0) }
    }

    private func mustGoAgain(_ line: Open) -> Bool {
        switch line.outcome {
        case .unsent, .answered(.overloaded): true
        case .answered(.unknown):
            !batch.refused.contains(line.item) && !batch.unnamed.contains(line.item)
        case .answered: false
        }
    }

    private func settle(_ line: Open, _ told: [ToldNote] = []) -> Settled {
        var outcome = line.outcome
        if line.wasUnknown, outcome == .unsent || outcome == .answered(.overloaded) {
            outcome = .answered(.unknown)
        }
        // What is no event needs no node to be judged; only its count there is uncertain.
        if outcome == .answered(.unknown), batch.refused.contains(line.item) {
            let isTooLarge = batch.notes[line.item] == nil
            outcome = .answered(.rejected(isTooLarge ? .eventTooLarge : .invalidJSON))
        }
        return Settled(item: line.item, outcome: outcome, told: told)
    }
}

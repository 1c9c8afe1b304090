internal import KithBytes

/// A member of a map of an event, as places in the event's bytes.
struct EventMember: Sendable {
    /// Where the key's head begins.
    var start: Int
    /// The key's text.
    var nameStart: Int
    var nameCount: Int
    var valueStart: Int
    /// One past the value, and so past the member.
    var end: Int
    /// The node of `EventPaths` that the member is, −1 for none.
    var node: Int
}

extension [EventMember] {
    /// Sorts by name, shorter first where one begins the other, and keeps the last of each name:
    /// in a map with a name twice, the later member counts. O(n log n), no allocation for few.
    mutating func sortKeepingLast(in event: RawSpan) {
        // A stable order of equals is what "last" rests on: insertion is stable, and the
        // standard sort is made so by the place in the event.
        if count <= 16 {
            var sorted = 1
            while sorted < count {
                let member = self[sorted]
                var place = sorted
                while place > 0, Self.order(member, self[place - 1], in: event) < 0 {
                    self[place] = self[place - 1]
                    place -= 1
                }
                self[place] = member
                sorted += 1
            }
        } else {
            // Of two maps the second wins, and its members lie behind in this array.
            for place in indices { self[place].node = place }
            sort { left, right in
                let order = Self.order(left, right, in: event)
                return order != 0 ? order < 0 : left.node < right.node
            }
        }
        var kept = 0
        for place in indices {
            let isLast =
                place + 1 == count || Self.order(self[place], self[place + 1], in: event) != 0
            if isLast {
                self[kept] = self[place]
                kept += 1
            }
        }
        removeLast(count - kept)
    }

    /// Negative, zero or positive as the name of `left` sorts before, with or behind `right`'s.
    private static func order(
        _ left: EventMember, _ right: EventMember, in event: RawSpan
    ) -> Int {
        let common = Swift.min(left.nameCount, right.nameCount)
        var offset = 0
        while offset < common {
            let a = event[left.nameStart + offset]
            let b = event[right.nameStart + offset]
            if a != b { return a < b ? -1 : 1 }
            offset += 1
        }
        return left.nameCount - right.nameCount
    }
}

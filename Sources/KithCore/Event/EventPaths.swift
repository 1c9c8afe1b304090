internal import KithBytes

/// The member names that reading an event looks for, as a tree: the fixed ones, and the paths of
/// the namespaces. One pass over an event's maps fills a slot for each node.
///
///     (root) ─┬─ type · messageId · event · previousId · timestamp · …
///             ├─ userId                            namespace user_id
///             ├─ traits ──┬─ email                 namespace email
///             │           └─ phone                 namespace phone
///             └─ context ─┬─ traits ─┬─ email      …
///                         ├─ device ─── id
///                         └─ externalIds
///
/// Nodes lie in depth-first order, so a subtree is a range and a child's next sibling begins where
/// the child's subtree ends.
struct EventPaths: Sendable {
    struct Node: Sendable {
        /// The first 8 bytes of the name, little-endian, zeros behind: most comparisons are this.
        var word: UInt64
        var nameStart: Int
        var nameCount: Int
        /// One past the last node of the subtree.
        var end: Int
        var isUnderTraits: Bool
    }

    /// A path of a namespace: where its value is, if there.
    struct Source: Sendable {
        var node: Int
        var namespace: Int
    }

    /// An object that paths lead through, or that holds traits.
    struct Container: Sendable {
        var node: Int
        var name: EventContainer
    }

    private(set) var nodes: [Node] = []
    private var names: [UInt8] = []
    /// By namespace, then in the order of `from`.
    private(set) var sources: [Source] = []
    /// Each once, outer ones first. What a path ends at may be a value, so it is none of them.
    private(set) var containers: [Container] = []

    let type: Int
    let messageID: Int
    let event: Int
    let previousID: Int
    let timestamp: Int
    let originalTimestamp: Int
    let sentAt: Int
    let receivedAt: Int
    let traits: Int
    let contextTraits: Int
    let externalIDs: Int

    /// The tree while it grows: children in the order of their first mention.
    private final class Branch {
        var children: [(name: String, branch: Branch)] = []

        func child(_ name: String) -> Branch {
            if let found = children.first(where: { $0.name == name }) { return found.branch }
            let branch = Branch()
            children.append((name, branch))
            return branch
        }
    }

    init(_ rules: IdentityRules) {
        let root = Branch()
        let fixed = [
            "type", "messageId", "timestamp", "event", "previousId", "originalTimestamp", "sentAt",
            "receivedAt", "traits", "context.traits", "context.externalIds",
        ]
        for path in fixed + rules.namespaces.flatMap(\.from) {
            var branch = root
            for step in path.split(separator: ".") { branch = branch.child(String(step)) }
        }
        var nodes: [Node] = []
        var names: [UInt8] = []
        func lay(_ branch: Branch, name: String, isUnderTraits: Bool) {
            let place = nodes.count
            nodes.append(
                Node(
                    word: 0, nameStart: names.count, nameCount: name.utf8.count, end: 0,
                    isUnderTraits: isUnderTraits))
            nodes[place].word = unsafe name.utf8.span.bytes.leadingWord()
            names.append(contentsOf: name.utf8)
            for child in branch.children {
                lay(
                    child.branch, name: child.name,
                    isUnderTraits: isUnderTraits || place == 0 && child.name == "traits")
            }
            nodes[place].end = nodes.count
        }
        lay(root, name: "", isUnderTraits: false)

        func node(_ path: String) -> Int {
            var place = 0
            for step in path.split(separator: ".") {
                var child = place + 1
                while !names[nodes[child].nameStart...].prefix(nodes[child].nameCount)
                    .elementsEqual(step.utf8)
                {
                    child = nodes[child].end
                }
                place = child
            }
            return place
        }
        type = node("type")
        messageID = node("messageId")
        event = node("event")
        previousID = node("previousId")
        timestamp = node("timestamp")
        originalTimestamp = node("originalTimestamp")
        sentAt = node("sentAt")
        receivedAt = node("receivedAt")
        traits = node("traits")
        contextTraits = node("context.traits")
        externalIDs = node("context.externalIds")
        for (index, namespace) in rules.namespaces.enumerated() {
            for path in namespace.from {
                sources.append(Source(node: node(path), namespace: index))
            }
        }
        containers = [
            Container(node: node("context"), name: .context),
            Container(node: contextTraits, name: .contextTraits),
            Container(node: traits, name: .traits),
        ]
        var known = Set(fixed.map(node) + sources.map(\.node) + containers.map(\.node))
        for (number, path) in rules.namespaces.flatMap(\.from).enumerated() {
            let steps = path.split(separator: ".")
            for count in steps.indices.dropFirst() {
                let node = node(steps[..<count].joined(separator: "."))
                guard known.insert(node).inserted else { continue }
                containers.append(
                    Container(
                        node: node,
                        name: .beginning(of: UInt16(number), steps: UInt8(count))))
            }
        }
        let ends = Set(sources.map(\.node))
        containers.removeAll { ends.contains($0.node) }
        self.nodes = nodes
        self.names = names
    }

    /// Whether any path goes on below `node`.
    func hasChildren(_ node: Int) -> Bool { nodes[node].end > node + 1 }

    /// The child of `node` with that name, −1 where no path goes there. O(children).
    func child(of node: Int, named name: RawSpan) -> Int {
        let count = name.byteCount
        let word = name.leadingWord()
        let end = nodes[node].end
        var child = node + 1
        while child < end {
            if nodes[child].word == word, nodes[child].nameCount == count,
                count <= 8 || hasSameRest(child, name)
            {
                return child
            }
            child = nodes[child].end
        }
        return -1
    }

    private func hasSameRest(_ node: Int, _ name: RawSpan) -> Bool {
        let start = nodes[node].nameStart
        for offset in 8..<name.byteCount where names[start + offset] != name[offset] {
            return false
        }
        return true
    }
}

extension RawSpan {
    /// The first 8 bytes, little-endian, with zeros behind where there are fewer.
    func leadingWord() -> UInt64 {
        if byteCount >= 8 {
            return UInt64(
                littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self))
        }
        var word: UInt64 = 0
        for offset in 0..<byteCount { word |= UInt64(self[offset]) << UInt64(8 * offset) }
        return word
    }
}

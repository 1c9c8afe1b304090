/// Which of n things are together, by the links given. The oracle's own; near constant time a call.
struct UnionFind {
    private var parents: [Int]

    /// That many things, each alone.
    init(_ count: Int) { parents = Array(0..<count) }

    /// The thing that stands for all that `thing` is together with.
    mutating func find(_ thing: Int) -> Int {
        var root = thing
        while parents[root] != root {
            parents[root] = parents[parents[root]]
            root = parents[root]
        }
        return root
    }

    /// Puts two together.
    mutating func unite(_ first: Int, _ second: Int) {
        let (a, b) = (find(first), find(second))
        if a != b { parents[max(a, b)] = min(a, b) }
    }
}

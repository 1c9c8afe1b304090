/// The targets of `Package.swift`, in their order.
struct Manifest {
    struct Target {
        let name: String
        let isTest: Bool
        let dependencies: [String]
    }

    let targets: [Target]

    init() {
        let text = Repository.text("Package.swift") ?? ""
        let pattern =
            #/
            \. (?<kind> target | executableTarget | testTarget ) \( \s*
            name: \s* "(?<name> \w+ )"
            (?: , \s* dependencies: \s* \[ (?<list> [^\]]* ) \] )?
            /#
        targets = text.matches(of: pattern).map { match in
            Target(
                name: String(match.output.name), isTest: match.output.kind == "testTarget",
                dependencies: (match.output.list ?? "").matches(of: /"(\w+)"/).map {
                    String($0.output.1)
                })
        }
    }

    static let current = Manifest()

    func dependencies(of name: String) -> [String]? {
        targets.first { $0.name == name }?.dependencies
    }
}

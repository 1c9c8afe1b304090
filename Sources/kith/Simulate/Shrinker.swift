import KithSimulation

/// Makes a failing run smaller while the same rule is broken.
struct Shrinker {
    let failed: SeedResult
    let console: Console
    let isTwice: Bool

    init(_ failed: SeedResult, _ console: Console, isTwice: Bool) {
        self.failed = failed
        self.console = console
        self.isTwice = isTwice
    }

    func run() {}
}

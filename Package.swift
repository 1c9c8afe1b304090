// swift-tools-version: 6.3
#error("From the lead, 02:21: do not build or test on this machine any more. Merge main (d4f98f3: portfuzz, oracle, simulate are in) into marks, resolve the conflicts by hand in MergeDriver, Group, MergeCoordinator (keep main logic, your marks; HEAD of main has submit/waitUntilFree deciding inside the continuation), remove this line, commit without building, and report briefly what is done and what was never compiled.")
import PackageDescription

// Kith has no package dependencies. Arrows between targets point down only; `Sources/README.md`
// says what each holds, and `Tests/RepositoryTests` checks the imports against this list.

let common: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
]
let strict: [SwiftSetting] = common + [.strictMemorySafety()]

let package = Package(
    name: "kith",
    products: [.executable(name: "kith", targets: ["kith"])],
    targets: [
        .target(name: "CLinux"),
        .target(name: "KithBytes", dependencies: ["CLinux"], swiftSettings: strict),
        .target(name: "KithCore", dependencies: ["KithBytes"], swiftSettings: strict),
        .target(name: "KithConsensus", dependencies: ["KithBytes"], swiftSettings: strict),
        .target(name: "KithPorts", dependencies: ["KithBytes"], swiftSettings: strict),
        .target(name: "KithWire", dependencies: ["KithCore", "KithBytes"], swiftSettings: strict),
        .target(
            name: "KithStorage", dependencies: ["KithCore", "KithBytes", "KithPorts"],
            swiftSettings: strict),
        .target(
            name: "KithServer",
            dependencies: [
                "KithCore", "KithConsensus", "KithWire", "KithStorage", "KithPorts", "KithBytes",
            ], swiftSettings: strict),
        .target(
            name: "KithClient", dependencies: ["KithCore", "KithWire", "KithPorts", "KithBytes"],
            swiftSettings: strict),
        .target(
            name: "KithRuntime", dependencies: ["CLinux", "KithPorts", "KithBytes"],
            swiftSettings: common),
        .target(
            name: "KithSimulation",
            dependencies: [
                "KithServer", "KithClient", "KithStorage", "KithWire", "KithCore", "KithPorts",
                "KithBytes",
            ], swiftSettings: common),
        .executableTarget(
            name: "kith",
            dependencies: [
                "KithRuntime", "KithSimulation", "KithServer", "KithClient", "KithStorage",
                "KithWire", "KithCore", "KithPorts", "KithBytes",
            ], swiftSettings: common),
        .testTarget(
            name: "KithBytesTests", dependencies: ["KithBytes"], swiftSettings: common),
        .testTarget(
            name: "KithCoreTests", dependencies: ["KithCore", "KithBytes"], swiftSettings: common),
        .testTarget(
            name: "KithWireTests",
            dependencies: ["KithClient", "KithWire", "KithCore", "KithPorts", "KithBytes"],
            swiftSettings: common),
        .testTarget(
            name: "KithStorageTests",
            dependencies: ["KithStorage", "KithSimulation", "KithCore", "KithPorts", "KithBytes"],
            swiftSettings: common),
        .testTarget(
            name: "KithRuntimeTests", dependencies: ["KithRuntime", "KithPorts", "KithBytes"],
            swiftSettings: common),
        .testTarget(
            name: "KithSimulationTests",
            dependencies: [
                "KithSimulation", "KithServer", "KithClient", "KithWire", "KithCore", "KithPorts",
                "KithBytes",
            ], swiftSettings: common),
        .testTarget(
            name: "KithCommandTests", dependencies: ["kith", "KithCore", "KithWire", "KithBytes"],
            swiftSettings: common),
        .testTarget(name: "RepositoryTests", swiftSettings: common),
    ]
)

// swift-tools-version: 6.3
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
                "KithSimulation", "KithServer", "KithClient", "KithStorage", "KithWire", "KithCore",
                "KithPorts", "KithBytes",
            ], swiftSettings: common),
        .testTarget(
            name: "KithCommandTests",
            dependencies: [
                "kith", "KithRuntime", "KithClient", "KithPorts", "KithCore", "KithWire",
                "KithBytes",
            ],
            swiftSettings: common),
        .testTarget(name: "RepositoryTests", swiftSettings: common),
    ]
)

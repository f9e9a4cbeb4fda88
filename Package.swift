// swift-tools-version: 6.2

import PackageDescription

let nio = "swift-nio"

#if os(Linux)
// The distributions put hiredis where the compiler looks anyway, and its pkg-config file has a flag that SwiftPM refuses.
let hiredisPkgConfig: String? = nil
#else
let hiredisPkgConfig: String? = "hiredis"
#endif

let package = Package(
    name: "background-jobs",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "BackgroundJobs", targets: ["BackgroundJobs"]),
        .library(name: "BackgroundJobsTesting", targets: ["BackgroundJobsTesting"]),
        .library(name: "BackgroundJobsCommands", targets: ["BackgroundJobsCommands"]),
        // Not for users: what Benchmarks/ needs of the inside.
        .library(name: "_BackgroundJobsBenchmarking", targets: ["BackgroundJobsBenchmarking"]),
        .executable(name: "bg-worker", targets: ["bg-worker"]),
        .executable(name: "bg-watcher", targets: ["bg-watcher"]),
        .executable(name: "bg-cli", targets: ["bg-cli"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CHiredis",
            pkgConfig: hiredisPkgConfig,
            providers: [.apt(["libhiredis-dev"]), .brew(["hiredis"])]
        ),
        .target(
            name: "BackgroundRedis",
            dependencies: [
                "CHiredis",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: nio),
                .product(name: "NIOPosix", package: nio),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]
        ),
        .target(
            name: "BackgroundJobs",
            dependencies: [
                "BackgroundRedis",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: nio),
                .product(name: "NIOPosix", package: nio),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            resources: [.embedInCode("Lua")]
        ),
        .target(
            name: "BackgroundJobsTesting",
            dependencies: [
                "BackgroundJobs",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: nio),
                .product(name: "NIOPosix", package: nio),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .target(
            name: "BackgroundJobsCommands",
            dependencies: [
                "BackgroundJobs",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "Yams", package: "Yams"),
            ]
        ),
        .target(
            name: "BackgroundJobsBenchmarking",
            dependencies: [
                "BackgroundJobs",
                "BackgroundRedis",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOPosix", package: nio),
            ]
        ),
        .executableTarget(name: "bg-worker", dependencies: ["BackgroundJobsCommands"], path: "cli/bg-worker"),
        .executableTarget(name: "bg-watcher", dependencies: ["BackgroundJobsCommands"], path: "cli/bg-watcher"),
        .executableTarget(name: "bg-cli", dependencies: ["BackgroundJobsCommands"], path: "cli/bg-cli"),
        .target(
            name: "TestSupport",
            dependencies: [
                "BackgroundRedis", "BackgroundJobs", "BackgroundJobsTesting", .product(name: "NIOPosix", package: nio),
            ],
            path: "Tests/TestSupport"
        ),
        .testTarget(name: "BackgroundRedisTests", dependencies: ["BackgroundRedis", "TestSupport"]),
        .testTarget(
            name: "BackgroundJobsTests",
            dependencies: [
                "BackgroundJobs", "BackgroundJobsTesting", "TestSupport",
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ]
        ),
        .testTarget(
            name: "BackgroundJobsTestingTests",
            dependencies: [
                "BackgroundJobs", "BackgroundJobsTesting", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        // The sources of the package in Examples, but for what would take a web server: here its tests are run.
        .target(
            name: "ExampleJobs",
            dependencies: ["BackgroundJobs", .product(name: "Logging", package: "swift-log")],
            path: "Examples/Sources/ExampleJobs"
        ),
        .executableTarget(
            name: "example-worker",
            dependencies: ["BackgroundJobs", "BackgroundJobsCommands", "ExampleJobs"],
            path: "Examples/Sources/example-worker"
        ),
        .testTarget(
            name: "ExampleJobsTests",
            dependencies: [
                "BackgroundJobs", "BackgroundJobsTesting", "ExampleJobs",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Examples/Tests/ExampleJobsTests"
        ),
        .executableTarget(
            name: "handler-harness",
            dependencies: ["BackgroundJobsCommands", .product(name: "Logging", package: "swift-log")],
            path: "Tests/HandlerHarness"
        ),
        .testTarget(
            name: "BackgroundJobsCommandsTests",
            dependencies: ["BackgroundJobsCommands", "TestSupport", "handler-harness", "bg-cli"]
        ),
        .executableTarget(
            name: "test-worker",
            dependencies: ["BackgroundJobs", "BackgroundJobsCommands"],
            path: "Tests/TestWorker"
        ),
        // That of the package in Benchmarks, so that it is compiled wherever this one is.
        .executableTarget(
            name: "bench",
            dependencies: [
                "BackgroundJobs", "BackgroundJobsBenchmarking",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: nio),
                .product(name: "NIOPosix", package: nio),
            ],
            path: "Benchmarks/Sources/bench"
        ),
        // What breaks things on purpose: ./cli/drill.
        .executableTarget(
            name: "drill",
            dependencies: [
                "BackgroundJobs", "BackgroundJobsCommands", "BackgroundRedis", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Drills"
        ),
        // Whether the tests notice a script that is wrong: ./cli/mutate.
        .executableTarget(
            name: "mutate",
            dependencies: [
                "BackgroundJobs", "BackgroundRedis", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Mutation",
            exclude: ["equivalent.txt"]
        ),
        .testTarget(
            name: "SystemTests",
            dependencies: [
                "BackgroundJobs", "BackgroundRedis", "TestSupport", "bg-worker", "bg-watcher", "bg-cli", "test-worker",
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = [
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ]
}

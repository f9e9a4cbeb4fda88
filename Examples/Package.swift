// swift-tools-version: 6.2

import PackageDescription

// The targets ExampleJobs, example-worker and ExampleJobsTests are those of the package around this one, too, so that its tests compile
// and run them. WebApp is built by hand, since a web server takes minutes to build: swift build --package-path Examples
let package = Package(
    name: "examples",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "background-jobs", path: ".."),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .target(
            name: "ExampleJobs",
            dependencies: [
                .product(name: "BackgroundJobs", package: "background-jobs"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        .executableTarget(
            name: "example-worker",
            dependencies: [
                "ExampleJobs",
                .product(name: "BackgroundJobs", package: "background-jobs"),
                .product(name: "BackgroundJobsCommands", package: "background-jobs"),
            ]
        ),
        .executableTarget(
            name: "WebApp",
            dependencies: [
                "ExampleJobs",
                .product(name: "BackgroundJobs", package: "background-jobs"),
                .product(name: "BackgroundJobsTesting", package: "background-jobs"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .testTarget(
            name: "ExampleJobsTests",
            dependencies: [
                "ExampleJobs",
                .product(name: "BackgroundJobs", package: "background-jobs"),
                .product(name: "BackgroundJobsTesting", package: "background-jobs"),
            ]
        ),
    ],
    swiftLanguageModes: [.v6]
)

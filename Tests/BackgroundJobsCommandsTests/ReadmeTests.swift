import Foundation
import Testing

@Suite("The README")
struct ReadmeTests {
    @Test(
        "shows the example that is compiled here, as do the pages of periodic jobs and of tests",
        arguments: [
            ("README.md", "ReadmeExample.swift"), ("docs/periodic.md", "PeriodicExample.swift"),
            ("docs/testing.md", "../../Examples/Tests/ExampleJobsTests/SignUpTests.swift"),
        ]
    )
    func example(page: String, file: String) throws {
        let here = URL(filePath: #filePath).deletingLastPathComponent()
        let readme = try String(contentsOf: here.appending(path: "../../\(page)"), encoding: .utf8)
        let source = try String(contentsOf: here.appending(path: file), encoding: .utf8)
        let shown = try #require(between("```swift\n", "```", in: readme)).replacing("@main\n", with: "")
        let compiled = try #require(between("// README begin\n", "// README end", in: source))
        #expect(shown == compiled)
    }

    @Test("links to files that are there, as do the pages in docs")
    func links() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL
        let docs = root.appending(path: "docs")
        let pages = try FileManager.default.contentsOfDirectory(atPath: docs.path).filter { $0.hasSuffix(".md") }
        for page in [root.appending(path: "README.md")] + pages.map({ docs.appending(path: $0) }) {
            let text = try String(contentsOf: page, encoding: .utf8)
            for link in text.matches(of: /\]\(([^)#:]+\.md)(#[^)]*)?\)/) {
                let target = page.deletingLastPathComponent().appending(path: String(link.1))
                #expect(FileManager.default.fileExists(atPath: target.path), "\(page.lastPathComponent): \(link.1)")
            }
        }
    }

    private func between(_ start: String, _ end: String, in text: String) -> String? {
        guard let from = text.firstRange(of: start), let to = text[from.upperBound...].firstRange(of: end) else {
            return nil
        }
        return String(text[from.upperBound..<to.lowerBound])
    }
}

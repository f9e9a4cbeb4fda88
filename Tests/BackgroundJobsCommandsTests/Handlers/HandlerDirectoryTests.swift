import Foundation
import Testing

@testable import BackgroundJobsCommands

extension Handlers {
    @Suite struct DirectoryTests {
        @Test func classesAndWhatIsSkipped() throws {
            let folder = try ProgramFolder()
            try folder.file("Nap.py")
            try folder.file("Jobs::Mail")
            try folder.file("Report-2.daily.sh")
            try folder.file(".hidden")
            try folder.file("README.md", mode: 0o644)
            try folder.folder("lib")
            try folder.file("lib/tool")
            try folder.link("Linked.rb", to: "lib/tool")
            try folder.link("Nowhere", to: "missing")

            let directory = try HandlerDirectory(path: folder.path)
            let root = directory.path
            #expect(
                directory.classes == [
                    "Nap": "\(root)/Nap.py", "Jobs::Mail": "\(root)/Jobs::Mail",
                    "Report-2.daily": "\(root)/Report-2.daily.sh", "Linked": "\(root)/Linked.rb",
                ]
            )
            #expect(
                directory.skipped.map { "\($0.name): \($0.reason)" } == [
                    ".hidden: hidden", "Nowhere: No such file or directory", "README.md: not executable",
                    "lib: a directory",
                ]
            )
        }

        struct BadFolder: CustomTestStringConvertible, Sendable {
            var testDescription: String
            var reason: String
            var make: @Sendable (ProgramFolder) throws -> String?

            init(_ name: String, _ reason: String, _ make: @escaping @Sendable (ProgramFolder) throws -> String?) {
                (testDescription, self.reason, self.make) = (name, reason, make)
            }
        }

        static let badFolders = [
            BadFolder("not there", "No such file or directory") { $0.path + "/missing" },
            BadFolder("a file", "not a directory") { folder in
                try folder.file("Nap")
                return folder.path + "/Nap"
            },
            BadFolder("empty", "no executable file in it") { _ in nil },
            BadFolder("nothing executable", "no executable file in it") { folder in
                try folder.file("Nap.py", mode: 0o644)
                return nil
            },
            BadFolder("two for a class", "are both for the class Nap") { folder in
                try folder.file("Nap.py")
                try folder.file("Nap.rb")
                return nil
            },
            BadFolder("class name", "\"Nap time\" is not the name of a class") { folder in
                try folder.file("Nap time.py")
                return nil
            },
            BadFolder("long class name", "is not the name of a class") { folder in
                try folder.file(String(repeating: "N", count: 129))
                return nil
            },
            BadFolder("world-writable file", "anybody may write to") { folder in
                try folder.file("Nap", mode: 0o757)
                return nil
            },
            BadFolder("world-writable folder", "anybody may put programs there") { folder in
                try folder.folder("open", mode: 0o777)
                try folder.file("open/Nap")
                return folder.path + "/open"
            },
            BadFolder("link into a world-writable folder", "anybody may write to") { folder in
                try folder.folder("lib", mode: 0o777)
                try folder.file("lib/tool")
                try folder.link("Nap", to: "lib/tool")
                return nil
            },
            BadFolder("link out", "a link out of the directory, to /usr/bin/env") { folder in
                try folder.link("Nap", to: "/usr/bin/env")
                return nil
            },
            BadFolder("relative link out", "a link out of the directory") { folder in
                try folder.folder("in")
                try folder.file("tool")
                try folder.link("in/Nap", to: "../tool")
                return folder.path + "/in"
            },
        ]

        @Test(arguments: badFolders) func refuses(_ bad: BadFolder) throws {
            let folder = try ProgramFolder()
            let path = try bad.make(folder) ?? folder.path
            let failure = #expect(throws: HandlerDirectory.Failure.self) { try HandlerDirectory(path: path) }
            #expect(failure?.description.contains(bad.reason) == true, "\(failure?.description ?? "")")
        }
    }
}

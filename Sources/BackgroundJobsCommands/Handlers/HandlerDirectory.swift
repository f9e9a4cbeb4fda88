@preconcurrency import Glibc

/// The handler programs of a folder, one for each job class.
///
/// The folder is read once. What can be wrong with it is found here, at the start of the worker, and not when the first
/// job fails: two programs for one class, a program that anybody on the machine may rewrite, a link that leads away.
///
/// The last extension of a file's name is ignored (`Nap.py` handles `Nap`). Hidden files, subfolders and files that are
/// not executable are no handlers; ``skipped`` says why, so that a forgotten `chmod +x` doesn't go unnoticed.
package struct HandlerDirectory: Sendable {
    /// Why a folder can't be used.
    package struct Failure: Error, Equatable, CustomStringConvertible {
        package var description: String
    }

    /// The folder, without symbolic links.
    package let path: String
    /// The class of each handler program, and the program's absolute path.
    package private(set) var classes: [String: String] = [:]
    /// What else is in the folder, and why it is no handler.
    package private(set) var skipped: [(name: String, reason: String)] = []

    /// Reads a folder.
    ///
    /// - Throws: ``Failure``, with a reason for the operator.
    package init(path: String) throws {
        guard let resolved = FileStatus.resolve(path) else {
            throw Failure(description: "\(path): \(FileStatus.lastError)")
        }
        self.path = resolved
        let folder = FileStatus(resolved)
        guard folder?.kind == .folder else {
            throw Failure(description: "\(path): not a directory")
        }
        guard folder?.isWorldWritable == false else {
            throw Failure(description: "\(path): anybody may put programs there (chmod o-w it)")
        }
        for name in try Self.names(in: resolved) {
            try add(name)
        }
        if classes.isEmpty {
            throw Failure(description: "\(path): no executable file in it")
        }
    }

    /// The program for a class, looked at once more: between two jobs it may have been deployed anew, or removed.
    func program(for className: String) throws(HandlerFailure) -> String {
        guard let program = classes[className] else {
            throw HandlerFailure(name: "Unknown Class", message: "no program for \(className) in \(path)")
        }
        guard let resolved = FileStatus.resolve(program) else {
            throw HandlerFailure(name: "Handler Missing", message: "\(program): \(FileStatus.lastError)")
        }
        if let problem = problem(with: resolved) {
            throw HandlerFailure(name: "Handler Refused", message: "\(program): \(problem)")
        }
        guard FileStatus(resolved)?.kind == .file, access(resolved, X_OK) == 0 else {
            throw HandlerFailure(name: "Handler Not Executable", message: "\(program): not an executable file")
        }
        return program
    }

    private mutating func add(_ name: String) throws(Failure) {
        let program = "\(path)/\(name)"
        if name.hasPrefix(".") {
            return skipped.append((name, "hidden"))
        }
        guard let resolved = FileStatus.resolve(program), let status = FileStatus(resolved) else {
            return skipped.append((name, FileStatus.lastError))
        }
        guard resolved.hasPrefix(root) else {
            throw Failure(description: "\(program): a link out of the directory, to \(resolved)")
        }
        guard status.kind == .file else {
            return skipped.append((name, status.kind == .folder ? "a directory" : "not a regular file"))
        }
        guard access(resolved, X_OK) == 0 else {
            return skipped.append((name, "not executable"))
        }
        if let problem = problem(with: resolved) {
            throw Failure(description: "\(program): \(problem)")
        }
        let className = Self.className(of: name)
        guard Self.isClassName(className) else {
            throw Failure(description: "\(program): \(className.debugDescription) is not the name of a class")
        }
        if let other = classes.updateValue(program, forKey: className) {
            throw Failure(description: "\(other) and \(program) are both for the class \(className)")
        }
    }

    /// What forbids to run a file, whose path is free of symbolic links.
    private func problem(with resolved: String) -> String? {
        guard resolved.hasPrefix(root) else {
            return "a link out of the directory, to \(resolved)"
        }
        // A link may lead into a subfolder: then the folders on the way count too.
        var place = resolved
        while place.count >= path.count {
            if FileStatus(place)?.isWorldWritable != false {
                return "anybody may write to \(place) (chmod o-w it)"
            }
            guard let slash = place.lastIndex(of: "/") else {
                break
            }
            place = String(place[..<slash])
        }
        return nil
    }

    private var root: String { path == "/" ? "/" : path + "/" }

    private static func className(of name: String) -> String {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else {
            return name
        }
        return String(name[..<dot])
    }

    private static func isClassName(_ name: String) -> Bool {
        (1...128).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
                    UInt8(ascii: ":"):
                    true
                default:
                    false
                }
            }
    }

    private static func names(in path: String) throws(Failure) -> [String] {
        guard let folder = opendir(path) else {
            throw Failure(description: "\(path): \(FileStatus.lastError)")
        }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = entry.name
            if name != ".", name != ".." {
                names.append(name)
            }
        }
        return names.sorted()
    }
}

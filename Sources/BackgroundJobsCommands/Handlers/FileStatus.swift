@preconcurrency import Glibc

/// What the file system says of a path.
struct FileStatus {
    enum Kind {
        case file, folder, other
    }

    let kind: Kind
    let isWorldWritable: Bool

    /// Follows symbolic links; `nil` if there is nothing, see ``lastError``.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            return nil
        }
        kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .folder
            default: .other
            }
        isWorldWritable = status.st_mode & S_IWOTH != 0
    }

    /// The absolute path without symbolic links, or `nil` if it leads nowhere, see ``lastError``.
    static func resolve(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else {
            return nil
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The system's words for the last failure on this thread.
    static var lastError: String { String(cString: strerror(errno)) }
}

extension UnsafeMutablePointer<dirent> {
    /// The name of a directory entry.
    var name: String {
        withUnsafePointer(to: &pointee.d_name) { name in
            name.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointee.d_name)) {
                String(cString: $0)
            }
        }
    }
}

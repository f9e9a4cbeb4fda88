@preconcurrency import Glibc

/// A pipe that no program started by this process inherits.
enum Pipe {
    /// Opens a pipe, or returns `nil` where no more descriptors are to be had.
    ///
    /// Glibc's `pipe2` isn't imported into Swift, so there is a moment before the flag is set; Subprocess closes all
    /// descriptors of a child but the standard ones, so nothing slips through it.
    static func open() -> (read: CInt, write: CInt)? {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else {
            return nil
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        // Neither of our ends' writers may ever block a thread: a full pipe is an error instead.
        _ = fcntl(ends[1], F_SETFL, O_WRONLY | O_NONBLOCK)
        return (ends[0], ends[1])
    }
}

@preconcurrency import Glibc

/// The guardian itself: the program of the worker, run again as a small process of its own.
///
/// 1. Reads which process groups start (`+123`) and end (`-123`), one a line, from standard input.
/// 2. On a farewell it ends.
/// 3. At the end of the input without one, the worker is gone: sends SIGKILL to all groups that are left, and looks several times
///    within a second for processes with the worker's mark, such as a handler that was just being started. Then it ends.
///
/// It holds nothing but its standard descriptors, and lets itself be ended by SIGKILL only.
struct GuardianProcess {
    /// The hidden argument that asks for it.
    static let argument = "__guardian"
    /// What it says once it is there.
    static let greeting = "ready\n"
    /// What the worker says when nothing is left to guard.
    static let farewell = "bye\n"
    /// The variable that marks a worker's handlers.
    static let variable = "BG_GUARDIAN"

    /// The entry in the environment of the handlers of one worker.
    static func marker(_ token: String) -> String { "\(variable)=\(token)" }

    /// When to look for marked processes, in milliseconds after one another. A handler that was being started when the worker
    /// ended shows its mark only once it runs.
    private static let looks: [UInt32] = [0, 10, 20, 40, 80, 150, 250, 350]

    let marker: String
    private var groups: Set<pid_t> = []

    init(marker: String) {
        self.marker = marker
    }

    /// Guards, then ends the process.
    consuming func run() -> Never {
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGALRM, SIGUSR1, SIGUSR2]
        {
            signal(number, SIG_IGN)
        }
        chdir("/")
        write(STDOUT_FILENO, Self.greeting, Self.greeting.utf8.count)
        dup2(STDERR_FILENO, STDOUT_FILENO)

        if listen() == .workerIsGone {
            endAll()
        }
        exit(0)
    }

    private enum End {
        case farewell, workerIsGone
    }

    private mutating func listen() -> End {
        var buffer = [UInt8](repeating: 0, count: 4096)
        var line: [UInt8] = []
        while true {
            let count = read(STDIN_FILENO, &buffer, buffer.count)
            if count < 0, errno == EINTR {
                continue
            }
            guard count > 0 else {
                return .workerIsGone
            }
            for byte in buffer[..<count] {
                line.append(byte)
                guard byte == UInt8(ascii: "\n") else {
                    continue
                }
                if line.elementsEqual(Self.farewell.utf8) {
                    return .farewell
                }
                note(line.dropLast())
                line.removeAll(keepingCapacity: true)
            }
        }
    }

    private mutating func note(_ line: ArraySlice<UInt8>) {
        // 0 and 1 would mean the guardian's own group, and everything.
        guard let group = pid_t(String(decoding: line.dropFirst(), as: UTF8.self)), group > 1 else {
            return
        }
        if line.first == UInt8(ascii: "+") {
            groups.insert(group)
        } else {
            groups.remove(group)
        }
    }

    private func endAll() {
        for group in groups {
            kill(-group, SIGKILL)
        }
        for pause in Self.looks {
            usleep(pause * 1000)
            endMarked()
        }
    }

    private func endMarked() {
        let own = getpid()
        guard let processes = opendir("/proc") else {
            return  // no Linux: the registered groups have to do
        }
        defer { closedir(processes) }
        while let entry = readdir(processes) {
            if let process = pid_t(entry.name), process != own, isMarked(process) {
                kill(process, SIGKILL)
            }
        }
    }

    private func isMarked(_ process: pid_t) -> Bool {
        let file = open("/proc/\(process)/environ", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            return false
        }
        defer { close(file) }
        let mark = Array(marker.utf8)
        var environment: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(file, &buffer, buffer.count)
            guard count > 0 else {
                break
            }
            environment.append(contentsOf: buffer[..<count])
        }
        return environment.split(separator: 0).contains { $0.elementsEqual(mark) }
    }
}

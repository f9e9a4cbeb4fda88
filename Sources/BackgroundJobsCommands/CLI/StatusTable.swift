import BackgroundJobs

/// The status of queues for people:
///
///     high
///     workers fibers  jps ready scheduled processing  completed failed suspects dead
///           4     40  812     0         3         12     500000      7        0    2
///
/// The columns stay where they are from call to call; a figure that is wider than its column moves only those behind it.
enum StatusTable {
    private static let columns: [(name: String, width: Int, value: @Sendable (QueueStatus) -> Int)] = [
        ("workers", 7, { $0.workers }),
        ("fibers", 6, { $0.fibers }),
        ("jps", 4, { $0.jobsPerSecond }),
        ("ready", 5, { $0.ready }),
        ("scheduled", 9, { $0.scheduled }),
        ("processing", 10, { $0.processing }),
        ("completed", 10, { $0.completed }),
        ("failed", 6, { $0.failed }),
        ("suspects", 8, { $0.suspects }),
        ("dead", 4, { $0.dead }),
    ]

    static func text(_ queues: [QueueStatus]) -> String {
        queues.map { queue in
            let header = columns.map { padded($0.name, $0.width) }.joined(separator: " ")
            let values = columns.map { padded(String($0.value(queue)), $0.width) }.joined(separator: " ")
            let name = Printable.escaped(queue.name) + (queue.isPaused ? " (paused)" : "")
            return "\(name)\n\(header)\n\(values)\n"
        }.joined(separator: "\n")
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}

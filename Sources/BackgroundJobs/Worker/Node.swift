import Foundation

/// The name of one run of a process: host or chosen name, process ID, random digits. Never used again.
package struct Node: Sendable, Hashable, CustomStringConvertible {
    package let description: String

    /// The part of a node that is the host's name or what the operator called the worker: by it jobs are placed.
    package static func name(of node: String) -> String {
        let parts = node.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count > 2, let digits = parts.last, digits.utf8.count == 8, digits.allSatisfy(\.isHexDigit),
            let process = parts.dropLast().last, !process.isEmpty, process.allSatisfy({ $0.isASCII && $0.isNumber })
        else { return node }
        return parts.dropLast(2).joined(separator: "-")
    }

    /// - Parameter name: a name chosen by the operator; nil: the host's.
    package init(name: String? = nil) {
        let digits = String(UInt32.random(in: 0...UInt32.max), radix: 16)
        let host = Names.reducedNodeName(name ?? ProcessInfo.processInfo.hostName)
        let padded = String(repeating: "0", count: 8 - digits.count) + digits
        description = "\(host)-\(ProcessInfo.processInfo.processIdentifier)-\(padded)"
    }
}

/// The names of connections (protocol, Client names).
package enum ClientName {
    package static func worker(_ namespace: String, node: Node, fibers: Int, queues: [String]) -> String {
        "\(workerPrefix(namespace))\(node):\(fibers):\(queues.joined(separator: ","))"
    }
    package static func workerPrefix(_ namespace: String) -> String { "\(namespace)-worker:" }
    package static func waiting(_ namespace: String, node: Node) -> String { "\(waitingPrefix(namespace))\(node)" }
    package static func waitingPrefix(_ namespace: String) -> String { "\(namespace)-worker-wait:" }
    package static func watcher(_ namespace: String, node: Node) -> String { "\(watcherPrefix(namespace))\(node)" }
    package static func watcherPrefix(_ namespace: String) -> String { "\(namespace)-watcher:" }
    package static func manager(_ namespace: String) -> String { "\(namespace)-manager" }
    package static func awaiting(_ namespace: String) -> String { "\(namespace)-manager-wait" }
}

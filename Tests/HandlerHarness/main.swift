// A worker reduced to its handler programs, to be ended in every way by the tests:
// handler-harness DIR NODE CLASS COUNT runs COUNT handlers at a time, for ever.

import BackgroundJobsCommands
import Logging

Guardian.runIfAsked()

let arguments = CommandLine.arguments
let directory = try HandlerDirectory(path: arguments[1])
let count = Int(arguments[4]) ?? 1

try await Guardian.with(logger: Logger(label: "handler-harness")) { guardian in
    let runner = HandlerRunner(directory: directory, node: arguments[2], guardian: guardian)
    let call = HandlerCall(
        jobID: "job",
        attemptID: "attempt",
        queue: "default",
        className: arguments[3],
        attempt: 1,
        arguments: Array("{}".utf8)
    )
    await withTaskGroup(of: Void.self) { group in
        for _ in 0..<count {
            group.addTask {
                while !Task.isCancelled {
                    try? await runner.run(call)
                    await Task.yield()
                }
            }
        }
    }
}

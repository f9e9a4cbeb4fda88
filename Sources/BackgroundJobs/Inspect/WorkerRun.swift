public import Foundation

/// An attempt that a worker runs at this moment.
public struct WorkerRun: Sendable, Hashable, Encodable {
    /// The attempt's ID.
    public var attempt: String
    /// The worker's node.
    public var node: String
    /// The job's ID.
    public var job: String?
    /// The class of the job; nil where its hash is gone.
    public var className: String?
    /// The queue that it was taken from.
    public var queue: String?
    /// Since when it runs.
    public var since: Date?

    /// nil for one that names no worker.
    init?(_ attempt: String, _ fields: HashFields) {
        var fields = fields
        guard let node = fields.text("nod") else { return nil }
        self.attempt = attempt
        self.node = node
        job = fields.text("job")
        queue = fields.text("que")
        since = fields.date("sta")
    }

    private enum CodingKeys: String, CodingKey {
        case attempt, node, job, queue, since
        case className = "class"
    }
}

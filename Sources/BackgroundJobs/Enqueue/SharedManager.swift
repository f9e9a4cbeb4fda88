import Synchronization

/// A manager that is made when it is first asked for: what the jobs of a worker share.
package final class SharedManager: Sendable {
    private let make: @Sendable () throws -> Manager
    private let manager = Mutex<Manager?>(nil)

    package convenience init(_ redis: RedisOptions, middleware: [EnqueueMiddleware]) {
        self.init { try Manager(redis: redis, middleware: middleware) }
    }

    package init(_ make: @escaping @Sendable () throws -> Manager) {
        self.make = make
    }

    package func get() throws -> Manager {
        try manager.withLock { manager in
            if let manager { return manager }
            let made = try make()
            manager = made
            return made
        }
    }

    package func close() async {
        await manager.withLock { $0 }?.close()
    }
}

import ArgumentParser
import BackgroundJobs
import Logging

/// The options that every command of `bg-cli` has, and the connections made from them.
struct ConnectionOptions: ParsableArguments {
    @OptionGroup
    var redis: RedisCommandOptions

    @OptionGroup
    var log: LogOptions

    @OptionGroup
    var config: ConfigOptions

    /// What fails is thrown and said once; the connection's own lines are for those who ask for them.
    var logger: Logger { log.logger(label: "bg-cli", standard: .critical) }

    /// Runs `body` with an inspector and closes it afterwards.
    func withInspector<Result>(_ body: (Inspector) async throws -> Result) async throws -> Result {
        let inspector = try Inspector(redis: redis.redisOptions(), logger: logger)
        let start = ContinuousClock.now
        let result: Result
        do {
            result = try await body(inspector)
        } catch {
            await inspector.close()
            throw error
        }
        await inspector.close()
        if log.verbose {
            note("\(inspector.server), namespace \(inspector.namespace), \(start.duration(to: .now).readable)")
        }
        return result
    }

    /// Runs `body` with a manager and closes it afterwards.
    func withManager<Result>(_ body: (Manager) async throws -> Result) async throws -> Result {
        let manager = try Manager(redis: redis.redisOptions(), logger: logger)
        let result: Result
        do {
            result = try await body(manager)
        } catch {
            await manager.close()
            throw error
        }
        await manager.close()
        return result
    }
}

/// Says something beside the result.
func note(_ text: String) {
    StandardStream.error.writeAll(Printable.escaped(text) + "\n")
}

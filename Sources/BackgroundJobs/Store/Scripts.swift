/// A Lua script, as Redis gets it.
package struct Script: Sendable, Hashable {
    /// The file's name without its extension.
    package let name: String
    /// The file with its prelude in front, without indents and lines of comment: the shorter a script, the less often
    /// something comes between its loading and its call. What comes behind the prelude is a function of its own: Lua 5.1 finds
    /// what such a function has around it at once, and searches for the locals of a function that runs (lfunc.c, luaF_findupval),
    /// for each of some fifty functions that are made anew in each call.
    package var source: String

    /// By the name alone: the source is long, and every call looks a script up.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(name)
    }

    fileprivate init(_ name: String, _ parts: [UInt8]...) {
        self.name = name
        let texts = parts.map { String(decoding: $0, as: UTF8.self) }
        let lines = (texts.prefix(1) + ["return (function()"] + texts.dropFirst() + ["end)()"]).joined(separator: "\n")
            .split(separator: "\n", omittingEmptySubsequences: false)
        source = lines.map { line in
            let code = line.drop { $0 == " " }
            return code.hasPrefix("--") ? "" : code
        }.joined(separator: "\n")
    }
}

/// The scripts of a store; a test may put altered ones in their place.
package struct Scripts: Sendable {
    package var exchange = Script(
        "exchange",
        Self.prelude,
        Self.endings,
        PackageResources.handing_lua,
        PackageResources.exchange_lua,
        PackageResources.claiming_lua
    )
    package var adopt = Script(
        "adopt",
        Self.prelude,
        Self.endings,
        PackageResources.handing_lua,
        PackageResources.adopt_lua
    )
    package var look = Script("look", Self.prelude, PackageResources.look_lua)
    package var promote = Script("promote", Self.prelude, PackageResources.promote_lua)
    package var reap = Script("reap", Self.prelude, Self.endings, PackageResources.reap_lua)
    package var fallback = Script("fallback", Self.prelude, PackageResources.fallback_lua)
    package var recover = Script("recover", Self.prelude, PackageResources.recover_lua)
    package var enqueue = Script("enqueue", Self.prelude, Self.endings, Self.waiting, PackageResources.enqueue_lua)
    package var together = Script("together", Self.prelude, Self.ties, PackageResources.together_lua)
    package var dequeue = Script("dequeue", Self.prelude, Self.endings, Self.waiting, PackageResources.dequeue_lua)
    package var cancel = Script("cancel", Self.prelude, Self.endings, Self.waiting, PackageResources.cancel_lua)
    package var retry = Script("retry", Self.prelude, Self.endings, Self.waiting, PackageResources.retry_lua)
    package var trim = Script("trim", Self.prelude, Self.removal, PackageResources.trim_lua)
    package var delete = Script("delete", Self.prelude, Self.removal, PackageResources.delete_lua)
    package var pause = Script("pause", Self.prelude, PackageResources.pause_lua)
    package var clear = Script("clear", Self.prelude, Self.endings, Self.waiting, PackageResources.clear_lua)
    package var move = Script("move", Self.prelude, Self.endings, Self.waiting, PackageResources.move_lua)
    package var await = Script("await", Self.prelude, PackageResources.await_lua)
    package var note = Script("note", Self.prelude, PackageResources.note_lua)
    package var due = Script("due", Self.prelude, Self.endings, Self.waiting, Self.periodic, PackageResources.due_lua)
    package var fire = Script(
        "fire",
        Self.prelude,
        Self.endings,
        Self.waiting,
        Self.periodic,
        PackageResources.fire_lua
    )
    package var declare = Script(
        "declare",
        Self.prelude,
        Self.endings,
        Self.waiting,
        Self.periodic,
        PackageResources.declare_lua
    )
    package var steer = Script(
        "steer",
        Self.prelude,
        Self.endings,
        Self.waiting,
        Self.periodic,
        PackageResources.steer_lua
    )
    package var rights = Script("rights", Self.prelude, PackageResources.rights_lua)

    private static let prelude = PackageResources.prelude_lua
    private static let ties = PackageResources.ties_lua
    private static let endings = ties + [UInt8(ascii: "\n")] + PackageResources.endings_lua
    private static let removal = ties + [UInt8(ascii: "\n")] + PackageResources.removal_lua
    private static let waiting = PackageResources.waiting_lua
    private static let periodic = PackageResources.periodic_lua

    /// To put them together takes milliseconds, and a process has several stores.
    private static let own = Scripts(assembled: ())

    package init() { self = Self.own }

    private init(assembled: Void) {}
}

import ArgumentParser

/// The question before something that can't be undone.
struct Confirmation: ParsableArguments {
    @Flag(name: [.customShort("y"), .long], help: "Don't ask.")
    var yes = false

    /// Says what is about to be done, and asks whether it is to be.
    ///
    /// - Parameters:
    ///   - plan: what is about to be done, as sentences.
    ///   - isTerminal: whether somebody is there to be asked.
    /// - Throws: if the answer is no, with the exit code 1; if there is nobody to be asked, with 64.
    func ask(_ plan: String, isTerminal: Bool = StandardStream.input.isTerminal && StandardStream.error.isTerminal)
        throws
    {
        note(plan)
        guard !yes else { return }
        guard isTerminal else {
            throw CommandFailure(
                code: 64,
                message:
                    "Nothing was done: there is no terminal on which to ask whether it is to be. Give --yes to do it."
            )
        }
        StandardStream.error.writeAll("Go on? [y/N] ")
        let answer = readLine()?.lowercased() ?? ""
        guard ["y", "yes"].contains(answer) else { throw CommandFailure(code: 1, message: "Nothing was done.") }
    }
}

import BackgroundRedis

extension RESPValue {
    /// The time in ms, where this is the reply to `TIME`.
    func serverTime() throws(BackgroundError) -> Int64 {
        let parts = array ?? []
        guard parts.count == 2, let seconds = parts[0].int, let micros = parts[1].int, (0...1 << 43).contains(seconds)
        else {
            throw BackgroundError(.damaged, "Redis answered TIME with something that is no time.")
        }
        return seconds * 1000 + micros / 1000
    }
}

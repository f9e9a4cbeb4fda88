/// Which name was probably meant by one that does not exist.
enum NearestName {
    /// The name that takes the fewest changes of a letter; nil where all of them are far away.
    static func to(_ name: String, among names: [String]) -> String? {
        let name = name.lowercased().replacing("_", with: "-")
        let nearest = names.map { (name: $0, distance: distance(name, $0)) }.min { $0.distance < $1.distance }
        guard let nearest, nearest.distance <= max(2, name.count / 2) else { return nil }
        return nearest.name
    }

    /// How many letters have to be put in, left out or replaced (Levenshtein's distance).
    private static func distance(_ a: String, _ b: String) -> Int {
        let b = Array(b)
        var row = Array(0...b.count)
        for (i, letter) in a.enumerated() {
            var above = row
            above[0] = i + 1
            for (j, other) in b.enumerated() {
                above[j + 1] = min(row[j] + (letter == other ? 0 : 1), row[j + 1] + 1, above[j] + 1)
            }
            row = above
        }
        return row[b.count]
    }
}

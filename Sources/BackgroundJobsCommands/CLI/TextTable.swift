/// Rows of cells under a header, each column as wide as its widest cell; the last one is not padded.
struct TextTable {
    private var rows: [[String]]
    private let rightAligned: Set<Int>

    /// - Parameters:
    ///   - header: the names of the columns.
    ///   - rightAligned: the columns that hold numbers.
    init(_ header: [String], rightAligned: Set<Int> = []) {
        rows = [header]
        self.rightAligned = rightAligned
    }

    /// Adds a row; what can't be printed in its cells is escaped.
    mutating func add(_ cells: [String]) {
        rows.append(cells.map { $0.isEmpty ? "-" : Printable.escaped($0) })
    }

    var text: String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell -> String in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                if rightAligned.contains(column) { return padding + cell }
                return column == row.count - 1 ? cell : cell + padding
            }
            return cells.joined(separator: "  ") + "\n"
        }.joined()
    }
}

extension Duration {
    /// For people: `12.3ms`, `5.2s`, `3m 20s`, `2h 5m`, `4d 3h`.
    var readable: String {
        let seconds = Double(components.seconds) + Double(components.attoseconds) / 1e18
        let whole = components.seconds
        switch seconds {
        case ..<1: return "\((seconds * 10_000).rounded() / 10)ms"
        case ..<60: return "\((seconds * 10).rounded(.down) / 10)s"
        case ..<3600: return "\(whole / 60)m \(whole % 60)s"
        case ..<86_400: return "\(whole / 3600)h \(whole / 60 % 60)m"
        default: return "\(whole / 86_400)d \(whole / 3600 % 24)h"
        }
    }
}

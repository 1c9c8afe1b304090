/// 12, from outside: every node gives the same answer to every question, and the same totals.
enum SameAnswersRule: Checker.Rule {
    static let name = "12 every node answers the same"

    static func problems(_ run: Checker.Run) -> [String] {
        var problems: [String] = []
        for (question, answers) in run.final.profiles {
            for (node, answer) in answers.enumerated() where answer != answers[0] {
                problems.append("nodes 1 and \(node + 1) differ on \(question)")
            }
        }
        for (node, totals) in run.final.totals.enumerated() where totals != run.final.totals[0] {
            let difference = FinalState.difference(run.final.totals[0], totals)
            problems.append("nodes 1 and \(node + 1) differ on the totals: \(difference)")
        }
        return problems
    }
}

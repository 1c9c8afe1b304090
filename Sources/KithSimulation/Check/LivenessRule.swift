/// 15. Once all is healed and quiet no record is left sealed.
enum LivenessRule: Checker.Rule {
    static let name = "15 nothing is left half done"

    static func problems(_ run: Checker.Run) -> [String] {
        run.final.sealed == 0 ? [] : ["\(run.final.sealed) records are still sealed"]
    }
}

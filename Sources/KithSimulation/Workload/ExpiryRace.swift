/// Anonymous profiles that end while they are written, linked and read: their times are laid so
/// that the clocks' last steps pass just before, at and just after the end of each.
struct ExpiryRace: Workload {
    static let name = "expiry"
    static let help = "events and links just before, at and just after the end of retention"
    static let passing = WorkloadTimes.Passing.retention

    private let clients: Int

    init(_ plan: inout PlanWriter) { clients = 2 + plan.random.below(6) }

    mutating func steps(count: Int, into plan: inout PlanWriter) {
        let persons = 2 + plan.random.below(8)
        let edge = plan.times.passes.first?.at ?? plan.times.end / 2
        let percent = max(1, min(90, edge / max(1, plan.times.end / 100)))
        // The first life: of the first wall time less a few milliseconds. Where clocks do not jump,
        // it began so long ago that it ends when it would end with them.
        let birth =
            plan.times.passes.isEmpty
            ? plan.times.start - plan.times.retention + Int64(edge / 1_000_000) : plan.times.start
        for at in plan.moments(count / 3, from: 0, to: percent) {
            let time = birth - Int64(plan.random.below(UInt64(8)))
            write(plan.random.below(persons), at, time: min(time, plan.times.wall(at)), &plan)
        }
        for at in plan.moments(count - count / 3, from: percent, to: 100) {
            let person = plan.random.below(persons)
            if plan.random.oneIn(4) {
                let identifiers = [plan.cookie(person), plan.device(person), plan.user(person)]
                plan.get(
                    client: plan.random.below(clients), at: at, plan.pick(identifiers))
                continue
            }
            // Mostly nobody writes any more, so that lives can end; then somebody may.
            if person % 2 == 0, !plan.random.oneIn(4) {
                plan.get(client: plan.random.below(clients), at: at, plan.cookie(person))
                continue
            }
            let wall = plan.times.wall(at)
            let times = [wall, wall - 1, birth, birth - 3]
            write(person, at, time: min(wall, plan.pick(times)), &plan)
        }
    }

    private func write(_ person: Int, _ at: UInt64, time: Int64, _ plan: inout PlanWriter) {
        let cookie = plan.cookie(person)
        let device = plan.device(person)
        let identifiers: [PlannedIdentifier] =
            switch plan.random.below(8) {
            case 0, 1, 2: [cookie]
            case 3: [device]
            case 4, 5: [cookie, device]
            case 6: [plan.user(person), cookie]
            default: [plan.cookie(person + 100), device]
            }
        plan.ingest(
            client: plan.random.below(clients), at: at,
            [plan.event(identifiers, at: at, time: time, traits: [("at", "\(at)")])])
    }
}

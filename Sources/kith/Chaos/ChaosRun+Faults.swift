// What each kind of fault does to real processes. Those of the network are the same as in
// simulations; of the others `kill -9`, SIGSTOP and SIGTERM are all that there is.

import Glibc
import KithPorts
import KithSimulation

extension ChaosRun {
    /// Makes the fault happen now.
    func inject(_ fault: Fault) async {
        guard !isHealed, !isOver else { return }
        injected[fault.kind, default: 0] += 1
        note("fault \(fault)")
        var chance = Xoshiro256(seed: fault.chance)
        if fault.kind.group == .network {
            proxy.inject(fault, &chance, now: proxy.now, nodeCount: nodeCount)
        }
        switch fault.kind {
        case .kill: kill(fault.node, down: fault.nanoseconds)
        case .staleBytes:
            await wait(nanoseconds: chance.logarithmic(100_000...10_000_000), subject: 0)
            if !isHealed { kill(fault.node, down: 0) }
        case .crashAll:
            for number in 1...nodeCount { kill(number, down: fault.nanoseconds) }
        case .restartStorm:
            let count = 1 + chance.below(4)
            // While it reads its log, or soon after.
            nodes[fault.node - 1].storm = (0..<count).map { _ in
                chance.logarithmic(1_000_000...500_000_000)
            }
            kill(fault.node, down: fault.nanoseconds)
        case .pause: await pause(fault)
        case .stop: stop(fault.node, down: fault.nanoseconds)
        default: break
        }
    }

    private func pause(_ fault: Fault) async {
        guard let process = node(fault.node).process, !node(fault.node).isEndExpected else {
            return
        }
        let end = clock.monotonicNanoseconds() + fault.nanoseconds
        nodes[fault.node - 1].pause(until: end)
        process.signal(SIGSTOP)
        await wait(nanoseconds: fault.nanoseconds, subject: 0)
        // Another pause may hold it for longer, and it may be another process by now.
        if nodes[fault.node - 1].endPause(at: clock.monotonicNanoseconds()) {
            node(fault.node).process?.signal(SIGCONT)
        }
    }

    /// Ends all faults.
    func heal() {
        note("all is healed")
        isHealed = true
        proxy.weather.clear()
        for place in nodes {
            nodes[place.number - 1].storm = []
            nodes[place.number - 1].killAt = nil
            nodes[place.number - 1].downUntil = 0
            nodes[place.number - 1].forgetPause()
            place.process?.signal(SIGCONT)
        }
    }
}

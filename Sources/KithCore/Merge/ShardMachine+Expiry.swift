public import KithBytes

extension ShardMachine {
    /// Examines records filed for days that log time has reached, at most `limit` of those that
    /// need anything: overdue profiles are dropped, those active since are refiled, ledgers without
    /// facets are pruned and go when nothing is left to remember.
    ///
    /// Without `exact` only whole days that have passed are looked at, so that each idle record is
    /// examined about once a retention. With it today's are too: totals ask for that.
    func reclaim(limit: Int, exact: Bool, _ context: ApplyContext) -> Outcome {
        let today = Self.day(context.now.rawValue)
        let last = Rules.lastDayExamined(today: today, exact: exact)
        var handled = 0
        guard var day = table.earliestFiledDay() else { return .reclaimed(count: 0, more: false) }
        while day <= last {
            var next = table.firstFiled(day: day)
            while let slot = next {
                next = table.nextFiled(slot)
                guard handled < limit else {
                    mark(.reclaimContinued)
                    return .reclaimed(count: handled, more: true)
                }
                if examine(slot, today: today, context) { handled += 1 }
            }
            guard let following = table.earliestFiledDay(after: day) else { break }
            day = following
        }
        return .reclaimed(count: handled, more: false)
    }

    /// True when something was done: dropped, refiled or pruned.
    private func examine(_ slot: SlotIndex, today: Int32, _ context: ApplyContext) -> Bool {
        guard table.state(slot) == .root else {
            mark(.reclaimNoRoot)
            table.unfile(slot)
            return true
        }
        if table.facetCount(slot) == 0 {
            mark(.reclaimLedger)
            var ledger = ledger(slot)
            prune(&ledger, context)
            ledger.remembered.removeAll { entry in
                !entry.isContested
                    && entry.forgetTime < context.now.rawValue - Self.rememberMillis
            }
            settle(slot, ledger, context)
            return true
        }
        if table.id(slot).identifierClass != .anonymous {
            table.unfile(slot)
            return true
        }
        if Rules.isReclaimable(lastSeen: table.lastSeen(slot), context) {
            mark(.expiryByReclaim)
            drop(slot, eraseTime: nil, context)
            statistics.expired += 1
            return true
        }
        let filed = table.filedDay(slot)
        let (due, overflow) = table.lastSeen(slot).addingReportingOverflow(context.retentionMillis)
        let day = Self.day(overflow ? .max : due)
        if filed == day { return false }
        mark(.reclaimRefiled)
        table.file(slot, day: day)
        return true
    }

    /// Files every anonymous profile anew, after retention has changed: totals and reclaiming look
    /// at the days that records are filed for. O(records).
    func refileAll(_ context: ApplyContext) {
        var slots: [SlotIndex] = []
        table.forEachSlot { slot in
            if table.state(slot) == .root, table.facetCount(slot) > 0,
                table.id(slot).identifierClass == .anonymous
            {
                slots.append(slot)
            }
        }
        for slot in slots { refile(slot, context) }
    }

    /// Whether a reclaim step, one that is not exact, would do anything.
    public func hasReclaimable(_ context: ApplyContext) -> Bool {
        guard let day = table.earliestFiledDay() else { return false }
        return day <= Rules.lastDayExamined(today: Self.day(context.now.rawValue), exact: false)
    }

    /// The shard's counters as they stand at this log time: profiles past their retention that are
    /// not reclaimed yet count as expired. O(records filed for days up to now).
    public func statistics(at context: ApplyContext) -> Statistics {
        var adjusted = statistics
        let today = Self.day(context.now.rawValue)
        var day = table.earliestFiledDay()
        while let filed = day, filed <= today {
            var next = table.firstFiled(day: filed)
            while let slot = next {
                next = table.nextFiled(slot)
                guard table.state(slot) == .root, table.facetCount(slot) > 0,
                    table.id(slot).identifierClass == .anonymous,
                    context.isOverdue(table.lastSeen(slot))
                else { continue }
                adjusted.anonymous -= 1
                adjusted.expired += 1
                table.forEachFacet(slot) { facet, _ in
                    if table.flags(facet).isDisjoint(with: [.unlisted, .quarantine]) {
                        adjusted.countIdentifier(table.namespace(facet), by: -1)
                    }
                }
            }
            day = table.earliestFiledDay(after: filed)
        }
        return adjusted
    }

    /// When the profile at this root expires, if it is an anonymous root with facets.
    public func expiresAt(_ w: LeafID, _ context: ApplyContext) -> LogTime? {
        guard let slot = table.find(w), table.state(slot) == .root, table.facetCount(slot) > 0,
            w.identifierClass == .anonymous
        else { return nil }
        let (due, overflow) = table.lastSeen(slot).addingReportingOverflow(context.retentionMillis)
        return LogTime(overflow ? .max : due)
    }

    /// Pending releases of this shard's roots, and sealed records: what the group's driver works
    /// on.
    func pendingReleases(of w: LeafID) -> [Ledger.Release] {
        guard let slot = table.find(w) else { return [] }
        return ledger(slot).releases
    }

    /// The release of a leaf that `root` dropped; nil where the duty has gone elsewhere with the
    /// ledger.
    func pendingReleaseOrder(
        _ entry: Ledger.Release, at root: LeafID, _ context: ApplyContext
    ) -> ReleaseOrder? {
        guard let slot = table.find(root), table.state(slot) == .root,
            ledger(slot).releases.contains(entry)
        else {
            mark(.releaseGoneElsewhere)
            return nil
        }
        return releaseOrder(entry.leaf, entry.version, slot, context)
    }

    func releaseAnswered(_ w: LeafID, _ entry: Ledger.Release, _ context: ApplyContext) -> Outcome {
        guard let slot = table.find(w), table.hasLedger(slot) else { return .done }
        var ledger = ledger(slot)
        ledger.releases.removeAll { $0 == entry }
        if table.state(slot) == .root, table.facetCount(slot) == 0 {
            settle(slot, ledger, context)
        } else {
            setLedger(slot, ledger)
        }
        return .done
    }
}

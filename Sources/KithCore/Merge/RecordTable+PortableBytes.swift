internal import KithBytes

extension RecordTable {
    /// How many bytes `exportFacets` appends for the record, without making them. Names are spelt
    /// out there, so a payload can grow many times over. O(payload).
    func portableBytes(_ slot: SlotIndex) -> Int {
        var total = 4
        var cells: [TraitCell] = []
        forEachFacet(slot) { facet, _ in
            let shape = shape(facet)
            // Length, leaf, life and its group, flags, seal version, first and last seen.
            total += 4 + 16 + 10 + 1 + 8 + 16
            total += shape.parts.contains(.forgetTime) ? 9 : 1
            total += 6 + spaceText(shape).byteCount + namespaceText(shape).byteCount
            total += shape.parts.contains(.packedValue) ? PackedUUID.textBytes : shape.valueBytes
            total += 2 + 2 * groups(facet).count
            total += 4 + 4
            for index in 0..<shape.counterCount {
                total += 2 + events.byteCount(counter(index, shape).name) + 8
            }
            cells.removeAll(keepingCapacity: true)
            appendTraits(of: shape, to: &cells)
            for cell in cells {
                let idBytes = cell.isPacked ? PackedUUID.textBytes : cell.messageIDBytes
                total += 2 + nameText(cell).byteCount + 8 + 1 + idBytes + 4 + cell.valueBytes
            }
            total += 2
            if shape.windowCount > 0 {
                total += 8 + shape.windowCount * FacetLayout.windowEntryBytes
            }
        }
        return total
    }
}

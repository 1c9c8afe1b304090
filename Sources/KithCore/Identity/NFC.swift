@_spi(_Unicode) internal import Swift

extension String {
    /// Appends the text in Unicode normalisation form C, as UTF-8. O(n).
    func appendNFC(to bytes: inout [UInt8]) {
        for scalar in _nfc { bytes.append(contentsOf: scalar.utf8) }
    }

    /// The text in Unicode normalisation form C, as UTF-8. O(n).
    var nfc: [UInt8] {
        var bytes: [UInt8] = []
        appendNFC(to: &bytes)
        return bytes
    }
}

internal import CLinux

/// CRC-32C, the Castagnoli polynomial (RFC 3720, appendix B.4). Guards every frame and every log
/// batch; finds all bursts up to 32 bits. Not an identity: state hashes are 64 bits wide.
public enum CRC32C {
    /// The checksum of `span`, or of what came before and `span` where `crc` continues one.
    public static func checksum(_ span: RawSpan, continuing crc: UInt32 = 0) -> UInt32 {
        unsafe span.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return crc }
            return unsafe kith_crc32c(crc, base, buffer.count)
        }
    }

    public static func checksum(_ bytes: [UInt8], continuing crc: UInt32 = 0) -> UInt32 {
        unsafe checksum(bytes.span.bytes, continuing: crc)
    }
}

/* What Glibc's module map hides from Swift: epoll, eventfd, signalfd, the kernel's thread id,
 * and the processor's CRC-32C instruction. */
#ifndef KITH_CLINUX_H
#define KITH_CLINUX_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli, RFC 3720) of `count` bytes, continuing from `crc` (0 to begin).
 * Uses SSE4.2 where the processor has it, tables otherwise. */
uint32_t kith_crc32c(uint32_t crc, const void *bytes, size_t count);

#endif

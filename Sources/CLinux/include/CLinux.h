/* What Glibc's module map hides from Swift: epoll, eventfd, accept4, the kernel's thread id, a signal
 * handler, and the processor's CRC-32C instruction. */
#ifndef KITH_CLINUX_H
#define KITH_CLINUX_H

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

/* CRC-32C (Castagnoli, RFC 3720) of `count` bytes, continuing from `crc` (0 to begin).
 * Uses SSE4.2 where the processor has it, tables otherwise. */
uint32_t kith_crc32c(uint32_t crc, const void *bytes, size_t count);

/* The kernel's id of the calling thread; never 0. Opaque on purpose: `pthread_self` is declared
 * const, so the optimiser keeps its value across an `await` that changed thread. */
int64_t kith_thread_id(void);

/* Gives the calling thread a name of at most 15 bytes, for debuggers and `top`. */
void kith_name_thread(const char *name);

/* How many processors this process may run on; at least 1. */
int kith_processor_count(void);

/* `accept4`, for a non-blocking descriptor that no child process inherits; -1 and `errno`. */
int kith_accept(int listener, struct sockaddr *peer, socklen_t *length);

/* From now on SIGTERM and SIGINT, and SIGHUP where `hang_up` is not 0, send their number as one byte
 * to `socket` (non-blocking, from whichever thread the signal arrives on). SIGINT and SIGHUP stay ignored
 * where they were ignored. The calling thread takes them from here on: whoever started the process may
 * have blocked them, and a process inherits that. */
void kith_forward_stop_signals(int socket, int hang_up);

/* Gives the signals that are forwarded their default meaning again. */
void kith_restore_stop_signals(void);

/* Has the kernel kill this process (SIGKILL) when the thread that started it ends. The calling thread
 * must live as long as the process. 0, or -1 where that cannot be done or process `parent` has ended
 * already: then nothing will come. */
int kith_end_with_parent(int parent);

/* Copies the first bytes that wait in a pipe, as many as `count`, which is not above a pipe's buffer, to
 * `bytes`, and leaves them there. Waits for the first. How many, -1 where `descriptor` is no pipe. */
long kith_peek_pipe(int descriptor, void *bytes, long count);

/* Opens those of the descriptors 0, 1 and 2 that whoever started the process left closed, so that no file
 * or socket of its own gets one of these numbers: 0 reads as an empty file, a write to 1 or 2 fails
 * with EBADF. 0, or -1 and `errno` where that cannot be done. */
int kith_open_standard_descriptors(void);

/* Takes `size` bytes of address space as the process's reserve; 0 where there is one already or it could be
 * taken, else -1. `MemoryReserve` in KithBytes says what it is for. */
int kith_hold_reserve(size_t size);

/* Gives the reserve back to the system; 0, or -1 where there is none. From any thread. */
int kith_spend_reserve(void);

/* Whether there was a reserve and is none. From any thread. */
int kith_reserve_is_spent(void);

/* Whether the system gives `size` bytes of address space now. Asked only where the process or the system
 * has a limit of it: else there is always more of it than memory. From any thread. */
int kith_has_room(size_t size);

/* Bytes that were asked for last; 0 where there never was a reserve. */
size_t kith_reserve_size(void);

/* The board of the calling thread, on which a simulated world counts the branches it comes to
 * (`MarkBoard` in KithBytes), or null: always null outside simulations. */
extern _Thread_local uint32_t *kith_board __attribute__((tls_model("initial-exec")));

/* Counts one at that place of the thread's board, if it has one: a load and a branch. */
static inline void kith_mark(uint32_t place) {
    uint32_t *board = kith_board;
    if (__builtin_expect(board != NULL, 0)) board[place]++;
}

/* What that place of the thread's board has; 0 without a board. */
static inline uint32_t kith_marked(uint32_t place) {
    uint32_t *board = kith_board;
    return __builtin_expect(board != NULL, 0) ? board[place] : 0;
}

/* Gives the calling thread a board, or takes it away; returns the one it had. */
uint32_t *kith_exchange_board(uint32_t *board);

#endif

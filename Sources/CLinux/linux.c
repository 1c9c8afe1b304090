#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int64_t kith_thread_id(void) {
    static _Thread_local int64_t id;
    if (id == 0) id = (int64_t)syscall(SYS_gettid);
    return id;
}

void kith_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int kith_processor_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int kith_accept(int listener, struct sockaddr *peer, socklen_t *length) {
    return accept4(listener, peer, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static volatile sig_atomic_t stop_socket = -1;

/* Only async-signal-safe calls here. */
static void forward(int number) {
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    (void)!send(stop_socket, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    errno = saved;
}

static void forward_unless_ignored(int number, const struct sigaction *action) {
    struct sigaction old;
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(number, action, NULL);
}

void kith_forward_stop_signals(int socket, int hang_up) {
    stop_socket = socket;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = forward;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    forward_unless_ignored(SIGINT, &action);
    if (hang_up) forward_unless_ignored(SIGHUP, &action);
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    if (hang_up) sigaddset(&taken, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &taken, NULL);
}

void kith_restore_stop_signals(void) {
    struct sigaction old;
    int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < 3; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == forward)
            signal(numbers[i], SIG_DFL);
    stop_socket = -1;
}

int kith_end_with_parent(int parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return -1;
    /* One that ended before this has sent nothing. */
    return getppid() == parent ? 0 : -1;
}

int kith_open_standard_descriptors(void) {
    for (int number = 0; number < 3; number++) {
        if (fcntl(number, F_GETFD) != -1 || errno != EBADF) continue;
        /* The lowest number that is free is this one. */
        if (open("/dev/null", number == 2 ? O_WRONLY : O_RDONLY) != number) return -1;
    }
    return 0;
}

static _Atomic(void *) reserve;
static _Atomic(size_t) reserve_size;

int kith_hold_reserve(size_t size) {
    if (reserve != NULL) return 0;
    reserve_size = size;
    void *block = malloc(size);
    if (block == NULL) return -1;
    /* Two that come at once: the second gives its own back. */
    void *none = NULL;
    if (!atomic_compare_exchange_strong(&reserve, &none, block)) free(block);
    return 0;
}

int kith_spend_reserve(void) {
    void *block = atomic_exchange(&reserve, NULL);
    if (block == NULL) return -1;
    free(block);
    return 0;
}

int kith_reserve_is_spent(void) { return reserve_size > 0 && reserve == NULL; }

size_t kith_reserve_size(void) { return reserve_size; }

static int is_limited(int resource) {
    struct rlimit limit;
    return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

int kith_has_room(size_t size) {
    if (!is_limited(RLIMIT_AS) && !is_limited(RLIMIT_DATA)) return 1;
    /* Not malloc: what it learns from large blocks changes where later ones come from. */
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) return 0;
    munmap(block, size);
    return 1;
}

_Thread_local uint32_t *kith_board;

uint32_t *kith_exchange_board(uint32_t *board) {
    uint32_t *before = kith_board;
    kith_board = board;
    return before;
}

long kith_peek_pipe(int descriptor, void *bytes, long count) {
    int copy[2];
    if (pipe2(copy, O_CLOEXEC) != 0) return -1;
    long copied = tee(descriptor, copy[1], (size_t)count, 0);
    if (copied > 0) copied = read(copy[0], bytes, (size_t)copied);
    close(copy[0]);
    close(copy[1]);
    return copied;
}

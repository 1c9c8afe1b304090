#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
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

void kith_forward_stop_signals(int socket) {
    stop_socket = socket;
    struct sigaction action, old;
    memset(&action, 0, sizeof action);
    action.sa_handler = forward;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(SIGINT, &action, NULL);
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    sigaddset(&both, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &both, NULL);
}

void kith_restore_stop_signals(void) {
    struct sigaction old;
    int numbers[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == forward)
            signal(numbers[i], SIG_DFL);
    stop_socket = -1;
}

_Thread_local uint32_t *kith_board;

uint32_t *kith_exchange_board(uint32_t *board) {
    uint32_t *before = kith_board;
    kith_board = board;
    return before;
}

#include "cli/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/buffer.h"

struct mos_interrupt {
    mos_rpc_canceller *canceller;
    pthread_t thread;
    // The thread's end is asked for.
    int stop;
};

// Readable once a signal has come. A handler knows nothing but what is global. Never closed: a handler may still be writing to it.
static atomic_int signalled = -1;

static const int signals[] = {SIGINT, SIGTERM};

static void add_one(int descriptor) {
    uint64_t one = 1;
    ssize_t written = write(descriptor, &one, sizeof(one));
    (void)written; // fails only where the count is full, and then it is readable as wanted
}

static void on_signal(int number) {
    (void)number;
    int before = errno;
    add_one(signalled);
    errno = before;
}

static void *run(void *argument) {
    const mos_interrupt *interrupt = argument;
    struct pollfd wanted[2] = {{.fd = signalled, .events = POLLIN}, {.fd = interrupt->stop, .events = POLLIN}};
    while (poll(wanted, 2, -1) < 0 && errno == EINTR) {
    }
    if (wanted[0].revents) {
        mos_rpc_canceller_cancel(interrupt->canceller);
    }
    return NULL;
}

static int make_event(void) {
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0) {
        abort(); // no descriptors are left to a program that has opened a handful
    }
    return descriptor;
}

mos_interrupt *mos_interrupt_begin(void) {
    mos_interrupt *interrupt = mos_calloc(1, sizeof(*interrupt));
    interrupt->canceller = mos_rpc_canceller_create();
    interrupt->stop = make_event();
    if (signalled < 0) {
        signalled = make_event();
    }
    // What came in an earlier watch is over.
    uint64_t earlier;
    ssize_t drained = read(signalled, &earlier, sizeof(earlier));
    (void)drained;
    if (pthread_create(&interrupt->thread, NULL, run, interrupt) != 0) {
        abort();
    }
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
        sigaction(signals[i], &action, NULL);
    }
    return interrupt;
}

mos_rpc_canceller *mos_interrupt_canceller(const mos_interrupt *interrupt) {
    return interrupt->canceller;
}

bool mos_interrupt_wait(const mos_interrupt *interrupt, int timeout_ms) {
    (void)interrupt;
    struct pollfd wanted = {.fd = signalled, .events = POLLIN};
    return poll(&wanted, 1, timeout_ms) != 0;
}

bool mos_interrupt_happened(const mos_interrupt *interrupt) {
    return mos_interrupt_wait(interrupt, 0);
}

void mos_interrupt_end(mos_interrupt *interrupt) {
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        signal(signals[i], SIG_DFL);
    }
    add_one(interrupt->stop);
    pthread_join(interrupt->thread, NULL);
    close(interrupt->stop);
    mos_rpc_canceller_destroy(interrupt->canceller);
    free(interrupt);
}

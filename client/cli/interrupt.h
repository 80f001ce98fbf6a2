// Ctrl-C while a command waits: ends the waiting, not the program. One at a time in a program.
#ifndef MOS_CLIENT_CLI_INTERRUPT_H
#define MOS_CLIENT_CLI_INTERRUPT_H

#include <stdbool.h>

#include "lib/rpc.h"

typedef struct mos_interrupt mos_interrupt;

// From now on SIGINT and SIGTERM cancel the calls that carry the canceller. A second signal ends the program as ever.
mos_interrupt *mos_interrupt_begin(void);
// Borrowed.
mos_rpc_canceller *mos_interrupt_canceller(const mos_interrupt *interrupt);
bool mos_interrupt_happened(const mos_interrupt *interrupt);
// Waits as long, or until it happens. True: it has happened.
bool mos_interrupt_wait(const mos_interrupt *interrupt, int timeout_ms);
// Signals end the program again. After the last call with the canceller.
void mos_interrupt_end(mos_interrupt *interrupt);

#endif

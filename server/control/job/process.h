// One engine process: started beside the server with a socket to it, told its request, read until its result, and waited for.
//
// Its database passwords come over the socket only; of the environment it gets what logging and locale need. It inherits no descriptor
// but its socket (3) and the lifeline (4), runs in a process group of its own, and ends itself when the socket does.
#ifndef MOS_CONTROL_JOB_PROCESS_H
#define MOS_CONTROL_JOB_PROCESS_H

#include <stdbool.h>

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/status.h"

// Whoever wraps and unwraps keys for engines that ask for it: appends to `out`, which is wiped afterwards. Called on the thread that
// receives; may block.
struct mos_key_keeper {
    mos_status (*transform)(void *context, const char *reference, bool unwrap, const uint8_t *data, size_t size_bytes,
                            struct mos_buffer *out, struct mos_error *error);
    void *context;
};

// Where the engine is and what every request tells it. The texts must outlive all that is started with them.
struct mos_engine {
    // The program.
    const char *path;
    const char *repository;
    const char *keyring;
    const char *scratch;
    // A descriptor that every engine keeps open as long as it lives, by which a later server sees that none is left; -1: none.
    int lifeline;
    // How long an engine may say nothing in a short conversation (mos_engine_ask) before it is given up; 0: a minute.
    int answer_ms;
    // Of a sealed keyring; NULL: it lies open.
    const char *passphrase;
    // What new key versions refer to; NULL: they are local.
    const char *key_reference;
    // NULL: there is none, and what asks for it fails.
    const struct mos_key_keeper *keeper;
};

// A capability that the service manager gave this program for its engines, to read what any user may own, is laid aside here and still
// passed on to them: a fault in this program alone then reads no more than its own user may. Does nothing for root, and where there is
// none. Before any thread is started.
mos_status mos_engine_reserve_privileges(struct mos_error *error);

typedef struct mos_process mos_process;

// Starts the engine. On MOS_OK *out is the caller's, to be ended.
mos_status mos_process_start(mos_process **out, const struct mos_engine *engine, struct mos_error *error);
// Gives it the request, whose places are filled in from `engine`. Blocks until it is taken: for ever, where the engine takes nothing, until
// another thread stops or kills the process. MOS_UNAVAILABLE when the engine has closed its side.
mos_status mos_process_tell(mos_process *process, const struct mos_engine *engine, const Mosaajii__Engine__V1__Request *request,
                            struct mos_error *error);
// Blocks for the next event, which is made in the arena. *out is NULL when the time is over first (-1: no limit), or when `cancel_fd` (-1:
// none) becomes readable. Requests for keys are answered on the way and never seen. MOS_UNAVAILABLE when the engine has closed its side,
// MOS_CORRUPT when it talks nonsense.
mos_status mos_process_receive(mos_process *process, int timeout_ms, int cancel_fd, mos_arena *arena, Mosaajii__Engine__V1__Event **out,
                               struct mos_error *error);
// Asks the process to stop; does not block. Any thread, while the process has not been ended.
void mos_process_stop(mos_process *process);
// Kills it unless it ends within the grace time; blocks so long. Any thread, while the process has not been ended.
void mos_process_kill(mos_process *process, int grace_ms);
// Closes the socket, waits for the process (and kills it when it does not go), and frees. `reason` says in a few words how it ended:
// "ended with exit code 1", "was killed by signal 9".
#define MOS_PROCESS_REASON_BYTES 64
void mos_process_end(mos_process *process, char reason[MOS_PROCESS_REASON_BYTES]);

// As mos_engine_ask, but long: events are gone after each call of `each`, whose failure ends it and is returned.
mos_status mos_engine_stream(const struct mos_engine *engine, const Mosaajii__Engine__V1__Request *request, int cancel_fd,
                             mos_status (*each)(const Mosaajii__Engine__V1__Event *event, void *argument, struct mos_error *error),
                             void *argument, struct mos_error *error);

// A whole short conversation: start, each event that is not the result to `each` (may be NULL; false stops early), the result into the
// arena. Where the result is not OK, returns its status and message. MOS_CANCELLED when cancel_fd became readable, MOS_UNAVAILABLE when
// the engine says nothing for too long.
mos_status mos_engine_ask(const struct mos_engine *engine, const Mosaajii__Engine__V1__Request *request, int cancel_fd, mos_arena *arena,
                          bool (*each)(const Mosaajii__Engine__V1__Event *event, void *argument), void *argument,
                          const Mosaajii__Engine__V1__Result **out, struct mos_error *error);

#endif

// The catalog: what the server knows of backups, jobs, their events, and tokens, in one SQLite file. A cache of facts that also stand in
// the repository, but for tokens and history.
//
// All writes go through one thread, which runs them in batches, one transaction a batch, and answers after the commit has reached the
// disk. Readers have connections of their own and never wait for writers. Rows are plain structs; their texts live in the arena that the
// read was given, are never NULL, and times are 0 where there is none.
//
// Thread safe, but a session belongs to one thread at a time.
#ifndef MOS_CONTROL_CATALOG_CATALOG_H
#define MOS_CONTROL_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/status.h"

typedef struct mos_catalog mos_catalog;
// One connection inside one transaction: what all functions on rows take.
typedef struct mos_catalog_session mos_catalog_session;

// Opens the file or makes it (mode 0600), and brings its schema up to date. MOS_CORRUPT where it is damaged or another program's,
// MOS_FAILED_PRECONDITION where a newer version of this program wrote it. On MOS_OK *out is the caller's, to be closed.
mos_status mos_catalog_open(mos_catalog **out, const char *path, struct mos_error *error);
// Writes that were given are finished first. No session may be open and nobody may be waiting. NULL is fine.
void mos_catalog_close(mos_catalog *catalog);

// A consistent view of what was committed up to now. Blocks while too many are being read at a time. Keep it short; end it on the same
// thread.
mos_status mos_catalog_read_begin(mos_catalog *catalog, mos_catalog_session **out, struct mos_error *error);
// The same for those who are woken all at once, as watchers are when what they watch ends: they take turns, two at a time, so that a call
// that comes alone waits behind two of them and not behind a hundred.
mos_status mos_catalog_read_begin_in_crowd(mos_catalog *catalog, mos_catalog_session **out, struct mos_error *error);
// NULL is fine.
void mos_catalog_read_end(mos_catalog_session *session);

static inline void mos_catalog_read_cleanup(mos_catalog_session **session) {
    mos_catalog_read_end(*session);
}
#define MOS_CLEANUP_READ __attribute__((cleanup(mos_catalog_read_cleanup)))

// Runs `change` on the writer's thread: all it does is committed together, or nothing where it fails. It may read as well, and sees what
// earlier writes did. It must not block, nor call mos_catalog_write. Blocks until the commit is on disk, or failed.
typedef mos_status (*mos_catalog_change)(mos_catalog_session *session, void *argument, struct mos_error *error);
mos_status mos_catalog_write(mos_catalog *catalog, mos_catalog_change change, void *argument, struct mos_error *error);
// As above, but does not wait: `argument` (size_bytes of it) is copied, and a failure is logged only. For what may be lost.
void mos_catalog_write_later(mos_catalog *catalog, mos_catalog_change change, const void *argument, size_t size_bytes);

// Facts about the catalog as a whole, by name. Getting a name that was never put gives "".
mos_status mos_catalog_get_fact(mos_catalog_session *session, const char *name, mos_arena *arena, const char **out,
                                struct mos_error *error);
mos_status mos_catalog_put_fact(mos_catalog_session *session, const char *name, const char *value, struct mos_error *error);

// As part of a change: it is of what stands nowhere but in the catalog (plans and what became of their runs, tokens, locks, schedules,
// policies), so that copies of the catalog are out of date. Wakes those who wait for events.
mos_status mos_catalog_note_change(mos_catalog_session *session, struct mos_error *error);
// How many such changes there were.
mos_status mos_catalog_count_changes(mos_catalog_session *session, int64_t *out, struct mos_error *error);

// A page of a list, newest first.
struct mos_page {
    // 0: 50. At most 1000.
    int size;
    // What the page before gave as its next token, or "" or NULL. It is bound to the list and its filters: MOS_INVALID_ARGUMENT, field
    // pageToken, for one that was not given by the same.
    const char *token;
};

// Bytes that the catalog keeps and does not look into.
struct mos_blob {
    const uint8_t *data;
    size_t size_bytes;
};

#endif

// A catalog, a queue and a folder with the scripts of the engine beside it (see engine.c).
#ifndef MOS_TESTS_UNIT_CONTROL_JOB_FIXTURE_H
#define MOS_TESTS_UNIT_CONTROL_JOB_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "control/catalog/backups.h"
#include "control/catalog/catalog.h"
#include "control/catalog/jobs.h"
#include "control/job/queue.h"
#include "control/job/record.h"
#include "unit/test.h"

struct jobs_fixture {
    const char *folder;
    mos_arena *arena;
    struct mos_engine engine;
    mos_catalog *catalog;
    mos_queue *queue;
    struct mos_error error;
};

// The queue is not started yet.
static inline void fixture_create(struct jobs_fixture *fixture, int max_jobs) {
    *fixture = (struct jobs_fixture){.folder = mos_test_directory(), .arena = mos_arena_create(0)};
    fixture->engine = (struct mos_engine){
        .path = MOS_TEST_ENGINE, .repository = fixture->folder, .keyring = "/keys/keyring", .scratch = fixture->folder, .lifeline = -1};
    MOS_ASSERT_OK(mos_catalog_open(&fixture->catalog, mos_arena_printf(fixture->arena, "%s/catalog.db", fixture->folder), &fixture->error),
                  &fixture->error);
    fixture->queue = mos_queue_create(fixture->catalog, &fixture->engine, max_jobs);
}

static inline void fixture_start(struct jobs_fixture *fixture, int max_jobs) {
    fixture_create(fixture, max_jobs);
    MOS_ASSERT_OK(mos_queue_start(fixture->queue, &fixture->error), &fixture->error);
}

static inline void fixture_end(struct jobs_fixture *fixture) {
    mos_queue_stop(fixture->queue);
    mos_queue_destroy(fixture->queue);
    mos_catalog_close(fixture->catalog);
    mos_arena_destroy(fixture->arena);
}

static inline const char *fixture_path(struct jobs_fixture *fixture, const char *name) {
    return mos_arena_printf(fixture->arena, "%s/%s", fixture->folder, name);
}

// Before the engine that is to follow it starts.
static inline void fixture_script(struct jobs_fixture *fixture, const char *operation, const char *text) {
    FILE *file = fopen(fixture_path(fixture, operation), "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    CU_ASSERT_EQUAL_FATAL(fclose(file), 0);
}

static inline void fixture_make_gate(struct jobs_fixture *fixture, const char *name) {
    CU_ASSERT_EQUAL_FATAL(mkfifo(fixture_path(fixture, name), 0600), 0);
}
// Blocks until an engine stands at the gate. To be closed, which lets it through.
static inline int fixture_meet(struct jobs_fixture *fixture, const char *name) {
    int descriptor = open(fixture_path(fixture, name), O_WRONLY | O_CLOEXEC);
    CU_ASSERT_FATAL(descriptor >= 0);
    return descriptor;
}

// How many engines were asked for an operation so far; "" counts all.
static inline int fixture_calls(struct jobs_fixture *fixture, const char *operation) {
    FILE *file = fopen(fixture_path(fixture, "calls"), "re");
    char line[256];
    int count = 0;
    while (file && fgets(line, sizeof(line), file)) {
        size_t length = strlen(operation);
        count += length == 0 || (strncmp(line, operation, length) == 0 && (line[length] == ' ' || line[length] == '\n'));
    }
    if (file) {
        fclose(file);
    }
    return count;
}

static inline void fixture_order(struct jobs_fixture *fixture, bool integrity_check, char id[MOS_ID_TEXT_BYTES]) {
    static char *const paths[] = {(char *)"/srv"};
    const struct mos_backup_order order = {.name = "nightly",
                                           .type = MOS_BACKUP_FILES,
                                           .retention_days = 7,
                                           .integrity_check = integrity_check,
                                           .created_by = "tester",
                                           .paths = paths,
                                           .path_count = 1};
    MOS_ASSERT_OK(mos_queue_backup(fixture->queue, &order, id, &fixture->error), &fixture->error);
}

static inline struct mos_backup fixture_backup(struct jobs_fixture *fixture, const char *id) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    struct mos_backup backup = {0};
    MOS_ASSERT_OK(mos_catalog_read_begin(fixture->catalog, &session, &fixture->error), &fixture->error);
    mos_status status = mos_catalog_get_backup(session, id, fixture->arena, &backup, &fixture->error);
    CU_ASSERT(status == MOS_OK || status == MOS_NOT_FOUND);
    return backup;
}

// The newest job of a kind of the backup.
static inline struct mos_job fixture_job_of(struct jobs_fixture *fixture, const char *backup_id, enum mos_job_kind kind) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    const struct mos_job_filter filter = {.kind = kind, .backup_id = backup_id};
    const struct mos_page page = {0};
    struct mos_job *jobs;
    size_t count = 0;
    const char *next;
    MOS_ASSERT_OK(mos_catalog_read_begin(fixture->catalog, &session, &fixture->error), &fixture->error);
    MOS_ASSERT_OK(mos_catalog_list_jobs(session, &filter, &page, fixture->arena, &jobs, &count, &next, &fixture->error), &fixture->error);
    return count > 0 ? jobs[0] : (struct mos_job){.id = ""};
}

static inline bool fixture_never(const void *argument) {
    (void)argument;
    return false;
}

static inline struct mos_job fixture_wait(struct jobs_fixture *fixture, const char *job_id) {
    struct mos_job job = {0};
    MOS_ASSERT_OK(mos_queue_wait(fixture->queue, job_id, fixture_never, NULL, fixture->arena, &job, &fixture->error), &fixture->error);
    return job;
}

// A backup as its script makes it, to its end.
static inline struct mos_job fixture_run_backup(struct jobs_fixture *fixture, const char *script, char id[MOS_ID_TEXT_BYTES]) {
    fixture_script(fixture, "backup", script);
    fixture_order(fixture, false, id);
    return fixture_wait(fixture, fixture_job_of(fixture, id, MOS_JOB_BACKUP).id);
}

static inline size_t fixture_events(struct jobs_fixture *fixture, const char *job_id, struct mos_event **out) {
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    size_t count = 0;
    MOS_ASSERT_OK(mos_catalog_read_begin(fixture->catalog, &session, &fixture->error), &fixture->error);
    MOS_ASSERT_OK(mos_catalog_list_events(session, job_id, NULL, 0, 1000, fixture->arena, out, &count, &fixture->error), &fixture->error);
    return count;
}

// Puts rows there as a server leaves them that was killed.
static inline mos_status fixture_put_job(mos_catalog_session *session, void *job, struct mos_error *error) {
    return mos_catalog_put_job(session, job, error);
}
static inline mos_status fixture_put_backup(mos_catalog_session *session, void *backup, struct mos_error *error) {
    return mos_catalog_put_backup(session, backup, error);
}
static inline void fixture_leave(struct jobs_fixture *fixture, const char *job_id, enum mos_job_kind kind, enum mos_job_status status,
                                 const char *backup_id) {
    struct mos_job job = {.id = job_id, .kind = kind, .status = status, .backup_id = backup_id, .created_at_unix_ns = mos_now_unix_ns()};
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, fixture_put_job, &job, &fixture->error), &fixture->error);
}
static inline void fixture_leave_backup(struct jobs_fixture *fixture, const char *id, enum mos_backup_status status, bool committed) {
    struct mos_backup backup = {.id = id,
                                .name = "left",
                                .type = MOS_BACKUP_FILES,
                                .status = status,
                                .created_at_unix_ns = mos_now_unix_ns(),
                                .encrypted_checksum = committed ? "bb" : ""};
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, fixture_put_backup, &backup, &fixture->error), &fixture->error);
}

#endif

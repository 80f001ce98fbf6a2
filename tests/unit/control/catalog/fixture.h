// A catalog in an empty folder.
#ifndef MOS_TESTS_UNIT_CONTROL_CATALOG_FIXTURE_H
#define MOS_TESTS_UNIT_CONTROL_CATALOG_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/id.h"
#include "control/catalog/backups.h"
#include "control/catalog/catalog.h"
#include "control/catalog/jobs.h"
#include "control/catalog/tokens.h"
#include "unit/test.h"

struct catalog_fixture {
    char path[4096];
    mos_arena *arena;
    mos_catalog *catalog;
    struct mos_error error;
};

static inline void fixture_open(struct catalog_fixture *fixture) {
    *fixture = (struct catalog_fixture){.arena = mos_arena_create(0)};
    snprintf(fixture->path, sizeof(fixture->path), "%s/catalog.db", mos_test_directory());
    MOS_ASSERT_OK(mos_catalog_open(&fixture->catalog, fixture->path, &fixture->error), &fixture->error);
}

static inline void fixture_close(struct catalog_fixture *fixture) {
    mos_catalog_close(fixture->catalog);
    mos_arena_destroy(fixture->arena);
}

static inline mos_catalog_session *fixture_read(struct catalog_fixture *fixture) {
    mos_catalog_session *session = NULL;
    MOS_ASSERT_OK(mos_catalog_read_begin(fixture->catalog, &session, &fixture->error), &fixture->error);
    return session;
}

static inline mos_status fixture_put_backup_now(mos_catalog_session *session, void *backup, struct mos_error *error) {
    return mos_catalog_put_backup(session, backup, error);
}
static inline void fixture_put_backup(struct catalog_fixture *fixture, struct mos_backup backup) {
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, fixture_put_backup_now, &backup, &fixture->error), &fixture->error);
}
static inline mos_status fixture_put_job_now(mos_catalog_session *session, void *job, struct mos_error *error) {
    return mos_catalog_put_job(session, job, error);
}
static inline void fixture_put_job(struct catalog_fixture *fixture, struct mos_job job) {
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, fixture_put_job_now, &job, &fixture->error), &fixture->error);
}
static inline mos_status fixture_add_event_now(mos_catalog_session *session, void *event, struct mos_error *error) {
    return mos_catalog_add_event(session, event, error);
}
static inline int64_t fixture_add_event(struct catalog_fixture *fixture, struct mos_event event) {
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog, fixture_add_event_now, &event, &fixture->error), &fixture->error);
    return event.sequence;
}
static inline mos_status fixture_put_token_now(mos_catalog_session *session, void *token, struct mos_error *error) {
    return mos_catalog_put_token(session, token, error);
}

// A valid id that grows with the number.
static inline const char *fixture_id(struct catalog_fixture *fixture, int number) {
    return mos_arena_printf(fixture->arena, "%08x-0000-4000-8000-000000000000", (unsigned)number);
}

#endif

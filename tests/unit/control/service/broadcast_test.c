// WatchJob and WatchBackup as clients see them: over gRPC, from a catalog into which the test writes.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <mosaajii/backup/v1/backup.grpc-client.h>

#include "lib/rpc.h"
#include "unit/control/catalog/fixture.h"

#include "control/service/internal.h"

static const char backup_id[] = "0000000b-0000-4000-8000-000000000000";
static const char job_id[] = "00000001-0000-4000-8000-000000000000";
static const char second_job_id[] = "00000002-0000-4000-8000-000000000000";

enum { MANY = 4096 };

struct fixture {
    struct catalog_fixture catalog;
    struct mos_services services;
    mos_rpc_server *server;
    char address[64];
    // Of the events of the first job and its backup, in order.
    int64_t sequences[MANY];
    int count;
};

static void start(struct fixture *fixture) {
    fixture->count = 0;
    fixture_open(&fixture->catalog);
    struct mos_error *error = &fixture->catalog.error;
    mos_catalog *catalog = fixture->catalog.catalog;
    fixture->services = (struct mos_services){.catalog = catalog};
    MOS_ASSERT_OK(mos_broadcast_start(&fixture->services.broadcast, catalog, error), error);
    MOS_ASSERT_OK(mos_rpc_server_create(&fixture->server, &(struct mos_rpc_options){.listen = "127.0.0.1:0"}, error), error);
    MOS_ASSERT_OK(mos_services_add(fixture->server, &fixture->services, error), error);
    MOS_ASSERT_OK(mos_rpc_server_start(fixture->server, error), error);
    snprintf(fixture->address, sizeof(fixture->address), "127.0.0.1:%d", mos_rpc_server_port(fixture->server));
    fixture_put_backup(&fixture->catalog, (struct mos_backup){.id = backup_id, .status = MOS_BACKUP_IN_PROGRESS});
    fixture_put_job(&fixture->catalog, (struct mos_job){.id = job_id, .backup_id = backup_id, .status = MOS_JOB_RUNNING});
}

static void stop(struct fixture *fixture) {
    mos_rpc_server_destroy(fixture->server);
    mos_broadcast_stop(fixture->services.broadcast);
    fixture_close(&fixture->catalog);
}

// ---- What happens ----

struct change {
    struct fixture *fixture;
    const char *job_id;
    int events;
    const char *message;
    bool ends;
};

static mos_status write_events(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct change *change = argument;
    struct fixture *fixture = change->fixture;
    mos_status status = MOS_OK;
    for (int i = 0; i < change->events && status == MOS_OK; i++) {
        bool last = change->ends && i == change->events - 1;
        struct mos_event event = {.kind = last ? MOS_EVENT_FINISHED : MOS_EVENT_PROGRESS,
                                  .job_id = change->job_id,
                                  .job_status = last ? MOS_JOB_SUCCEEDED : MOS_JOB_RUNNING,
                                  .backup_id = backup_id,
                                  .message = change->message};
        status = mos_catalog_add_event(session, &event, error);
        fixture->sequences[fixture->count++] = event.sequence;
    }
    // What is not of jobs takes numbers too.
    int64_t taken;
    if (status == MOS_OK && change->events % 2 == 0) {
        status = mos_catalog_take_sequence(session, &taken, error);
    }
    if (status == MOS_OK && change->ends) {
        struct mos_job job = {.id = change->job_id, .backup_id = backup_id, .status = MOS_JOB_SUCCEEDED};
        status = mos_catalog_put_job(session, &job, error);
    }
    return status;
}

// One commit.
static void add(struct fixture *fixture, const char *job, int events, const char *message, bool ends) {
    struct change change = {fixture, job, events, message, ends};
    struct mos_error *error = &fixture->catalog.error;
    MOS_ASSERT_OK(mos_catalog_write(fixture->catalog.catalog, write_events, &change, error), error);
}

// ---- Who watches ----

struct watcher {
    struct fixture *fixture;
    bool whole_backup;
    int64_t after;
    // Opens its stream when the catalog has come so far.
    int64_t from;
    mos_rpc_channel *channel;
    mos_rpc_stream *stream;
    int64_t seen[MANY];
    int count;
    mos_status status;
    struct mos_error error;
    pthread_t thread;
};

static struct watcher *make_watcher(struct fixture *fixture, bool whole_backup, int64_t after) {
    struct watcher *watcher = mos_calloc(1, sizeof(*watcher));
    watcher->fixture = fixture;
    watcher->whole_backup = whole_backup;
    watcher->after = after;
    return watcher;
}

// Over a connection of its own, so that none waits behind what another does not read.
static mos_status open_stream(struct watcher *watcher) {
    mos_status status =
        mos_rpc_channel_create(&watcher->channel, &(struct mos_rpc_channel_options){.address = watcher->fixture->address}, &watcher->error);
    if (status != MOS_OK) {
        return status;
    }
    if (watcher->whole_backup) {
        Mosaajii__Backup__V1__WatchBackupRequest request = MOSAAJII__BACKUP__V1__WATCH_BACKUP_REQUEST__INIT;
        request.backup_id = (char *)backup_id;
        request.after_sequence = watcher->after;
        return mosaajii_backup_v1_backup_service_client_watch_backup_open(watcher->channel, NULL, &request, &watcher->stream,
                                                                          &watcher->error);
    }
    Mosaajii__Backup__V1__WatchJobRequest request = MOSAAJII__BACKUP__V1__WATCH_JOB_REQUEST__INIT;
    request.job_id = (char *)job_id;
    request.after_sequence = watcher->after;
    return mosaajii_backup_v1_backup_service_client_watch_job_open(watcher->channel, NULL, &request, &watcher->stream, &watcher->error);
}

// false: the stream has ended.
static bool receive(struct watcher *watcher) {
    const Mosaajii__Backup__V1__JobEvent *event;
    watcher->status = mosaajii_backup_v1_backup_service_client_watch_job_receive(watcher->stream, &event, &watcher->error);
    if (watcher->status != MOS_OK || !event) {
        return false;
    }
    watcher->seen[watcher->count++] = event->sequence;
    return watcher->count < MANY;
}

static void free_watcher(struct watcher *watcher) {
    mos_rpc_stream_finish(watcher->stream, NULL);
    mos_rpc_channel_destroy(watcher->channel);
    free(watcher);
}

static bool never(const void *nothing) {
    (void)nothing;
    return false;
}

static void *watch_to_the_end(void *argument) {
    struct watcher *watcher = argument;
    mos_catalog_wait_events(watcher->fixture->catalog.catalog, watcher->from, never, NULL);
    watcher->status = open_stream(watcher);
    while (watcher->status == MOS_OK && receive(watcher)) {
    }
    return NULL;
}

// All that the fixture has with a number above what the watcher named, in order, each once.
static void assert_saw_all(const struct watcher *watcher) {
    const struct fixture *fixture = watcher->fixture;
    int first = 0;
    while (first < fixture->count && fixture->sequences[first] <= watcher->after) {
        first++;
    }
    CU_ASSERT_EQUAL(watcher->count, fixture->count - first);
    int same = 0;
    while (same < watcher->count && first + same < fixture->count && watcher->seen[same] == fixture->sequences[first + same]) {
        same++;
    }
    CU_ASSERT_EQUAL(same, watcher->count);
}

// ---- Tests ----

enum { WATCHERS = 50 };

MOS_TEST(whoever_joins_whenever_sees_each_event_once_and_in_order) {
    static struct fixture fixture;
    start(&fixture);
    struct watcher *watchers[WATCHERS];
    unsigned seed = 4711;
    for (int i = 0; i < WATCHERS; i++) {
        watchers[i] = make_watcher(&fixture, i % 2, rand_r(&seed) % 4 ? 0 : rand_r(&seed) % 1000);
        watchers[i]->from = rand_r(&seed) % 800;
        pthread_create(&watchers[i]->thread, NULL, watch_to_the_end, watchers[i]);
    }
    while (fixture.count < 1000) {
        add(&fixture, job_id, rand_r(&seed) % 8 ? 1 : 1 + rand_r(&seed) % 20, "", false);
    }
    add(&fixture, job_id, 1, "", true);
    for (int i = 0; i < WATCHERS; i++) {
        pthread_join(watchers[i]->thread, NULL);
        CU_ASSERT_EQUAL(watchers[i]->status, MOS_OK);
        assert_saw_all(watchers[i]);
        free_watcher(watchers[i]);
    }
    stop(&fixture);
}

enum { FAST = 4, LARGE = 60, LARGE_BYTES = 512 << 10 };

MOS_TEST(a_slow_reader_loses_nothing_and_delays_nobody) {
    static struct fixture fixture;
    start(&fixture);
    char *large = mos_calloc(1, LARGE_BYTES + 1);
    memset(large, 'x', LARGE_BYTES);
    struct watcher *slow = make_watcher(&fixture, true, 0);
    MOS_ASSERT_OK(open_stream(slow), &slow->error);
    add(&fixture, job_id, 1, "", false);
    CU_ASSERT(receive(slow));
    struct watcher *fast[FAST];
    for (int i = 0; i < FAST; i++) {
        fast[i] = make_watcher(&fixture, i % 2, 0);
        MOS_ASSERT_OK(open_stream(fast[i]), &fast[i]->error);
        CU_ASSERT(receive(fast[i]));
    }
    // Thirty megabytes: far more than is on the way to one who does not read.
    for (int n = 0; n < LARGE; n++) {
        add(&fixture, job_id, 1, large, false);
        for (int i = 0; i < FAST; i++) {
            CU_ASSERT(receive(fast[i]));
        }
    }
    add(&fixture, job_id, 1, "", true);
    for (int i = 0; i < FAST; i++) {
        CU_ASSERT(receive(fast[i]));
        CU_ASSERT(!receive(fast[i]));
        CU_ASSERT_EQUAL(fast[i]->status, MOS_OK);
        assert_saw_all(fast[i]);
        free_watcher(fast[i]);
    }
    CU_ASSERT(mos_rpc_server_live_calls(fixture.server) >= 1);
    while (receive(slow)) {
    }
    CU_ASSERT_EQUAL(slow->status, MOS_OK);
    assert_saw_all(slow);
    free_watcher(slow);
    free(large);
    stop(&fixture);
}

MOS_TEST(watchers_that_go_leave_the_others_alone) {
    static struct fixture fixture;
    start(&fixture);
    struct watcher *stays = make_watcher(&fixture, true, 0);
    MOS_ASSERT_OK(open_stream(stays), &stays->error);
    for (int round = 0; round < 20; round++) {
        struct watcher *leave[8];
        for (int i = 0; i < 8; i++) {
            leave[i] = make_watcher(&fixture, i % 2, fixture.count > 0 ? fixture.sequences[fixture.count - 1] : 0);
            MOS_ASSERT_OK(open_stream(leave[i]), &leave[i]->error);
        }
        add(&fixture, job_id, 1, "", false);
        for (int i = 0; i < 8; i++) {
            CU_ASSERT(receive(leave[i]));
        }
        // While the next is handed out.
        mos_rpc_stream_cancel(leave[0]->stream);
        add(&fixture, job_id, 2, "", false);
        for (int i = 0; i < 8; i++) {
            free_watcher(leave[i]);
        }
        while (stays->count < fixture.count) {
            CU_ASSERT_FATAL(receive(stays));
        }
    }
    add(&fixture, job_id, 1, "", true);
    CU_ASSERT(receive(stays));
    CU_ASSERT(!receive(stays));
    CU_ASSERT_EQUAL(stays->status, MOS_OK);
    assert_saw_all(stays);
    free_watcher(stays);
    stop(&fixture);
}

MOS_TEST(a_server_that_stops_tells_those_who_watch) {
    static struct fixture fixture;
    start(&fixture);
    struct watcher *watchers[WATCHERS];
    for (int i = 0; i < WATCHERS; i++) {
        watchers[i] = make_watcher(&fixture, i % 2, 0);
        MOS_ASSERT_OK(open_stream(watchers[i]), &watchers[i]->error);
    }
    add(&fixture, job_id, 1, "", false);
    for (int i = 0; i < WATCHERS; i++) {
        CU_ASSERT(receive(watchers[i]));
    }
    // Some wait for it, for some it is on its way.
    add(&fixture, job_id, 1, "", false);
    mos_rpc_server_stop(fixture.server, 60000);
    for (int i = 0; i < WATCHERS; i++) {
        while (receive(watchers[i])) {
        }
        CU_ASSERT_EQUAL(watchers[i]->status, MOS_UNAVAILABLE);
        CU_ASSERT_STRING_EQUAL(watchers[i]->error.message, "the server is stopping");
        free_watcher(watchers[i]);
    }
    stop(&fixture);
}

MOS_TEST(a_backup_is_watched_until_the_last_of_its_jobs_ends) {
    static struct fixture fixture;
    start(&fixture);
    fixture_put_job(&fixture.catalog, (struct mos_job){.id = second_job_id, .backup_id = backup_id, .status = MOS_JOB_PENDING});
    struct watcher *of_job = make_watcher(&fixture, false, 0), *of_backup = make_watcher(&fixture, true, 0);
    MOS_ASSERT_OK(open_stream(of_job), &of_job->error);
    MOS_ASSERT_OK(open_stream(of_backup), &of_backup->error);
    add(&fixture, job_id, 1, "", false);
    CU_ASSERT(receive(of_job));
    CU_ASSERT(receive(of_backup));
    add(&fixture, job_id, 3, "", true);
    while (receive(of_job)) {
    }
    CU_ASSERT_EQUAL(of_job->status, MOS_OK);
    assert_saw_all(of_job);
    add(&fixture, second_job_id, 1, "", false);
    while (of_backup->count < fixture.count) {
        CU_ASSERT_FATAL(receive(of_backup));
    }
    add(&fixture, second_job_id, 1, "", true);
    CU_ASSERT(receive(of_backup));
    CU_ASSERT(!receive(of_backup));
    CU_ASSERT_EQUAL(of_backup->status, MOS_OK);
    assert_saw_all(of_backup);
    free_watcher(of_job);
    free_watcher(of_backup);
    stop(&fixture);
}

// As after a catalog was rebuilt: numbers begin again, and a client still knows one of before.
MOS_TEST(a_number_that_is_yet_to_come_does_not_keep_the_end_back) {
    static struct fixture fixture;
    start(&fixture);
    struct watcher *future = make_watcher(&fixture, false, 1 << 20), *present = make_watcher(&fixture, false, 0);
    MOS_ASSERT_OK(open_stream(future), &future->error);
    MOS_ASSERT_OK(open_stream(present), &present->error);
    add(&fixture, job_id, 1, "", false);
    CU_ASSERT(receive(present));
    add(&fixture, job_id, 1, "", true);
    while (receive(present)) {
    }
    CU_ASSERT_EQUAL(present->status, MOS_OK);
    assert_saw_all(present);
    CU_ASSERT(!receive(future));
    CU_ASSERT_EQUAL(future->status, MOS_OK);
    assert_saw_all(future);
    free_watcher(present);
    free_watcher(future);
    stop(&fixture);
}

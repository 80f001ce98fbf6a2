#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/offsite/hash.h"
#include "control/offsite/wrappers.h"
#include "unit/test.h"

enum { DATA_BYTES = 300 * 1024 };

// Fails as told: the first `times` calls of an operation, before or after they have worked, or a get at a place.
struct script {
    enum mos_store_operation operation;
    int times;
    bool after;
    int64_t at_bytes;
    mos_status status;
    int calls;
    int pauses;
    int64_t paused_ms;
    int last_pause_ms;
    int told;
    bool over;
};

static mos_status decide(void *argument, enum mos_store_operation operation, const char *name, bool done, int64_t moved_bytes,
                         struct mos_error *error) {
    struct script *script = argument;
    if (operation != script->operation) {
        return MOS_OK;
    }
    script->calls += !done && moved_bytes == 0;
    if (script->times == 0 || done != script->after || (script->at_bytes > 0 && moved_bytes < script->at_bytes)) {
        return MOS_OK;
    }
    script->times--;
    return mos_fail(error, script->status, "%s failed as it should", name);
}

static bool no_pause(void *argument, int pause_ms, const struct mos_store_call *call) {
    struct script *script = argument;
    script->pauses++;
    script->paused_ms += pause_ms;
    script->last_pause_ms = pause_ms;
    return call->over && call->over(call->argument);
}

static void retrying(void *argument, int failed_tries, int pause_ms, const struct mos_error *why) {
    struct script *script = argument;
    script->told += failed_tries > 0 && pause_ms > 0 && strstr(why->message, "failed as it should") ? 1 : 0;
}

static mos_store *faulty_store(struct script *script) {
    const struct mos_store_options options = {.provider = MOS_STORE_MEMORY};
    const struct mos_store_fault fault = {.decide = decide, .argument = script};
    const struct mos_store_retry retry = {
        .tries = 4, .first_pause_ms = 100, .most_pause_ms = 1000, .pause = no_pause, .retrying = retrying, .argument = script};
    mos_store *store;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_store_open(&store, &options, &error), &error);
    return mos_store_with_retry(mos_store_with_faults(store, &fault), &retry);
}

static mos_status put(mos_store *store, const char *name, const void *data, size_t size_bytes, struct mos_store_put_result *out,
                      struct mos_error *error) {
    struct mos_store_source source = {.data = data, .size_bytes = (int64_t)size_bytes};
    mos_store_sha256(data, size_bytes, source.sha256);
    return mos_store_put(store, name, &source, NULL, out, NULL, error);
}

MOS_TEST(what_may_succeed_later_is_tried_again) {
    static const mos_status statuses[] = {MOS_UNAVAILABLE, MOS_DEADLINE_EXCEEDED, MOS_RESOURCE_EXHAUSTED, MOS_ABORTED};
    struct mos_error error = {0};
    for (size_t i = 0; i < 4; i++) {
        struct script script = {.operation = MOS_STORE_PUT, .times = 3, .status = statuses[i]};
        MOS_CLEANUP_STORE mos_store *store = faulty_store(&script);
        MOS_ASSERT_OK(put(store, "a", "x", 1, NULL, &error), &error);
        CU_ASSERT_EQUAL(script.calls, 4);
        CU_ASSERT_EQUAL(script.pauses, 3);
        CU_ASSERT_EQUAL(script.told, 3);
    }
}

MOS_TEST(the_tries_come_to_an_end) {
    struct mos_error error = {0};
    struct script script = {.operation = MOS_STORE_HEAD, .times = 100, .status = MOS_UNAVAILABLE};
    MOS_CLEANUP_STORE mos_store *store = faulty_store(&script);
    struct mos_store_object object;
    CU_ASSERT_EQUAL(mos_store_head(store, "a", &object, NULL, &error), MOS_UNAVAILABLE);
    CU_ASSERT_EQUAL(script.calls, 4);
    CU_ASSERT_STRING_EQUAL(error.message, "a failed as it should");
}

MOS_TEST(what_is_final_is_not_tried_again) {
    static const mos_status statuses[] = {MOS_PERMISSION_DENIED,   MOS_UNAUTHENTICATED, MOS_NOT_FOUND,     MOS_ALREADY_EXISTS,
                                          MOS_FAILED_PRECONDITION, MOS_NO_SPACE,        MOS_UNIMPLEMENTED, MOS_CANCELLED};
    struct mos_error error = {0};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct script script = {.operation = MOS_STORE_DELETE, .times = 1, .status = statuses[i]};
        MOS_CLEANUP_STORE mos_store *store = faulty_store(&script);
        CU_ASSERT_EQUAL(mos_store_delete(store, "a", NULL, &error), statuses[i]);
        CU_ASSERT_EQUAL(script.calls, 1);
    }
}

MOS_TEST(damage_on_the_way_is_tried_once_more) {
    struct mos_error error = {0};
    struct script script = {.operation = MOS_STORE_PUT, .times = 1, .status = MOS_CORRUPT};
    MOS_CLEANUP_STORE mos_store *store = faulty_store(&script);
    MOS_ASSERT_OK(put(store, "a", "x", 1, NULL, &error), &error);
    script = (struct script){.operation = MOS_STORE_PUT, .times = 9, .status = MOS_CORRUPT};
    CU_ASSERT_EQUAL(put(store, "b", "x", 1, NULL, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(script.calls, 2);
}

MOS_TEST(a_put_whose_answer_was_lost_is_found_done) {
    struct mos_error error = {0};
    struct mos_store_put_result result;
    struct script script = {.operation = MOS_STORE_PUT, .times = 1, .after = true, .status = MOS_UNAVAILABLE};
    MOS_CLEANUP_STORE mos_store *store = faulty_store(&script);
    MOS_ASSERT_OK(put(store, "a", "x", 1, &result, &error), &error);
    CU_ASSERT_TRUE(result.existed);
}

MOS_TEST(a_get_goes_on_where_it_was_cut) {
    struct mos_error error = {0};
    struct script script = {0};
    MOS_CLEANUP_STORE mos_store *store = faulty_store(&script);
    MOS_CLEANUP_FREE uint8_t *data = mos_malloc(DATA_BYTES);
    for (size_t i = 0; i < DATA_BYTES; i++) {
        data[i] = (uint8_t)(i * 31 + i / 977);
    }
    MOS_ASSERT_OK(put(store, "a", data, DATA_BYTES, NULL, &error), &error);
    static const int64_t sizes[] = {-1, 200 * 1024};
    for (size_t i = 0; i < 2; i++) {
        MOS_CLEANUP_BUFFER struct mos_buffer back = MOS_BUFFER_INIT(0);
        size_t size = sizes[i] < 0 ? DATA_BYTES - 100 : (size_t)sizes[i];
        script = (struct script){.operation = MOS_STORE_GET, .times = 1, .at_bytes = 64 * 1024, .status = MOS_UNAVAILABLE};
        MOS_ASSERT_OK(mos_store_get_buffer(store, "a", 100, sizes[i], &back, NULL, &error), &error);
        CU_ASSERT_EQUAL(script.pauses, 1);
        CU_ASSERT_EQUAL(back.size_bytes, size);
        CU_ASSERT_EQUAL(memcmp(back.data, data + 100, size), 0);
        // All came, and then the connection was cut.
        mos_buffer_clear(&back);
        script = (struct script){.operation = MOS_STORE_GET, .times = 1, .after = true, .status = MOS_UNAVAILABLE};
        MOS_ASSERT_OK(mos_store_get_buffer(store, "a", 100, sizes[i], &back, NULL, &error), &error);
        CU_ASSERT_EQUAL(back.size_bytes, size);
    }
}

MOS_TEST(who_takes_the_bytes_may_refuse_them_for_good) {
    struct mos_error error = {0};
    struct script script = {.operation = MOS_STORE_GET};
    MOS_CLEANUP_STORE mos_store *store = faulty_store(&script);
    struct mos_buffer small = MOS_BUFFER_INIT(1);
    MOS_ASSERT_OK(put(store, "a", "xyz", 3, NULL, &error), &error);
    CU_ASSERT_EQUAL(mos_store_get_buffer(store, "a", 0, -1, &small, NULL, &error), MOS_RESOURCE_EXHAUSTED);
    CU_ASSERT_EQUAL(script.pauses, 0);
    mos_buffer_free(&small);
}

static bool script_over(void *argument) {
    return ((struct script *)argument)->over;
}

MOS_TEST(pauses_grow_and_end_when_the_call_is_called_off) {
    struct mos_error error = {0};
    struct script script = {.operation = MOS_STORE_HEAD, .times = 100, .status = MOS_UNAVAILABLE};
    MOS_CLEANUP_STORE mos_store *store = faulty_store(&script);
    const struct mos_store_call call = {.over = script_over, .argument = &script};
    struct mos_store_object object;
    CU_ASSERT_EQUAL(mos_store_head(store, "a", &object, NULL, &error), MOS_UNAVAILABLE);
    // 100, 200 and 400, each cut to between half and all.
    CU_ASSERT_TRUE(script.last_pause_ms >= 200 && script.last_pause_ms <= 400);
    CU_ASSERT_TRUE(script.paused_ms >= 350 && script.paused_ms <= 700);
    script = (struct script){.operation = MOS_STORE_HEAD, .times = 100, .status = MOS_RESOURCE_EXHAUSTED};
    CU_ASSERT_EQUAL(mos_store_head(store, "a", &object, NULL, &error), MOS_RESOURCE_EXHAUSTED);
    // 400, 800 and no more than 1000.
    CU_ASSERT_TRUE(script.last_pause_ms >= 500 && script.last_pause_ms <= 1000);
    script = (struct script){.operation = MOS_STORE_HEAD, .times = 100, .status = MOS_UNAVAILABLE, .over = true};
    CU_ASSERT_EQUAL(mos_store_head(store, "a", &object, &call, &error), MOS_CANCELLED);
    CU_ASSERT_EQUAL(script.pauses, 1);
}

MOS_TEST(limits_hold_by_time_of_day) {
    static const struct {
        const char *text;
        int minute;
        int64_t rate;
    } cases[] = {{"", 0, 0},
                 {"10M", 700, 10 << 20},
                 {"512K", 0, 512 << 10},
                 {"08:00-18:00=2M,20M", 479, 20 << 20},
                 {"08:00-18:00=2M,20M", 480, 2 << 20},
                 {"08:00-18:00=2M,20M", 1079, 2 << 20},
                 {"08:00-18:00=2M,20M", 1080, 20 << 20},
                 {"22:00-06:00=0,1M", 1439, 0},
                 {"22:00-06:00=0,1M", 0, 0},
                 {"22:00-06:00=0,1M", 360, 1 << 20},
                 {"12:00-13:00=1000", 700, 0},
                 {"12:00-13:00=1000", 720, 1000}};
    static const char *const wrong[] = {"fast",          "10X", "-1",  "8:00-18:00=2M", "08:00-18:00",          "24:00-01:00=1",
                                        "08:60-09:00=1", "1M,", ",1M", "1M 2M",         "99999999999999999999", "2000000M"};
    struct mos_error error = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mos_store_limit *limit;
        MOS_ASSERT_OK(mos_store_limit_create(&limit, "OFFSITE_BANDWIDTH", cases[i].text, &error), &error);
        CU_ASSERT_EQUAL(mos_store_limit_at(limit, cases[i].minute), cases[i].rate);
        mos_store_limit_free(limit);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct mos_store_limit *limit;
        CU_ASSERT_EQUAL(mos_store_limit_create(&limit, "OFFSITE_BANDWIDTH", wrong[i], &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "OFFSITE_BANDWIDTH");
    }
}

struct held {
    int asked;
};

// By then the limit must have been waited for more than once.
static bool over_after_waiting(void *argument) {
    return ++((struct held *)argument)->asked > 8;
}

MOS_TEST(a_limit_holds_a_transfer_and_lets_it_be_called_off) {
    const struct mos_store_options options = {.provider = MOS_STORE_MEMORY};
    struct mos_error error = {0};
    struct mos_store_limit *limit;
    mos_store *inner;
    struct held held = {0};
    static uint8_t data[DATA_BYTES];
    struct mos_store_source source = {.data = data, .size_bytes = DATA_BYTES};
    struct mos_store_object object;
    mos_store_sha256(data, DATA_BYTES, source.sha256);
    // At this rate the object would take three days.
    MOS_ASSERT_OK(mos_store_limit_create(&limit, "OFFSITE_BANDWIDTH", "1", &error), &error);
    MOS_ASSERT_OK(mos_store_open(&inner, &options, &error), &error);
    mos_store *store = mos_store_with_limit(inner, limit);
    const struct mos_store_call call = {.over = over_after_waiting, .argument = &held};
    CU_ASSERT_EQUAL(mos_store_put(store, "a", &source, NULL, NULL, &call, &error), MOS_CANCELLED);
    CU_ASSERT_EQUAL(mos_store_head(store, "a", &object, NULL, &error), MOS_NOT_FOUND);
    mos_store_close(store);
    mos_store_limit_free(limit);
}

MOS_TEST(metrics_count_calls_bytes_and_failures) {
    struct mos_error error = {0};
    struct script script = {.operation = MOS_STORE_LIST, .times = 1, .status = MOS_PERMISSION_DENIED};
    MOS_CLEANUP_STORE mos_store *store = mos_store_with_metrics(faulty_store(&script));
    MOS_CLEANUP_BUFFER struct mos_buffer back = MOS_BUFFER_INIT(0);
    struct mos_store_metrics metrics;
    struct mos_store_object object;
    MOS_ASSERT_OK(put(store, "a", "12345", 5, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_get_buffer(store, "a", 1, 3, &back, NULL, &error), &error);
    CU_ASSERT_EQUAL(mos_store_head(store, "none", &object, NULL, &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_store_probe(store, NULL, &error), MOS_PERMISSION_DENIED);
    mos_store_metrics_read(store, &metrics);
    CU_ASSERT_EQUAL(metrics.operations[MOS_STORE_PUT].calls, 1);
    CU_ASSERT_EQUAL(metrics.operations[MOS_STORE_HEAD].failures, 0);
    CU_ASSERT_EQUAL(metrics.operations[MOS_STORE_LIST].failures, 1);
    CU_ASSERT_EQUAL(metrics.failures_by_status[MOS_PERMISSION_DENIED], 1);
    CU_ASSERT_EQUAL(metrics.bytes_sent, 5);
    CU_ASSERT_EQUAL(metrics.bytes_received, 3);
    CU_ASSERT_TRUE(metrics.last_success_unix_ns > 0 && metrics.last_failure_unix_ns > 0);
}

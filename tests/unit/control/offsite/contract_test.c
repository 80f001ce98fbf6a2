// What every store must do. Without OFFSITE_PROVIDER in the environment the suite runs on the stores in memory and in a folder; with it, on
// the location that the OFFSITE_ settings name, whose server the integration tests start.
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/id.h"
#include "control/offsite/hash.h"
#include "control/offsite/object_store.h"
#include "unit/test.h"

extern char **environ;

enum { LARGE_BYTES = 17 * 1024 * 1024 + 7 };

static void in_memory(void (*test)(mos_store *store)) {
    const struct mos_store_options options = {.provider = MOS_STORE_MEMORY, .prefix = "shop/one"};
    MOS_CLEANUP_STORE mos_store *store = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_store_open(&store, &options, &error), &error);
    test(store);
}

static void in_folder(void (*test)(mos_store *store)) {
    const struct mos_store_options options = {.provider = MOS_STORE_LOCAL_REMOTE, .bucket = mos_test_directory(), .prefix = "shop/one/"};
    MOS_CLEANUP_STORE mos_store *store = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_store_open(&store, &options, &error), &error);
    test(store);
}

static void from_environment(void (*test)(mos_store *store)) {
    MOS_CLEANUP_STORE mos_store *store = NULL;
    struct mos_store_options options;
    struct mos_error error = {0};
    mos_settings *settings;
    MOS_ASSERT_OK(mos_settings_load(&settings, environ, &error), &error);
    MOS_ASSERT_OK(mos_store_options_from_settings(settings, false, &options, &error), &error);
    MOS_ASSERT_OK(mos_store_open(&store, &options, &error), &error);
    mos_settings_free(settings);
    test(store);
}

static void on_stores(void (*test)(mos_store *store)) {
    if (getenv("OFFSITE_PROVIDER")) {
        from_environment(test);
    } else {
        in_memory(test);
        in_folder(test);
    }
}

#define STORE_TEST(name)                                                                                                                   \
    static void name##_on(mos_store *store);                                                                                               \
    MOS_TEST(name) {                                                                                                                       \
        on_stores(name##_on);                                                                                                              \
    }                                                                                                                                      \
    static void name##_on(mos_store *store)

// A name that no other test uses, so that a bucket may be used again.
static void fresh(char name[64], const char *what) {
    char id[MOS_ID_TEXT_BYTES];
    mos_id_new(id);
    snprintf(name, 64, "%s/%s", id, what);
}

static struct mos_store_source source_of(const void *data, size_t size_bytes) {
    struct mos_store_source source = {.data = data, .size_bytes = (int64_t)size_bytes};
    mos_store_sha256(data, size_bytes, source.sha256);
    return source;
}

static mos_status put_text(mos_store *store, const char *name, const char *text, struct mos_store_put_result *out,
                           struct mos_error *error) {
    const struct mos_store_source source = source_of(text, strlen(text));
    return mos_store_put(store, name, &source, NULL, out, NULL, error);
}

static bool holds(mos_store *store, const char *name, const void *data, size_t size_bytes) {
    MOS_CLEANUP_BUFFER struct mos_buffer buffer = MOS_BUFFER_INIT(0);
    struct mos_error error = {0};
    mos_status status = mos_store_get_buffer(store, name, 0, -1, &buffer, NULL, &error);
    if (status != MOS_OK) {
        mos_test_complain("get", error.message);
        return false;
    }
    return buffer.size_bytes == size_bytes && (size_bytes == 0 || memcmp(buffer.data, data, size_bytes) == 0);
}

// Bytes that no two parts of are alike.
static uint8_t *large_data(void) {
    uint8_t *data = mos_malloc(LARGE_BYTES);
    uint64_t state = 1;
    for (size_t i = 0; i < LARGE_BYTES; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        data[i] = (uint8_t)(state >> 56);
    }
    return data;
}

STORE_TEST(what_is_put_is_there) {
    char name[64];
    struct mos_error error = {0};
    struct mos_store_put_result result;
    struct mos_store_object object;
    int64_t before = mos_now_unix_ns();
    fresh(name, "packs/ab/cd-1.pack");
    MOS_ASSERT_OK(put_text(store, name, "hello", &result, &error), &error);
    CU_ASSERT_FALSE(result.existed);
    CU_ASSERT_TRUE(result.checksum != MOS_STORE_CHECKSUM_NONE);
    CU_ASSERT_TRUE(holds(store, name, "hello", 5));
    MOS_ASSERT_OK(mos_store_head(store, name, &object, NULL, &error), &error);
    CU_ASSERT_STRING_EQUAL(object.name, name);
    CU_ASSERT_EQUAL(object.size_bytes, 5);
    CU_ASSERT_EQUAL(object.state, MOS_STORE_READY);
    CU_ASSERT_EQUAL(object.retained_until_unix_ns, 0);
    // Some tell whole seconds.
    CU_ASSERT_TRUE(object.modified_unix_ns >= before - 2 * MOS_NS_PER_SECOND &&
                   object.modified_unix_ns <= mos_now_unix_ns() + 2 * MOS_NS_PER_SECOND);
    if (mos_store_capabilities_of(store)->server_checksum) {
        const struct mos_store_source source = source_of("hello", 5);
        CU_ASSERT_EQUAL(object.checksum, MOS_STORE_CHECKSUM_SERVER);
        CU_ASSERT_EQUAL(memcmp(object.sha256, source.sha256, MOS_STORE_HASH_BYTES), 0);
    }
}

STORE_TEST(an_empty_object_is_one) {
    char name[64];
    struct mos_error error = {0};
    struct mos_store_object object;
    fresh(name, "empty");
    MOS_ASSERT_OK(put_text(store, name, "", NULL, &error), &error);
    CU_ASSERT_TRUE(holds(store, name, "", 0));
    MOS_ASSERT_OK(mos_store_head(store, name, &object, NULL, &error), &error);
    CU_ASSERT_EQUAL(object.size_bytes, 0);
}

STORE_TEST(an_object_is_written_once) {
    char name[64];
    struct mos_error error = {0};
    struct mos_store_put_result result;
    fresh(name, "once");
    MOS_ASSERT_OK(put_text(store, name, "first", &result, &error), &error);
    MOS_ASSERT_OK(put_text(store, name, "first", &result, &error), &error);
    CU_ASSERT_TRUE(result.existed);
    CU_ASSERT_EQUAL(put_text(store, name, "second one", &result, &error), MOS_ALREADY_EXISTS);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "once"));
    CU_ASSERT_TRUE(holds(store, name, "first", 5));
}

STORE_TEST(other_bytes_of_the_same_size_are_refused) {
    char name[64];
    struct mos_error error = {0};
    struct mos_store_object object;
    fresh(name, "twin");
    MOS_ASSERT_OK(put_text(store, name, "first", NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_head(store, name, &object, NULL, &error), &error);
    mos_status status = put_text(store, name, "other", NULL, &error);
    // A store that knows no checksum, and does not read either, takes them for the same.
    CU_ASSERT_TRUE(status == MOS_ALREADY_EXISTS || (status == MOS_OK && mos_store_provider_of(store) == MOS_STORE_SFTP));
    CU_ASSERT_TRUE(holds(store, name, "first", 5));
}

STORE_TEST(a_source_that_is_not_what_it_should_be_is_not_written) {
    char name[64];
    struct mos_error error = {0};
    struct mos_store_object object;
    struct mos_store_source source = source_of("right", 5);
    fresh(name, "wrong");
    source.data = "wrong";
    CU_ASSERT_EQUAL(mos_store_put(store, name, &source, NULL, NULL, NULL, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(mos_store_head(store, name, &object, NULL, &error), MOS_NOT_FOUND);
}

STORE_TEST(a_large_source_that_ends_early_leaves_nothing) {
    char name[64], path[4200];
    struct mos_error error = {0};
    struct mos_store_object object;
    int removed = 0;
    MOS_CLEANUP_FREE uint8_t *data = large_data();
    struct mos_store_source source = source_of(data, LARGE_BYTES);
    fresh(name, "early");
    snprintf(path, sizeof(path), "%s/early", mos_test_directory());
    MOS_CLEANUP_FD int from = open(path, O_RDWR | O_CREAT, 0600);
    CU_ASSERT_EQUAL_FATAL(pwrite(from, data, LARGE_BYTES, 0), LARGE_BYTES);
    CU_ASSERT_EQUAL_FATAL(ftruncate(from, LARGE_BYTES - 1), 0);
    source.data = NULL;
    source.descriptor = from;
    // What others have left is not this put's.
    MOS_ASSERT_OK(mos_store_sweep(store, 0, &removed, NULL, &error), &error);
    CU_ASSERT_EQUAL(mos_store_put(store, name, &source, NULL, NULL, NULL, &error), MOS_CORRUPT);
    CU_ASSERT_EQUAL(mos_store_head(store, name, &object, NULL, &error), MOS_NOT_FOUND);
    MOS_ASSERT_OK(mos_store_sweep(store, 0, &removed, NULL, &error), &error);
    CU_ASSERT_EQUAL(removed, 0);
    // The whole of it goes where a part of it went.
    CU_ASSERT_EQUAL_FATAL(pwrite(from, data + LARGE_BYTES - 1, 1, LARGE_BYTES - 1), 1);
    MOS_ASSERT_OK(mos_store_put(store, name, &source, NULL, NULL, NULL, &error), &error);
    CU_ASSERT_TRUE(holds(store, name, data, LARGE_BYTES));
    MOS_ASSERT_OK(mos_store_delete(store, name, NULL, &error), &error);
}

STORE_TEST(a_large_object_goes_from_and_to_files) {
    char name[64], path[4200];
    struct mos_error error = {0};
    struct mos_store_object object;
    MOS_CLEANUP_FREE uint8_t *data = large_data();
    struct mos_store_source source = source_of(data, LARGE_BYTES);
    MOS_CLEANUP_BUFFER struct mos_buffer middle = MOS_BUFFER_INIT(0);
    MOS_CLEANUP_FREE uint8_t *back = mos_malloc(LARGE_BYTES);
    fresh(name, "large.pack");
    snprintf(path, sizeof(path), "%s/source", mos_test_directory());
    MOS_CLEANUP_FD int from = open(path, O_RDWR | O_CREAT, 0600);
    snprintf(path, sizeof(path), "%s/back", mos_test_directory());
    MOS_CLEANUP_FD int to = open(path, O_RDWR | O_CREAT, 0600);
    // It lies behind something else.
    CU_ASSERT_EQUAL_FATAL(pwrite(from, data, LARGE_BYTES, 100), LARGE_BYTES);
    source.data = NULL;
    source.descriptor = from;
    source.offset_bytes = 100;
    MOS_ASSERT_OK(mos_store_put(store, name, &source, NULL, NULL, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_head(store, name, &object, NULL, &error), &error);
    CU_ASSERT_EQUAL(object.size_bytes, LARGE_BYTES);
    if (object.checksum != MOS_STORE_CHECKSUM_NONE) {
        CU_ASSERT_EQUAL(memcmp(object.sha256, source.sha256, MOS_STORE_HASH_BYTES), 0);
    }
    MOS_ASSERT_OK(mos_store_get_file(store, name, to, source.sha256, NULL, &error), &error);
    CU_ASSERT_EQUAL(pread(to, back, LARGE_BYTES, 0), LARGE_BYTES);
    CU_ASSERT_EQUAL(memcmp(back, data, LARGE_BYTES), 0);
    MOS_ASSERT_OK(mos_store_get_buffer(store, name, 9 * 1024 * 1024 - 3, 4096, &middle, NULL, &error), &error);
    CU_ASSERT_EQUAL(middle.size_bytes, 4096);
    CU_ASSERT_EQUAL(memcmp(middle.data, data + 9 * 1024 * 1024 - 3, 4096), 0);
    source.sha256[0] ^= 1;
    CU_ASSERT_EQUAL(mos_store_get_file(store, name, to, source.sha256, NULL, &error), MOS_CORRUPT);
    MOS_ASSERT_OK(mos_store_delete(store, name, NULL, &error), &error);
}

STORE_TEST(ranges_are_exact) {
    char name[64];
    struct mos_error error = {0};
    MOS_CLEANUP_BUFFER struct mos_buffer buffer = MOS_BUFFER_INIT(0);
    fresh(name, "range");
    MOS_ASSERT_OK(put_text(store, name, "0123456789", NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_get_buffer(store, name, 3, 4, &buffer, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_get_buffer(store, name, 9, 1, &buffer, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_get_buffer(store, name, 8, -1, &buffer, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_get_buffer(store, name, 10, 0, &buffer, NULL, &error), &error);
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&buffer), "3456989");
    CU_ASSERT_EQUAL(mos_store_get_buffer(store, name, 8, 3, &buffer, NULL, &error), MOS_OUT_OF_RANGE);
    CU_ASSERT_EQUAL(mos_store_get_buffer(store, name, 10, -1, &buffer, NULL, &error), MOS_OUT_OF_RANGE);
    CU_ASSERT_EQUAL(mos_store_get_buffer(store, name, 11, 1, &buffer, NULL, &error), MOS_OUT_OF_RANGE);
    CU_ASSERT_EQUAL(mos_store_get_buffer(store, name, 11, 0, &buffer, NULL, &error), MOS_OUT_OF_RANGE);
    CU_ASSERT_EQUAL(mos_store_get_buffer(store, name, -1, 1, &buffer, NULL, &error), MOS_INVALID_ARGUMENT);
    struct mos_buffer small = MOS_BUFFER_INIT(4);
    CU_ASSERT_EQUAL(mos_store_get_buffer(store, name, 0, -1, &small, NULL, &error), MOS_RESOURCE_EXHAUSTED);
    mos_buffer_free(&small);
}

STORE_TEST(what_is_not_there_is_not_found) {
    char name[64];
    struct mos_error error = {0};
    struct mos_store_object object;
    MOS_CLEANUP_BUFFER struct mos_buffer buffer = MOS_BUFFER_INIT(0);
    fresh(name, "nothing/at/all");
    CU_ASSERT_EQUAL(mos_store_head(store, name, &object, NULL, &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_store_get_buffer(store, name, 0, -1, &buffer, NULL, &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_store_get_buffer(store, name, 5, 5, &buffer, NULL, &error), MOS_NOT_FOUND);
    MOS_ASSERT_OK(mos_store_delete(store, name, NULL, &error), &error);
    MOS_ASSERT_OK(put_text(store, name, "x", NULL, &error), &error);
    // A folder is no object.
    *strrchr(name, '/') = 0;
    CU_ASSERT_EQUAL(mos_store_head(store, name, &object, NULL, &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_store_get_buffer(store, name, 0, -1, &buffer, NULL, &error), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(buffer.size_bytes, 0);
}

STORE_TEST(what_is_deleted_is_gone_and_may_come_again) {
    char name[64];
    struct mos_error error = {0};
    struct mos_store_object object;
    struct mos_store_put_result result;
    fresh(name, "deleted");
    MOS_ASSERT_OK(put_text(store, name, "one", NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_delete(store, name, NULL, &error), &error);
    CU_ASSERT_EQUAL(mos_store_head(store, name, &object, NULL, &error), MOS_NOT_FOUND);
    MOS_ASSERT_OK(mos_store_delete(store, name, NULL, &error), &error);
    MOS_ASSERT_OK(put_text(store, name, "three", &result, &error), &error);
    CU_ASSERT_FALSE(result.existed);
    CU_ASSERT_TRUE(holds(store, name, "three", 5));
}

// All names below a prefix, in pages, one a line.
static void list_all(mos_store *store, const char *prefix, int limit, struct mos_buffer *out) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    struct mos_store_page page = {0};
    do {
        MOS_ASSERT_OK(mos_store_list(store, prefix, page.next, limit, arena, &page, NULL, &error), &error);
        CU_ASSERT_TRUE(page.count <= (size_t)limit);
        for (size_t i = 0; i < page.count; i++) {
            mos_buffer_printf(out, "%s %lld\n", page.objects[i].name + 37, (long long)page.objects[i].size_bytes);
        }
    } while (page.next);
}

STORE_TEST(lists_are_in_order_and_in_pages) {
    static const char *const names[] = {"a.b", "a/b/c", "a0", "b-1/x", "b/1", "b/10", "b/2", "b0/y", "Z"};
    static const char all[] = "Z 8\na.b 0\na/b/c 1\na0 2\nb-1/x 3\nb/1 4\nb/10 5\nb/2 6\nb0/y 7\n";
    char name[64], prefix[64];
    struct mos_error error = {0};
    MOS_CLEANUP_BUFFER struct mos_buffer found = MOS_BUFFER_INIT(0);
    fresh(prefix, "");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char text[16] = "";
        memset(text, 'x', i);
        snprintf(name, sizeof(name), "%.37s%s", prefix, names[i]);
        MOS_ASSERT_OK(put_text(store, name, text, NULL, &error), &error);
    }
    for (int limit = 1; limit <= 10; limit += 3) {
        mos_buffer_clear(&found);
        list_all(store, prefix, limit, &found);
        CU_ASSERT_STRING_EQUAL(mos_buffer_text(&found), all);
    }
    mos_buffer_clear(&found);
    snprintf(name, sizeof(name), "%.37sb", prefix);
    list_all(store, name, 2, &found);
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&found), "b-1/x 3\nb/1 4\nb/10 5\nb/2 6\nb0/y 7\n");
    mos_buffer_clear(&found);
    snprintf(name, sizeof(name), "%.37sb/", prefix);
    list_all(store, name, 1000, &found);
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&found), "b/1 4\nb/10 5\nb/2 6\n");
    mos_buffer_clear(&found);
    snprintf(name, sizeof(name), "%.37snone", prefix);
    list_all(store, name, 1000, &found);
    CU_ASSERT_EQUAL(found.size_bytes, 0);
}

STORE_TEST(bad_names_and_limits_are_refused) {
    static const char *const names[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a b", "a\\b", "\xc3\xa4", "a~", "a?b", "a%41"};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    struct mos_store_object object;
    struct mos_store_page page;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        CU_ASSERT_EQUAL(put_text(store, names[i], "x", NULL, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_EQUAL(mos_store_head(store, names[i], &object, NULL, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_EQUAL(mos_store_delete(store, names[i], NULL, &error), MOS_INVALID_ARGUMENT);
    }
    CU_ASSERT_EQUAL(mos_store_list(store, "../", NULL, 10, arena, &page, NULL, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(mos_store_list(store, "", NULL, 0, arena, &page, NULL, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(mos_store_list(store, "", NULL, 1001, arena, &page, NULL, &error), MOS_INVALID_ARGUMENT);
}

struct stop {
    atomic_llong moved;
    long long after;
};

static bool stop_over(void *argument) {
    struct stop *stop = argument;
    return atomic_load(&stop->moved) >= stop->after;
}

static void stop_moved(void *argument, int64_t bytes) {
    atomic_fetch_add(&((struct stop *)argument)->moved, bytes);
}

STORE_TEST(a_transfer_can_be_called_off_and_leaves_nothing) {
    char name[64];
    struct mos_error error = {0};
    struct mos_store_object object;
    struct stop stop = {.after = LARGE_BYTES / 3};
    const struct mos_store_call call = {.over = stop_over, .moved = stop_moved, .argument = &stop};
    MOS_CLEANUP_FREE uint8_t *data = large_data();
    MOS_CLEANUP_BUFFER struct mos_buffer buffer = MOS_BUFFER_INIT(0);
    const struct mos_store_source source = source_of(data, LARGE_BYTES);
    fresh(name, "called-off");
    CU_ASSERT_EQUAL(mos_store_put(store, name, &source, NULL, NULL, &call, &error), MOS_CANCELLED);
    CU_ASSERT_EQUAL(mos_store_head(store, name, &object, NULL, &error), MOS_NOT_FOUND);
    stop = (struct stop){.after = INT64_MAX};
    MOS_ASSERT_OK(mos_store_put(store, name, &source, NULL, NULL, &call, &error), &error);
    CU_ASSERT_EQUAL(stop.moved, LARGE_BYTES);
    stop = (struct stop){.after = LARGE_BYTES / 3};
    CU_ASSERT_EQUAL(mos_store_get_buffer(store, name, 0, -1, &buffer, &call, &error), MOS_CANCELLED);
    CU_ASSERT_TRUE(buffer.size_bytes < LARGE_BYTES);
    MOS_ASSERT_OK(mos_store_delete(store, name, NULL, &error), &error);
}

struct worker {
    mos_store *store;
    pthread_t thread;
    const char *prefix;
    int number;
    int failures;
};

static void *work(void *argument) {
    struct worker *worker = argument;
    for (int i = 0; i < 6; i++) {
        char name[64], text[64];
        struct mos_error error = {0};
        struct mos_store_put_result result;
        snprintf(name, sizeof(name), "%.37sown-%d-%d", worker->prefix, worker->number, i);
        snprintf(text, sizeof(text), "text %d of %d", i, worker->number);
        worker->failures += put_text(worker->store, name, text, NULL, &error) != MOS_OK || !holds(worker->store, name, text, strlen(text));
        // All write the same one.
        snprintf(name, sizeof(name), "%.37sshared-%d", worker->prefix, i);
        worker->failures +=
            put_text(worker->store, name, "the same", &result, &error) != MOS_OK || !holds(worker->store, name, "the same", 8);
    }
    return NULL;
}

STORE_TEST(many_threads_use_one_store) {
    struct worker workers[6];
    char prefix[64];
    MOS_CLEANUP_BUFFER struct mos_buffer found = MOS_BUFFER_INIT(0);
    fresh(prefix, "");
    for (int i = 0; i < 6; i++) {
        workers[i] = (struct worker){.store = store, .prefix = prefix, .number = i};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(workers[i].thread, NULL);
        CU_ASSERT_EQUAL(workers[i].failures, 0);
    }
    list_all(store, prefix, 1000, &found);
    int lines = 0;
    for (size_t i = 0; i < found.size_bytes; i++) {
        lines += found.data[i] == '\n';
    }
    CU_ASSERT_EQUAL(lines, 6 * 6 + 6);
}

STORE_TEST(locks_hold_and_grow) {
    char name[64];
    struct mos_error error = {0};
    struct mos_store_object object;
    const struct mos_store_source source = source_of("locked", 6);
    // Whole seconds, as some providers have them.
    int64_t until = (mos_now_unix_ns() / MOS_NS_PER_SECOND + 3600) * MOS_NS_PER_SECOND;
    const struct mos_store_put_options options = {.retain_until_unix_ns = until};
    fresh(name, "locked");
    // A bucket that is not set up for locks says so only when it is asked.
    if (!mos_store_capabilities_of(store)->retention || getenv("MOS_TEST_NO_LOCKS")) {
        mos_status status = mos_store_put(store, name, &source, &options, NULL, NULL, &error);
        CU_ASSERT_TRUE(status == MOS_UNIMPLEMENTED || status == MOS_FAILED_PRECONDITION);
        return;
    }
    MOS_ASSERT_OK(mos_store_put(store, name, &source, &options, NULL, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_head(store, name, &object, NULL, &error), &error);
    CU_ASSERT_EQUAL(object.retained_until_unix_ns, until);
    CU_ASSERT_EQUAL(mos_store_delete(store, name, NULL, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_TRUE(holds(store, name, "locked", 6));
    MOS_ASSERT_OK(mos_store_retain(store, name, until + 3600 * MOS_NS_PER_SECOND, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_retain(store, name, until, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_head(store, name, &object, NULL, &error), &error);
    CU_ASSERT_EQUAL(object.retained_until_unix_ns, until + 3600 * MOS_NS_PER_SECOND);
    fresh(name, "nothing");
    CU_ASSERT_EQUAL(mos_store_retain(store, name, until, NULL, &error), MOS_NOT_FOUND);
}

STORE_TEST(what_is_archived_is_thawed_before_it_is_read) {
    char name[64];
    struct mos_error error = {0};
    struct mos_store_object object;
    MOS_CLEANUP_BUFFER struct mos_buffer buffer = MOS_BUFFER_INIT(0);
    fresh(name, "cold");
    if (!mos_store_capabilities_of(store)->archive || getenv("MOS_TEST_NO_ARCHIVE")) {
        return;
    }
    MOS_ASSERT_OK(put_text(store, name, "cold", NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_archive(store, name, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_archive(store, name, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_head(store, name, &object, NULL, &error), &error);
    if (object.state == MOS_STORE_ARCHIVED) {
        CU_ASSERT_EQUAL(mos_store_get_buffer(store, name, 0, -1, &buffer, NULL, &error), MOS_FAILED_PRECONDITION);
        CU_ASSERT_EQUAL(buffer.size_bytes, 0);
    }
    MOS_ASSERT_OK(mos_store_thaw(store, name, 1, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_head(store, name, &object, NULL, &error), &error);
    CU_ASSERT_TRUE(object.state == MOS_STORE_READY || object.state == MOS_STORE_THAWING);
    if (object.state == MOS_STORE_READY) {
        CU_ASSERT_TRUE(holds(store, name, "cold", 4));
    }
}

STORE_TEST(the_bucket_answers) {
    struct mos_error error = {0};
    int removed;
    MOS_ASSERT_OK(mos_store_probe(store, NULL, &error), &error);
    MOS_ASSERT_OK(mos_store_sweep(store, 3600, &removed, NULL, &error), &error);
    CU_ASSERT_EQUAL(removed, 0);
}

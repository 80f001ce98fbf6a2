// The catalog, sealed beside the data, here and at the places; with it the newest checkpoint of the audit trail.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "control/offsite/offsite_internal.h"

enum { KEPT = 3, NAME_BYTES = 64, MOST_FOUND = 1000 };

// Newest first: the names are of one length and say the time.
static int compare(const void *a, const void *b) {
    return strcmp(b, a);
}

// What lies here in `catalog` or `audit`, newest first, as names of objects.
static size_t list_local(const char *repository, const char *where, char (*out)[NAME_BYTES]) {
    char path[4200];
    size_t count = 0;
    snprintf(path, sizeof(path), "%s/%s", repository, where);
    DIR *folder = opendir(path);
    for (struct dirent *entry = folder ? readdir(folder) : NULL; entry && count < MOST_FOUND; entry = readdir(folder)) {
        if (strlen(entry->d_name) == 20 && strspn(entry->d_name, "0123456789") == 20) {
            snprintf(out[count++], NAME_BYTES, "%s/%.20s", where, entry->d_name);
        }
    }
    if (folder) {
        closedir(folder);
    }
    qsort(out, count, NAME_BYTES, compare);
    return count;
}

mos_status mos_offsite_keep_catalog(mos_offsite *offsite, struct mos_error *error) {
    char id[MOS_ID_TEXT_BYTES], path[4200], name[NAME_BYTES];
    mos_id_new(id);
    snprintf(path, sizeof(path), "%s/catalog-%s", offsite->options.scratch, id);
    snprintf(name, sizeof(name), "catalog/%020lld", (long long)mos_now_unix_ns());
    mos_status status = mos_catalog_copy_to(offsite->options.catalog, path, error);
    if (status == MOS_OK) {
        status = mos_queue_seal(offsite->options.queue, path, name, error);
    }
    unlink(path);
    MOS_CLEANUP_FREE char(*names)[NAME_BYTES] = mos_calloc(MOST_FOUND, NAME_BYTES);
    size_t count = status == MOS_OK ? list_local(offsite->options.repository, "catalog", names) : 0;
    for (size_t i = KEPT; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", offsite->options.repository, names[i]);
        unlink(path);
    }
    return status;
}

// ---- A catalog that is lost ----

static mos_status unseal(const struct mos_engine *engine, const char *name, const char *path, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__UnsealRequest operation = MOSAAJII__ENGINE__V1__UNSEAL_REQUEST__INIT;
    Mosaajii__Engine__V1__Request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    const Mosaajii__Engine__V1__Result *result;
    operation.name = (char *)name;
    operation.path = (char *)path;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_UNSEAL;
    request.unseal = &operation;
    // What an attempt left that was killed.
    unlink(path);
    return mos_engine_ask(engine, &request, -1, arena, NULL, NULL, &result, error);
}

// In the place of the catalog, whole or not at all; and without a log that belonged to the one before, which would be played into it.
static mos_status put_in_place(const char *opened, const char *catalog, struct mos_error *error) {
    static const char *const logs[] = {"-wal", "-shm", "-journal"};
    char path[4200];
    for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", catalog, logs[i]);
        if (unlink(path) != 0 && errno != ENOENT) {
            return mos_fail_errno(error, errno, "removing %s", path);
        }
    }
    return rename(opened, catalog) == 0 ? MOS_OK : mos_fail_errno(error, errno, "renaming %s", opened);
}

mos_status mos_offsite_open_kept(const struct mos_engine *engine, const char *catalog, int64_t *out_kept_at_unix_ns, char *out_reason,
                                 size_t reason_bytes, struct mos_error *error) {
    char names[MOST_FOUND][NAME_BYTES], opened[4200];
    *out_kept_at_unix_ns = 0;
    snprintf(opened, sizeof(opened), "%s.opened", catalog);
    size_t count = list_local(engine->repository, "catalog", names);
    snprintf(out_reason, reason_bytes, "no sealed copy of it lies in %s/catalog", engine->repository);
    for (size_t i = 0; i < count; i++) {
        struct mos_error refused = {0};
        if (unseal(engine, names[i], opened, &refused) == MOS_OK) {
            *out_kept_at_unix_ns = strtoll(names[i] + sizeof("catalog/") - 1, NULL, 10);
            return put_in_place(opened, catalog, error);
        }
        mos_log_warning("a sealed copy of the catalog cannot be opened", MOS_TEXT("name", names[i]), MOS_TEXT("reason", refused.message));
        snprintf(out_reason, reason_bytes, "%s", refused.message);
    }
    unlink(opened);
    return MOS_OK;
}

// Older ones than the newest at the place.
static mos_status thin(struct mos_offsite_place *place, const char *where, const struct mos_store_call *call, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_store_page page = {0};
    mos_status status = mos_store_list(place->store, where, NULL, 1000, arena, &page, call, error);
    for (size_t i = 0; i + KEPT < page.count && status == MOS_OK; i++) {
        status = mos_store_delete(place->store, page.objects[i].name, call, error);
    }
    return status;
}

// The newest of a folder; none is no failure.
static mos_status send_newest(struct mos_offsite_place *place, const char *where, const struct mos_store_call *call,
                              struct mos_error *error) {
    MOS_CLEANUP_FREE char(*names)[NAME_BYTES] = mos_calloc(MOST_FOUND, NAME_BYTES);
    uint8_t digest[32];
    mos_stored_object object = MOSAAJII__ENGINE__V1__STORED_OBJECT__INIT;
    if (list_local(place->offsite->options.repository, where, names) == 0) {
        return MOS_OK;
    }
    object.name = names[0];
    object.sha256 = (ProtobufCBinaryData){.data = digest, .len = sizeof(digest)};
    mos_status status = mos_offsite_hash_local(place->offsite, object.name, &object.size, digest, error);
    // Never locked: each is replaced by the next.
    return status == MOS_OK ? mos_offsite_send_object(place, &object, 0, call, error) : status;
}

void mos_offsite_send_catalog(struct mos_offsite_place *place) {
    const struct mos_store_call call = {.over = mos_offsite_over, .argument = place->offsite};
    struct mos_error error = {0};
    mos_status status = mos_offsite_claim(place, &call, &error);
    if (status == MOS_OK) {
        status = send_newest(place, "audit", &call, &error);
    }
    if (status == MOS_OK) {
        status = send_newest(place, "catalog", &call, &error);
    }
    if (status == MOS_OK) {
        status = thin(place, "catalog/", &call, &error);
    }
    if (status == MOS_OK) {
        status = thin(place, "audit/", &call, &error);
    }
    if (status != MOS_OK && status != MOS_CANCELLED) {
        mos_log_warning("the sealed catalog could not be sent", MOS_TEXT("location", place->name), MOS_TEXT("reason", error.message));
    }
}

// Conversations with the engine that are no jobs: short, answered at once, and recorded nowhere.
#include <string.h>

#include "common/log.h"
#include "control/job/queue_internal.h"
#include "control/job/record.h"

typedef Mosaajii__Engine__V1__Request engine_request;
typedef Mosaajii__Engine__V1__Event engine_event;
typedef Mosaajii__Engine__V1__Result engine_result;
typedef Mosaajii__Engine__V1__BackupRecord backup_record;

static mos_status ask(mos_queue *queue, const engine_request *request, int cancel_fd, mos_arena *arena,
                      bool (*each)(const engine_event *event, void *argument), void *argument, const engine_result **out,
                      struct mos_error *error) {
    pthread_mutex_lock(&queue->mutex);
    while (queue->inquiries == MOS_QUEUE_INQUIRIES) {
        pthread_cond_wait(&queue->inquiry_free, &queue->mutex);
    }
    queue->inquiries++;
    pthread_mutex_unlock(&queue->mutex);
    mos_status status = mos_engine_ask(&queue->engine, request, cancel_fd, arena, each, argument, out, error);
    pthread_mutex_lock(&queue->mutex);
    queue->inquiries--;
    pthread_cond_signal(&queue->inquiry_free);
    pthread_mutex_unlock(&queue->mutex);
    return status;
}

// ---- Files of a backup ----

struct listing {
    mos_arena *arena;
    size_t limit;
    Mosaajii__Engine__V1__Entry **entries;
    size_t count;
    bool more;
};

static bool take_entries(const engine_event *event, void *argument) {
    struct listing *listing = argument;
    if (event->event_case != MOSAAJII__ENGINE__V1__EVENT__EVENT_ENTRIES) {
        return true;
    }
    if (event->entries->n_entries > listing->limit - listing->count) {
        return false;
    }
    for (size_t i = 0; i < event->entries->n_entries; i++) {
        listing->entries[listing->count++] = event->entries->entries[i];
    }
    listing->more = event->entries->more;
    return true;
}

mos_status mos_queue_list_files(mos_queue *queue, const Mosaajii__Engine__V1__ListRequest *request, int cancel_fd, mos_arena *arena,
                                Mosaajii__Engine__V1__Entry ***out, size_t *out_count, bool *out_more, struct mos_error *error) {
    struct listing listing = {.arena = arena, .limit = (size_t)request->limit};
    listing.entries = mos_arena_array(arena, Mosaajii__Engine__V1__Entry *, listing.limit);
    engine_request whole = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    whole.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_LIST;
    whole.list = (Mosaajii__Engine__V1__ListRequest *)request;
    const engine_result *result;
    mos_status status = ask(queue, &whole, cancel_fd, arena, take_entries, &listing, &result, error);
    *out = listing.entries;
    *out_count = listing.count;
    *out_more = listing.more;
    return status;
}

// ---- What differs between two backups ----

struct differences {
    size_t limit;
    Mosaajii__Engine__V1__Change **changes;
    size_t count;
    bool more;
};

static bool take_changes(const engine_event *event, void *argument) {
    struct differences *differences = argument;
    if (event->event_case != MOSAAJII__ENGINE__V1__EVENT__EVENT_CHANGES) {
        return true;
    }
    if (event->changes->n_changes > differences->limit - differences->count) {
        return false;
    }
    for (size_t i = 0; i < event->changes->n_changes; i++) {
        differences->changes[differences->count++] = event->changes->changes[i];
    }
    differences->more = event->changes->more;
    return true;
}

mos_status mos_queue_diff(mos_queue *queue, const Mosaajii__Engine__V1__DiffRequest *request, int cancel_fd, mos_arena *arena,
                          Mosaajii__Engine__V1__Change ***out, size_t *out_count, bool *out_more, struct mos_error *error) {
    struct differences differences = {.limit = (size_t)request->limit};
    differences.changes = mos_arena_array(arena, Mosaajii__Engine__V1__Change *, differences.limit);
    engine_request whole = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    whole.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_DIFF;
    whole.diff = (Mosaajii__Engine__V1__DiffRequest *)request;
    const engine_result *result;
    mos_status status = ask(queue, &whole, cancel_fd, arena, take_changes, &differences, &result, error);
    *out = differences.changes;
    *out_count = differences.count;
    *out_more = differences.more;
    return status;
}

// ---- The content of a file ----

struct taker {
    mos_status (*take)(void *context, int64_t offset, ProtobufCBinaryData data, struct mos_error *error);
    void *context;
};

static mos_status take_content(const engine_event *event, void *argument, struct mos_error *error) {
    const struct taker *taker = argument;
    return event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_CONTENT
               ? taker->take(taker->context, event->content->offset, event->content->data, error)
               : MOS_OK;
}

mos_status mos_queue_read_file(mos_queue *queue, const Mosaajii__Engine__V1__ReadRequest *request, int cancel_fd,
                               mos_status (*take)(void *context, int64_t offset, ProtobufCBinaryData data, struct mos_error *error),
                               void *context, struct mos_error *error) {
    engine_request whole = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    whole.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_READ;
    whole.read = (Mosaajii__Engine__V1__ReadRequest *)request;
    struct taker taker = {take, context};
    pthread_mutex_lock(&queue->mutex);
    bool full = queue->readings == MOS_QUEUE_READINGS;
    queue->readings += !full;
    pthread_mutex_unlock(&queue->mutex);
    if (full) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "%d files are being read already; try again when one is done", MOS_QUEUE_READINGS);
    }
    mos_status status = mos_engine_stream(&queue->engine, &whole, cancel_fd, take_content, &taker, error);
    pthread_mutex_lock(&queue->mutex);
    queue->readings--;
    pthread_mutex_unlock(&queue->mutex);
    return status;
}

// ---- The repository ----

mos_status mos_queue_init(mos_queue *queue, mos_arena *arena, const Mosaajii__Engine__V1__Repository **out, struct mos_error *error) {
    Mosaajii__Engine__V1__InitRequest operation = MOSAAJII__ENGINE__V1__INIT_REQUEST__INIT;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_INIT;
    request.init = &operation;
    const engine_result *result;
    mos_status status = ask(queue, &request, -1, arena, NULL, NULL, &result, error);
    if (status == MOS_OK && result->result_case != MOSAAJII__ENGINE__V1__RESULT__RESULT_REPOSITORY) {
        status = mos_fail(error, MOS_INTERNAL, "the engine does not say which repository it opened");
    }
    if (status == MOS_OK) {
        *out = result->repository;
    }
    return status;
}

static bool changes_keys(const engine_request *request) {
    return request->operation_case == MOSAAJII__ENGINE__V1__REQUEST__OPERATION_ROTATE_KEY ||
           request->operation_case == MOSAAJII__ENGINE__V1__REQUEST__OPERATION_RETIRE_KEY ||
           (request->operation_case == MOSAAJII__ENGINE__V1__REQUEST__OPERATION_ESCROW && request->escrow->content.len > 0);
}

// One after another, before they take one of the turns that others wait for too.
static void begin_change(mos_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    while (queue->keys_changing) {
        pthread_cond_wait(&queue->keys_free, &queue->mutex);
    }
    queue->keys_changing = true;
    pthread_mutex_unlock(&queue->mutex);
}

static void end_change(mos_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    queue->keys_changing = false;
    pthread_cond_signal(&queue->keys_free);
    pthread_mutex_unlock(&queue->mutex);
}

mos_status mos_queue_keys(mos_queue *queue, const engine_request *request, mos_arena *arena, const Mosaajii__Engine__V1__KeyReport **out,
                          struct mos_error *error) {
    const engine_result *result;
    bool changes = changes_keys(request);
    if (changes) {
        begin_change(queue);
    }
    mos_status status = ask(queue, request, -1, arena, NULL, NULL, &result, error);
    if (changes) {
        end_change(queue);
    }
    if (status == MOS_OK && result->result_case != MOSAAJII__ENGINE__V1__RESULT__RESULT_KEYS) {
        status = mos_fail(error, MOS_INTERNAL, "the engine does not say which keys there are");
    }
    if (status == MOS_OK) {
        *out = result->keys;
    }
    return status;
}

// `backup_id` "": of all.
static mos_status inventory(mos_queue *queue, const char *backup_id, mos_arena *arena,
                            bool (*each)(const engine_event *event, void *argument), void *argument, struct mos_error *error) {
    Mosaajii__Engine__V1__InventoryRequest operation = MOSAAJII__ENGINE__V1__INVENTORY_REQUEST__INIT;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    operation.backup_id = (char *)backup_id;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_INVENTORY;
    request.inventory = &operation;
    const engine_result *result;
    return ask(queue, &request, -1, arena, each, argument, &result, error);
}

struct search {
    const char *backup_id;
    const backup_record *found;
};

static bool look_for_backup(const engine_event *event, void *argument) {
    struct search *search = argument;
    if (event->event_case == MOSAAJII__ENGINE__V1__EVENT__EVENT_BACKUP && event->backup->info &&
        strcmp(event->backup->info->id, search->backup_id) == 0) {
        search->found = event->backup;
    }
    return true;
}

mos_status mos_queue_find_committed(mos_queue *queue, const char *backup_id, mos_arena *arena, const backup_record **out,
                                    struct mos_error *error) {
    struct search search = {.backup_id = backup_id};
    mos_status status = inventory(queue, backup_id, arena, look_for_backup, &search, error);
    *out = search.found;
    return status;
}

// ---- For other storage ----

struct objects {
    bool (*each)(const Mosaajii__Engine__V1__BackupObjects *objects, void *argument);
    void *argument;
};

static bool take_objects(const engine_event *event, void *argument) {
    const struct objects *objects = argument;
    return event->event_case != MOSAAJII__ENGINE__V1__EVENT__EVENT_OBJECTS || objects->each(event->objects, objects->argument);
}

mos_status mos_queue_objects(mos_queue *queue, char *const *backup_ids, size_t count, mos_arena *arena,
                             bool (*each)(const Mosaajii__Engine__V1__BackupObjects *objects, void *argument), void *argument,
                             struct mos_error *error) {
    Mosaajii__Engine__V1__ObjectsRequest operation = MOSAAJII__ENGINE__V1__OBJECTS_REQUEST__INIT;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    operation.backup_ids = (char **)backup_ids;
    operation.n_backup_ids = count;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_OBJECTS;
    request.objects = &operation;
    struct objects objects = {each, argument};
    const engine_result *result;
    return ask(queue, &request, -1, arena, take_objects, &objects, &result, error);
}

mos_status mos_queue_seal(mos_queue *queue, const char *path, const char *name, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__SealRequest operation = MOSAAJII__ENGINE__V1__SEAL_REQUEST__INIT;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    operation.path = (char *)path;
    operation.name = (char *)name;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_SEAL;
    request.seal = &operation;
    const engine_result *result;
    return ask(queue, &request, -1, arena, NULL, NULL, &result, error);
}

mos_status mos_queue_unseal(mos_queue *queue, const char *name, const char *path, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__UnsealRequest operation = MOSAAJII__ENGINE__V1__UNSEAL_REQUEST__INIT;
    engine_request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    operation.path = (char *)path;
    operation.name = (char *)name;
    request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_UNSEAL;
    request.unseal = &operation;
    const engine_result *result;
    return ask(queue, &request, -1, arena, NULL, NULL, &result, error);
}

mos_status mos_queue_learn(mos_queue *queue, const char *backup_id, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const backup_record *record = NULL;
    bool added;
    mos_status status = mos_queue_find_committed(queue, backup_id, arena, &record, error);
    if (status == MOS_OK && !record) {
        status = mos_fail(error, MOS_NOT_FOUND, "the repository has no backup %.64s", backup_id);
    }
    if (status == MOS_OK && record->error[0]) {
        status = mos_fail(error, MOS_CORRUPT, "%s", record->error);
    }
    return status == MOS_OK ? mos_record_found(queue->catalog, record, queue->engine.repository, &added, error) : status;
}

// ---- Rebuilding the catalog ----

struct rebuild {
    mos_queue *queue;
    int64_t added;
    mos_status status;
    struct mos_error error;
};

static bool add_backup(const engine_event *event, void *argument) {
    struct rebuild *rebuild = argument;
    if (event->event_case != MOSAAJII__ENGINE__V1__EVENT__EVENT_BACKUP || !event->backup->info) {
        return true;
    }
    if (event->backup->error[0]) {
        mos_log_warning("a backup in the repository cannot be read", MOS_TEXT("backup", event->backup->info->id),
                        MOS_TEXT("reason", event->backup->error));
        return true;
    }
    bool added = false;
    rebuild->status = mos_record_found(rebuild->queue->catalog, event->backup, rebuild->queue->engine.repository, &added, &rebuild->error);
    rebuild->added += added;
    return rebuild->status == MOS_OK;
}

mos_status mos_queue_rebuild(mos_queue *queue, int64_t *out_added, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct rebuild rebuild = {.queue = queue};
    mos_status status = inventory(queue, "", arena, add_backup, &rebuild, error);
    *out_added = rebuild.added;
    if (rebuild.status != MOS_OK && error) {
        *error = rebuild.error;
    }
    return rebuild.status != MOS_OK ? rebuild.status : status;
}

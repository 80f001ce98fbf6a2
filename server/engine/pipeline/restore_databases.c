#include <stdio.h>
#include <string.h>

#include "engine/pipeline/content.h"
#include "engine/pipeline/databases.h"
#include "engine/pipeline/operation.h"
#include "engine/pipeline/selection.h"

typedef const Mosaajii__Engine__V1__Database *recorded_database;

recorded_database mos_restore_find_database(const struct mos_database_restore *restore, const char *name) {
    const Mosaajii__Engine__V1__BackupInfo *info = mos_reader_info(restore->reader);
    for (size_t i = 0; i < info->n_databases; i++) {
        if (strcmp(info->databases[i]->name, name) == 0) {
            return info->databases[i];
        }
    }
    return NULL;
}

// The entry belongs to a database that the backup holds.
static bool is_extra(const struct mos_database_restore *restore, const char *name) {
    const Mosaajii__Engine__V1__BackupInfo *info = mos_reader_info(restore->reader);
    for (size_t i = 0; i < info->n_databases; i++) {
        const struct mos_database_driver *driver = mos_database_driver_of(info->databases[i]->engine);
        size_t length = strlen(info->databases[i]->name);
        for (const char *const *extra = driver ? driver->extras : NULL; extra && *extra; extra++) {
            if (strncmp(name, info->databases[i]->name, length) == 0 && strcmp(name + length, *extra) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void take_checks(const struct mos_database_restore *restore, mos_database_check **checks, size_t count) {
    Mosaajii__Engine__V1__Restoration *out = restore->out;
    for (size_t i = 0; i < count && out->n_checks < MOS_RESTORE_CHECKS_MOST; i++) {
        out->checks[out->n_checks++] = checks[i];
    }
}

void mos_restore_check_file(const struct mos_database_restore *restore, const struct mos_entry *entry, const char *path) {
    recorded_database recorded = mos_restore_find_database(restore, entry->path);
    const struct mos_database_driver *driver = recorded ? mos_database_driver_of(recorded->engine) : NULL;
    mos_database_check **checks = NULL;
    size_t count = 0;
    if (!driver) {
        return;
    }
    driver->check_file(path, recorded, restore->arena, &checks, &count);
    take_checks(restore, checks, count);
    for (size_t i = 0; i < count; i++) {
        if (!checks[i]->passed) {
            mos_job_warn(restore->job, entry->path, entry->path_bytes,
                         mos_arena_printf(restore->arena, "the restored database differs from the one that was backed up (%s): %s",
                                          checks[i]->name, checks[i]->message));
        }
    }
}

// ---- What the backup holds, for a driver ----

struct content {
    mos_reader *reader;
    const char *name;
};

static mos_status feed(void *context, const char *extra, mos_database_sink sink, void *sink_context, struct mos_error *error) {
    const struct content *content = context;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const char *name = mos_arena_printf(arena, "%s%s", content->name, extra ? extra : "");
    mos_tree_reader *tree;
    const struct mos_entry *entry = NULL;
    mos_status status = mos_tree_open(content->reader, name, strlen(name), &tree, error);
    if (status) {
        return status;
    }
    status = mos_tree_next(tree, &entry, error);
    if (status == MOS_OK && (!entry || entry->type != MOS_ENTRY_DATABASE || strcmp(entry->path, name) != 0)) {
        status = mos_fail(error, MOS_NOT_FOUND, "the backup holds no %s", name);
    }
    status = status ? status : mos_content_all(content->reader, tree, entry, sink, sink_context, error);
    mos_tree_close(tree);
    return status;
}

// Nothing tells of a database on a server that an earlier run has brought it back, so that such a run is made again.
static bool replaces(const struct mos_database_restore *restore) {
    return restore->request->existing == MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__REPLACE ||
           restore->request->existing == MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__RESUME;
}

static mos_status load(const struct mos_database_restore *restore, const struct mos_database *target, recorded_database recorded,
                       struct mos_error *error) {
    struct content held = {restore->reader, recorded->name};
    const struct mos_database_content content = {feed, &held};
    mos_database_check **checks = NULL;
    size_t count = 0;
    mos_status status = target->driver->load(target, recorded, &content, replaces(restore), &checks, &count, error);
    take_checks(restore, checks, count);
    return status;
}

static struct mos_database new_target(const struct mos_database_restore *restore) {
    return (struct mos_database){.scratch = restore->scratch,
                                 .cancelled = mos_job_cancelled,
                                 .warn = mos_job_warn,
                                 .context = restore->job,
                                 .arena = restore->arena};
}

// ---- In place ----

// With the password, where the request gives one for this account.
static mos_status open_origin(const struct mos_database_restore *restore, recorded_database recorded, struct mos_database *out,
                              struct mos_error *error) {
    const Mosaajii__Engine__V1__RestoreRequest *request = restore->request;
    *out = new_target(restore);
    mos_status status = mos_database_open("origin", recorded->origin, out, error);
    for (size_t i = 0; status == MOS_OK && i < request->n_databases; i++) {
        struct mos_database_url known;
        if (mos_database_url_parse("databases", request->databases[i], restore->arena, &known, NULL) == MOS_OK &&
            mos_database_url_same_account(&known, &out->url)) {
            out->url.password = known.password;
        }
    }
    return status;
}

bool mos_restore_is_in_place(const struct mos_database_restore *restore, const struct mos_entry *entry) {
    recorded_database recorded = mos_restore_find_database(restore, entry->path);
    struct mos_database origin;
    bool there = false;
    return recorded && open_origin(restore, recorded, &origin, NULL) == MOS_OK && origin.driver->there(&origin, &there, NULL) == MOS_OK &&
           there;
}

mos_status mos_restore_in_place(const struct mos_database_restore *restore, const struct mos_entry *entry, struct mos_error *error) {
    recorded_database recorded = mos_restore_find_database(restore, entry->path);
    struct mos_error cause = {0};
    struct mos_database origin;
    mos_status status;
    if (!recorded && is_extra(restore, entry->path)) {
        return MOS_OK;
    }
    if (recorded) {
        status = open_origin(restore, recorded, &origin, &cause);
        status = status ? status : load(restore, &origin, recorded, &cause);
    } else {
        status = mos_fail(&cause, MOS_CORRUPT, "the backup does not say where it came from");
    }
    if (status == MOS_CANCELLED || status == MOS_NO_SPACE) {
        *error = cause;
        return status;
    }
    if (status == MOS_ALREADY_EXISTS) {
        restore->out->files_skipped++;
    } else if (status) {
        mos_job_warn(restore->job, entry->path, entry->path_bytes, cause.message);
        restore->out->files_failed++;
    } else {
        restore->out->files_restored++;
        restore->out->bytes_written += (int64_t)entry->size_bytes;
    }
    mos_job_advance(restore->job, 1, (int64_t)entry->size_bytes, entry->path, entry->path_bytes);
    return MOS_OK;
}

// ---- Into a server ----

// The one database of the driver's kind that is selected, and its size.
static mos_status choose(const struct mos_database_restore *restore, const struct mos_database_driver *driver, recorded_database *out,
                         int64_t *out_bytes, struct mos_error *error) {
    const Mosaajii__Engine__V1__RestoreRequest *request = restore->request;
    mos_selection *selection;
    size_t found = 0;
    mos_status status = mos_selection_open(restore->reader, request->include, request->n_include, &selection, error);
    if (status) {
        return status;
    }
    for (;;) {
        const struct mos_entry *entry;
        status = mos_job_check(restore->job, error);
        status = status ? status : mos_selection_next(selection, &entry, NULL, error);
        if (status == MOS_CORRUPT) {
            // Of files, most of the time; a lost database is missed below.
            continue;
        }
        if (status || !entry) {
            break;
        }
        recorded_database recorded = entry->type == MOS_ENTRY_DATABASE ? mos_restore_find_database(restore, entry->path) : NULL;
        if (recorded && strcmp(recorded->engine, driver->engine) == 0) {
            *out = recorded;
            *out_bytes = (int64_t)entry->size_bytes;
            found++;
        }
    }
    mos_selection_close(selection);
    if (status == MOS_OK && found != 1) {
        return found ? mos_fail_field(error, "include", "the backup holds %zu databases that could go to the target; include must name one",
                                      found)
                     : mos_fail_field(error, "target", "%s no %s database that could go to the target",
                                      request->n_include ? "include names" : "the backup holds", driver->engine);
    }
    return status;
}

mos_status mos_restore_into_server(const struct mos_database_restore *restore, struct mos_error *error) {
    const Mosaajii__Engine__V1__RestoreRequest *request = restore->request;
    Mosaajii__Engine__V1__Restoration *out = restore->out;
    const char *url = mos_arena_printf(restore->arena, "%.*s", (int)request->target.len, (const char *)request->target.data);
    struct mos_database target = new_target(restore);
    recorded_database recorded = NULL;
    int64_t size_bytes = 0;
    mos_status status = mos_database_open("target", url, &target, error);
    if (status) {
        return status;
    }
    out->target = (ProtobufCBinaryData){.data = (uint8_t *)target.shown, .len = strlen(target.shown)};
    status = choose(restore, target.driver, &recorded, &size_bytes, error);
    if (status || !recorded) {
        return status;
    }
    if (request->preview) {
        bool there;
        status = target.driver->there(&target, &there, error);
        if (status == MOS_OK && there && !replaces(restore)) {
            return mos_fail(error, MOS_ALREADY_EXISTS, "the database %s is not empty, and replacing it was not asked for", target.shown);
        }
        out->preview = mos_arena_array(restore->arena, ProtobufCBinaryData, 1);
        // The result outlives the reader.
        out->preview[out->n_preview++] = (ProtobufCBinaryData){
            .data = mos_arena_memdup(restore->arena, recorded->name, strlen(recorded->name)), .len = strlen(recorded->name)};
    } else {
        mos_job_phase(restore->job, "restoring");
        mos_job_totals(restore->job, 1, size_bytes);
        status = load(restore, &target, recorded, error);
    }
    if (status == MOS_OK) {
        out->files_restored++;
        out->bytes_written += size_bytes;
        mos_job_advance(restore->job, 1, size_bytes, NULL, 0);
        mos_job_report(restore->job);
    }
    return status;
}

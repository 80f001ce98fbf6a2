#include "control/job/parent.h"

#include <string.h>

#include "control/catalog/backups.h"
#include "control/job/facts.h"

typedef Mosaajii__Engine__V1__BackupRequest backup_request;
typedef Mosaajii__Engine__V1__BackupInfo backup_info;

struct search {
    const backup_request *request;
    mos_arena *arena;
    char *found;
};

static bool has_path(const ProtobufCBinaryData *paths, size_t count, const ProtobufCBinaryData *wanted) {
    for (size_t i = 0; i < count; i++) {
        if (paths[i].len == wanted->len && (wanted->len == 0 || memcmp(paths[i].data, wanted->data, wanted->len) == 0)) {
            return true;
        }
    }
    return false;
}

static bool has_paths(const ProtobufCBinaryData *paths, size_t count, const ProtobufCBinaryData *wanted, size_t wanted_count) {
    for (size_t i = 0; i < wanted_count; i++) {
        if (!has_path(paths, count, &wanted[i])) {
            return false;
        }
    }
    return true;
}

static bool same_sources(const backup_request *request, const backup_info *info) {
    return (request->n_databases > 0) == (info->n_databases > 0) &&
           has_paths(request->paths, request->n_paths, info->source_paths, info->n_source_paths) &&
           has_paths(info->source_paths, info->n_source_paths, request->paths, request->n_paths);
}

static bool consider(const struct mos_backup *backup, void *argument) {
    struct search *search = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const backup_info *info = mos_backup_info(&backup->facts, arena);
    if (info && same_sources(search->request, info)) {
        search->found = mos_arena_strdup(search->arena, backup->id);
    }
    return !search->found;
}

mos_status mos_parent_choose(mos_catalog *catalog, backup_request *request, mos_arena *arena, struct mos_error *error) {
    backup_info *info = request->info;
    enum mos_backup_type type = mos_backup_type_from_word(info->type);
    struct search search = {.request = request, .arena = arena};
    MOS_CLEANUP_READ mos_catalog_session *session = NULL;
    mos_status status = mos_catalog_read_begin(catalog, &session, error);
    if (status == MOS_OK) {
        status = mos_catalog_good_backups(session, type == MOS_BACKUP_DIFFERENTIAL ? MOS_BACKUP_FULL : 0, consider, &search, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    request->base_id = search.found ? search.found : "";
    if (type == MOS_BACKUP_INCREMENTAL || type == MOS_BACKUP_DIFFERENTIAL) {
        info->parent_id = request->base_id;
        if (!search.found) {
            info->note = type == MOS_BACKUP_INCREMENTAL ? "There is no earlier good backup of the same sources, so everything was read"
                                                        : "There is no good FULL backup of the same sources, so everything was read";
        }
    }
    return MOS_OK;
}

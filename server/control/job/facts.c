#include "control/job/facts.h"

#include <string.h>

#include <mosaajii/engine/v1/engine.pb-c.h>

Mosaajii__Engine__V1__BackupInfo *mos_backup_info(const struct mos_blob *facts, mos_arena *arena) {
    const Mosaajii__Engine__V1__BackupRecord *record =
        mosaajii__engine__v1__backup_record__unpack(mos_arena_allocator(arena), facts->size_bytes, facts->data);
    return record ? record->info : NULL;
}

// FNV-1a over the text and its end.
static uint64_t mix(uint64_t state, const void *data, size_t size_bytes) {
    const uint8_t *next = data;
    for (size_t i = 0; i < size_bytes; i++) {
        state = (state ^ next[i]) * UINT64_C(0x100000001b3);
    }
    return (state ^ 0xff) * UINT64_C(0x100000001b3);
}

// All backups of all sources are of one kind, whatever they were compared with.
static int kind_of(enum mos_backup_type type) {
    return mos_backup_type_of_all(type) ? MOS_BACKUP_FULL : (int)type;
}

bool mos_backup_facts_of(enum mos_backup_type type, const struct mos_blob *facts, struct mos_backup_facts *out) {
    *out = (struct mos_backup_facts){0};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    const Mosaajii__Engine__V1__BackupInfo *info = mos_backup_info(facts, arena);
    if (!info) {
        return false;
    }
    int kind = kind_of(type);
    out->source = mix(UINT64_C(0xcbf29ce484222325), &kind, sizeof(kind));
    for (size_t i = 0; i < info->n_source_paths; i++) {
        out->source = mix(out->source, info->source_paths[i].data, info->source_paths[i].len);
    }
    for (size_t i = 0; i < info->n_databases; i++) {
        out->source = mix(out->source, info->databases[i]->origin, strlen(info->databases[i]->origin));
    }
    if (info->statistics) {
        out->duration_ms = info->statistics->duration_ms;
        out->bytes_read = info->statistics->bytes_read;
        out->bytes_new = info->statistics->bytes_new;
        out->bytes_written = info->statistics->bytes_written;
    }
    return true;
}

#include "engine/repo/prune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "engine/repo/aside.h"
#include "engine/repo/index.h"
#include "engine/repo/manifest.h"
#include "engine/repo/repository_internal.h"
#include "engine/repo/rewrite.h"

enum {
    // Rewritten between two sweeps: what the repository may grow by meanwhile.
    BATCH_BYTES = 256 << 20,
    // Dead bytes that are put up with, as a share of all: one in so many.
    DEAD_SHARE = 20,
    // Packs removed before readers that wait for the lock get their turn.
    REMOVED_AT_ONCE = 64,
};

// A pack that is there.
struct stored {
    uint8_t id[MOS_PACK_ID_BYTES];
    int64_t size_bytes;
    int64_t changed_unix_ns;
    // Of what no backup needs: the whole pack, or the needless part of it.
    int64_t dead_bytes;
    // No backup names it.
    bool unneeded;
    // All that is needed of it lies in other packs.
    bool moved;
    bool rewrite;
    bool removed;
};

struct prune {
    mos_repository *repository;
    const struct mos_prune_options *options;
    struct mos_pruning *out;
    struct mos_live live;
    struct stored *stored;
    size_t stored_count;
    mos_index *index;
    // lock/running, shared.
    int running;
    int64_t now_unix_ns;
};

static mos_status check_cancelled(const struct prune *prune, struct mos_error *error) {
    return prune->options->cancelled && prune->options->cancelled(prune->options->context) ? mos_fail(error, MOS_CANCELLED, "cancelled")
                                                                                           : MOS_OK;
}

static void report(const struct prune *prune, const char *phase, int64_t bytes_done, int64_t bytes_total) {
    if (prune->options->progress) {
        prune->options->progress(prune->options->context, phase, bytes_done, bytes_total);
    }
}

static void notice(struct prune *prune, const char *what, const char *reason) {
    if (!*prune->out->notice) {
        snprintf(prune->out->notice, sizeof(prune->out->notice), "%s: %.400s", what, reason);
    }
}

// ---- What there is ----

static int compare_stored(const void *a, const void *b) {
    return memcmp(((const struct stored *)a)->id, ((const struct stored *)b)->id, MOS_PACK_ID_BYTES);
}

static struct stored *find_stored(const struct prune *prune, const uint8_t id[MOS_PACK_ID_BYTES]) {
    struct stored wanted;
    memcpy(wanted.id, id, sizeof(wanted.id));
    return prune->stored_count ? bsearch(&wanted, prune->stored, prune->stored_count, sizeof(wanted), compare_stored) : NULL;
}

static mos_status list_folder(struct prune *prune, const char *folder, size_t *capacity, struct mos_error *error) {
    char path[MOS_OBJECT_NAME_BYTES];
    struct mos_names names;
    snprintf(path, sizeof(path), "packs/%s", folder);
    mos_status status = mos_folder_list(prune->repository->root, path, &names, error);
    for (size_t i = 0; i < names.count && status == MOS_OK; i++) {
        struct stored stored = {0};
        char name[MOS_OBJECT_NAME_BYTES];
        if (!mos_hex_decode(names.names[i], stored.id, sizeof(stored.id)) || memcmp(names.names[i], folder, 2) != 0) {
            continue;
        }
        mos_pack_name(stored.id, name);
        // Gone meanwhile, or something that only has a pack's name: nothing of ours.
        if (mos_file_size(prune->repository->root, name, &stored.size_bytes, NULL) == MOS_OK &&
            mos_file_time(prune->repository->root, name, &stored.changed_unix_ns, NULL) == MOS_OK) {
            if (prune->stored_count == *capacity) {
                *capacity = *capacity ? 2 * *capacity : 256;
                prune->stored = mos_realloc(prune->stored, *capacity * sizeof(stored));
            }
            prune->stored[prune->stored_count++] = stored;
        }
    }
    mos_names_free(&names);
    return status;
}

static mos_status list_packs(struct prune *prune, struct mos_error *error) {
    struct mos_names folders;
    size_t capacity = 0;
    mos_status status = mos_folder_list(prune->repository->root, "packs", &folders, error);
    for (size_t i = 0; i < folders.count && status == MOS_OK; i++) {
        if (strlen(folders.names[i]) == 2) {
            status = list_folder(prune, folders.names[i], &capacity, error);
        }
    }
    mos_names_free(&folders);
    if (prune->stored_count) {
        qsort(prune->stored, prune->stored_count, sizeof(*prune->stored), compare_stored);
    }
    return status;
}

static mos_status read_frames(const struct prune *prune, const struct mos_pack *pack, struct mos_frame **out) {
    mos_aead *aead = mos_aead_create(&pack->key);
    mos_status status = mos_pack_footer_read(prune->repository->root, pack, aead, out, NULL);
    mos_aead_destroy(aead);
    return status;
}

// What has its home in the pack.
static int64_t claim_bytes(struct prune *prune, uint32_t position, const struct mos_frame *frames) {
    int64_t bytes = 0;
    for (uint32_t i = 0; i < prune->live.packs.packs[position].frame_count; i++) {
        bytes += mos_live_claim(&prune->live, &frames[i].id, position, i) ? frames[i].sealed_bytes : 0;
    }
    return bytes;
}

// Whether all that is needed of the pack lies in packs that it was moved to and that are there.
static bool moved_completely(const struct prune *prune, const struct mos_pack *pack, const struct mos_frame *frames) {
    struct mos_pack_list list = {0};
    struct mos_chunk_map there = {0};
    bool complete = mos_pack_list_follow(&list, prune->repository->root, pack, true, NULL, NULL) == MOS_OK;
    for (size_t i = 0; i < list.count && complete; i++) {
        const struct mos_pack *target = &list.packs[i];
        struct mos_frame *found = NULL;
        char name[MOS_OBJECT_NAME_BYTES];
        int64_t size = 0;
        mos_pack_name(target->id, name);
        if (memcmp(target->id, pack->id, sizeof(pack->id)) == 0 || mos_file_size(prune->repository->root, name, &size, NULL) != MOS_OK ||
            (uint64_t)size != target->size_bytes || read_frames(prune, target, &found) != MOS_OK) {
            continue;
        }
        for (uint32_t f = 0; f < target->frame_count; f++) {
            if (!mos_chunk_map_find(&there, &found[f].id)) {
                mos_chunk_map_insert(&there, &found[f].id, 0, 0);
            }
        }
        free(found);
    }
    for (uint32_t i = 0; i < pack->frame_count && complete; i++) {
        complete = !mos_live_has(&prune->live, &frames[i].id) || mos_chunk_map_find(&there, &frames[i].id);
    }
    mos_chunk_map_free(&there);
    mos_pack_list_free(&list);
    return complete;
}

static bool has_moved_object(const struct prune *prune, const uint8_t id[MOS_PACK_ID_BYTES]) {
    char name[MOS_OBJECT_NAME_BYTES];
    int64_t size;
    mos_moved_name(id, name);
    return mos_file_size(prune->repository->root, name, &size, NULL) != MOS_NOT_FOUND;
}

// How much of a pack that backups name is needed. A pack of which that is not known stays as it is.
static mos_status examine(struct prune *prune, struct stored *stored, uint32_t position, const struct mos_aside *aside,
                          struct mos_error *error) {
    const struct mos_pack *pack = &prune->live.packs.packs[position];
    struct mos_frame *frames = NULL;
    if (prune->live.whole[position] || (uint64_t)stored->size_bytes != pack->size_bytes || read_frames(prune, pack, &frames) != MOS_OK) {
        return MOS_OK;
    }
    mos_status status = MOS_OK;
    stored->moved = has_moved_object(prune, pack->id) && moved_completely(prune, pack, frames);
    stored->dead_bytes = stored->size_bytes;
    if (!stored->moved) {
        // A pack's own bytes are dead in the same part as its content.
        int64_t content = stored->size_bytes - (int64_t)(MOS_PACK_HEADER_BYTES + pack->footer_bytes + MOS_PACK_TRAILER_BYTES);
        double dead = (double)(content - claim_bytes(prune, position, frames)) / (double)(content > 0 ? content : 1);
        stored->dead_bytes = (int64_t)(dead * (double)stored->size_bytes);
        // A prune that was killed may have left a pack out of the index that backups rely on.
        if (!prune->options->dry_run && !mos_aside_has(aside, pack->id) && !mos_index_has_pack(prune->index, pack->id)) {
            status = mos_index_add(prune->repository, pack, frames, error);
        }
    }
    free(frames);
    return status;
}

static bool is_old(const struct prune *prune, int64_t changed_unix_ns) {
    return (prune->now_unix_ns - changed_unix_ns) / MOS_NS_PER_SECOND >= prune->options->grace_seconds;
}

static mos_status set_aside(struct prune *prune, const struct stored *stored, const struct mos_aside *aside, struct mos_error *error) {
    bool wanted = stored->moved || (stored->unneeded && is_old(prune, stored->changed_unix_ns));
    return wanted && !prune->options->dry_run && !mos_aside_has(aside, stored->id)
               ? mos_aside_add(prune->repository->root, stored->id, error)
               : MOS_OK;
}

static mos_status classify(struct prune *prune, struct mos_error *error) {
    struct mos_aside aside;
    mos_status status = mos_aside_list(prune->repository->root, &aside, error);
    for (size_t i = 0; i < prune->stored_count && status == MOS_OK; i++) {
        struct stored *stored = &prune->stored[i];
        uint32_t position = mos_pack_list_find(&prune->live.packs, stored->id);
        status = check_cancelled(prune, error);
        if (status == MOS_OK && position == MOS_NO_PACK) {
            stored->unneeded = true;
            stored->dead_bytes = stored->size_bytes;
        } else if (status == MOS_OK) {
            status = examine(prune, stored, position, &aside, error);
        }
        status = status == MOS_OK ? set_aside(prune, stored, &aside, error) : status;
    }
    if (prune->options->dry_run) {
        for (size_t i = 0; i < prune->stored_count; i++) {
            struct stored *stored = &prune->stored[i];
            if (stored->moved || (stored->unneeded && (is_old(prune, stored->changed_unix_ns) || mos_aside_has(&aside, stored->id)))) {
                prune->out->packs_removed += stored->unneeded;
                prune->out->bytes_freed += stored->dead_bytes;
            } else if (stored->unneeded) {
                prune->out->bytes_pending += stored->dead_bytes;
            }
        }
    }
    mos_aside_free(&aside);
    return status;
}

// ---- What is rewritten ----

static int deadest_first(const void *a, const void *b) {
    const struct stored *left = *(const struct stored *const *)a;
    const struct stored *right = *(const struct stored *const *)b;
    double share_left = (double)left->dead_bytes / (double)left->size_bytes;
    double share_right = (double)right->dead_bytes / (double)right->size_bytes;
    return share_left > share_right ? -1 : share_left < share_right;
}

// *out: packs to rewrite, the deadest first; the caller's (free).
static size_t choose(struct prune *prune, struct stored ***out) {
    struct stored **chosen = mos_calloc(prune->stored_count + 1, sizeof(struct stored *));
    size_t count = 0;
    int64_t total = 0, dead = 0;
    for (size_t i = 0; i < prune->stored_count; i++) {
        struct stored *stored = &prune->stored[i];
        if (!stored->unneeded && !stored->moved) {
            total += stored->size_bytes;
            if (stored->dead_bytes > 0) {
                dead += stored->dead_bytes;
                chosen[count++] = stored;
            }
        }
    }
    if (count > 0) {
        qsort(chosen, count, sizeof(struct stored *), deadest_first);
    }
    size_t wanted = 0;
    while (wanted < count && (dead > (total - dead) / DEAD_SHARE || chosen[wanted]->dead_bytes >= chosen[wanted]->size_bytes / 2)) {
        dead -= chosen[wanted]->dead_bytes;
        total -= chosen[wanted]->dead_bytes;
        chosen[wanted++]->rewrite = true;
    }
    *out = chosen;
    return wanted;
}

static mos_status rewrite_batch(struct prune *prune, struct stored **chosen, size_t count, struct mos_error *error) {
    struct mos_rewrite_source *sources = mos_calloc(count + 1, sizeof(*sources));
    struct mos_frame **frames = mos_calloc(count + 1, sizeof(struct mos_frame *));
    size_t source_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t position = mos_pack_list_find(&prune->live.packs, chosen[i]->id);
        const struct mos_pack *pack = &prune->live.packs.packs[position];
        char moved[MOS_OBJECT_NAME_BYTES];
        if (read_frames(prune, pack, &frames[source_count]) == MOS_OK) {
            // One that does not lead to all that is needed, or the pack would not be rewritten again.
            mos_moved_name(pack->id, moved);
            mos_file_remove(prune->repository->root, moved, NULL);
            sources[source_count] = (struct mos_rewrite_source){.pack = pack, .frames = frames[source_count], .position = position};
            source_count++;
        }
    }
    mos_status status = mos_rewrite(prune->repository, &prune->live, sources, source_count, error);
    for (size_t i = 0; i < source_count; i++) {
        struct stored *stored = find_stored(prune, sources[i].pack->id);
        stored->moved = status == MOS_OK && sources[i].moved;
        prune->out->packs_rewritten += stored->moved;
        free(frames[i]);
    }
    free(frames);
    free(sources);
    return status;
}

// ---- What is removed ----

static void remove_old_keys(struct prune *prune) {
    struct mos_names owners;
    if (mos_folder_list(prune->repository->root, "keys", &owners, NULL) != MOS_OK) {
        return;
    }
    for (size_t i = 0; i < owners.count; i++) {
        char name[MOS_OBJECT_NAME_BYTES];
        int64_t size = 0, changed = 0;
        if (!mos_id_valid(owners.names[i])) {
            continue;
        }
        mos_manifest_name(owners.names[i], name);
        bool committed = mos_file_size(prune->repository->root, name, &size, NULL) != MOS_NOT_FOUND;
        mos_backup_keys_name(owners.names[i], name);
        // The folder's time is that of the last key put in or taken out.
        if (!committed && mos_file_time(prune->repository->root, name, &changed, NULL) == MOS_OK && is_old(prune, changed)) {
            mos_log_info("keys without a backup are removed", MOS_TEXT("keys", name));
            mos_repository_remove_keys(prune->repository, owners.names[i], &prune->out->bytes_freed, NULL);
        }
    }
    mos_names_free(&owners);
}

// Whether every backup that may have opened an index before now has ended. Backups that start wait for as long as this takes.
static mos_status pass_barrier(struct prune *prune, bool *out_passed, struct mos_error *error) {
    MOS_CLEANUP_FD int lock = -1;
    mos_close_cleanup(&prune->running);
    prune->running = -1;
    mos_status status = mos_lock_take(prune->repository->root, MOS_LOCK_RUNNING, true, false, &lock, error);
    *out_passed = status == MOS_OK;
    if (status == MOS_OK) {
        mos_repository_tidy(prune->repository, &prune->out->bytes_freed);
        remove_old_keys(prune);
    }
    mos_close_cleanup(&lock);
    lock = -1;
    if (status == MOS_OK || status == MOS_UNAVAILABLE) {
        status = mos_lock_take(prune->repository->root, MOS_LOCK_RUNNING, false, true, &prune->running, error);
    }
    return status;
}

static mos_status remove_pack(struct prune *prune, const uint8_t id[MOS_PACK_ID_BYTES], int64_t freed_bytes, struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    struct stored *stored = find_stored(prune, id);
    mos_pack_name(id, name);
    mos_status status = mos_file_remove(prune->repository->root, name, error);
    if (status == MOS_OK) {
        prune->out->bytes_freed += freed_bytes;
        if (stored) {
            stored->removed = true;
        }
        status = mos_aside_remove(prune->repository->root, id, error);
    }
    return status;
}

// A backup that ran when the pack was set aside needs it after all.
static mos_status bring_back(struct prune *prune, const struct mos_pack *pack, const struct mos_frame *frames, struct mos_error *error) {
    char moved[MOS_OBJECT_NAME_BYTES];
    struct stored *stored = find_stored(prune, pack->id);
    mos_moved_name(pack->id, moved);
    mos_status status = mos_file_remove(prune->repository->root, moved, error);
    // The mark first: an entry of a pack that is set aside would be dropped.
    status = status == MOS_OK ? mos_aside_remove(prune->repository->root, pack->id, error) : status;
    if (status == MOS_OK && frames) {
        status = mos_index_add(prune->repository, pack, frames, error);
    }
    if (stored) {
        stored->unneeded = false;
        stored->moved = false;
        stored->dead_bytes = 0;
    }
    return status;
}

// One pack that is set aside, now that nobody new can come to need it. *out_moved: it can go as soon as nobody reads a backup.
static mos_status settle(struct prune *prune, const uint8_t id[MOS_PACK_ID_BYTES], bool *out_moved, struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    int64_t size = 0;
    *out_moved = false;
    mos_pack_name(id, name);
    if (mos_file_size(prune->repository->root, name, &size, NULL) == MOS_NOT_FOUND) {
        return mos_aside_remove(prune->repository->root, id, error);
    }
    uint32_t position = mos_pack_list_find(&prune->live.packs, id);
    if (position == MOS_NO_PACK) {
        prune->out->packs_removed++;
        return remove_pack(prune, id, size, error);
    }
    const struct mos_pack *pack = &prune->live.packs.packs[position];
    struct mos_frame *frames = NULL;
    mos_status status = MOS_OK;
    bool known = read_frames(prune, pack, &frames) == MOS_OK;
    *out_moved = known && !prune->live.whole[position] && has_moved_object(prune, id) && moved_completely(prune, pack, frames);
    if (!*out_moved) {
        status = bring_back(prune, pack, frames, error);
    }
    free(frames);
    return status;
}

// Packs that were rewritten: manifests name them still, so not while somebody has looked one up and goes on reading.
static mos_status remove_moved(struct prune *prune, const uint8_t *ids, size_t count, struct mos_error *error) {
    MOS_CLEANUP_FD int lock = -1;
    mos_status status = MOS_OK;
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        if (i % REMOVED_AT_ONCE == 0) {
            mos_close_cleanup(&lock);
            lock = -1;
            status = mos_lock_take(prune->repository->root, MOS_LOCK_READING, true, false, &lock, error);
            if (status == MOS_UNAVAILABLE) {
                notice(prune, "packs that were rewritten stay for now", "a backup is being read");
                return MOS_OK;
            }
        }
        const uint8_t *id = ids + i * MOS_PACK_ID_BYTES;
        const struct mos_pack *pack = &prune->live.packs.packs[mos_pack_list_find(&prune->live.packs, id)];
        const struct stored *stored = find_stored(prune, id);
        struct mos_frame *frames = NULL;
        if (status == MOS_OK && read_frames(prune, pack, &frames) == MOS_OK) {
            // Again, because those before it are gone now.
            status = moved_completely(prune, pack, frames)
                         ? remove_pack(prune, id, stored ? stored->dead_bytes : (int64_t)pack->size_bytes, error)
                         : bring_back(prune, pack, frames, error);
        }
        free(frames);
    }
    return status;
}

// Moved objects of packs that no manifest leads to.
static mos_status remove_loose_ends(struct prune *prune, struct mos_error *error) {
    struct mos_names names;
    mos_status status = mos_folder_list(prune->repository->root, "moved", &names, error);
    for (size_t i = 0; i < names.count && status == MOS_OK; i++) {
        uint8_t id[MOS_PACK_ID_BYTES];
        if (mos_hex_decode(names.names[i], id, sizeof(id)) && mos_pack_list_find(&prune->live.packs, id) == MOS_NO_PACK) {
            char name[MOS_OBJECT_NAME_BYTES];
            int64_t size = 0;
            mos_moved_name(id, name);
            mos_file_size(prune->repository->root, name, &size, NULL);
            status = mos_file_remove(prune->repository->root, name, error);
            prune->out->bytes_freed += status == MOS_OK ? size : 0;
        }
    }
    mos_names_free(&names);
    return status;
}

static mos_status sweep(struct prune *prune, struct mos_error *error) {
    struct mos_aside aside;
    bool passed = false;
    // The marks that were there before the barrier, and no others.
    mos_status status = mos_aside_list(prune->repository->root, &aside, error);
    status = status == MOS_OK ? pass_barrier(prune, &passed, error) : status;
    if (status == MOS_OK && passed) {
        status = mos_live_update(&prune->live, error);
    }
    if (status == MOS_OK && !passed) {
        notice(prune, "what no backup needs stays for now", "a backup is running");
    } else if (status == MOS_OK && prune->live.unreadable > 0) {
        notice(prune, "nothing is removed, because a backup cannot be read", prune->live.unreadable_error.message);
    } else if (status == MOS_OK) {
        MOS_CLEANUP_FREE uint8_t *moved = mos_calloc(aside.count + 1, MOS_PACK_ID_BYTES);
        size_t moved_count = 0;
        for (size_t i = 0; i < aside.count && status == MOS_OK; i++) {
            const uint8_t *id = aside.ids + i * MOS_PACK_ID_BYTES;
            bool is_moved;
            status = settle(prune, id, &is_moved, error);
            if (status == MOS_OK && is_moved) {
                memcpy(moved + moved_count++ * MOS_PACK_ID_BYTES, id, MOS_PACK_ID_BYTES);
            }
        }
        status = status == MOS_OK ? remove_moved(prune, moved, moved_count, error) : status;
        status = status == MOS_OK ? remove_loose_ends(prune, error) : status;
    }
    mos_aside_free(&aside);
    return status;
}

// ---- All of it ----

static mos_status rewrite_and_sweep(struct prune *prune, struct mos_error *error) {
    struct stored **chosen;
    size_t count = choose(prune, &chosen);
    int64_t total = 0, done = 0;
    for (size_t i = 0; i < count; i++) {
        total += chosen[i]->size_bytes - chosen[i]->dead_bytes;
    }
    if (prune->options->dry_run) {
        for (size_t i = 0; i < count; i++) {
            prune->out->bytes_freed += chosen[i]->dead_bytes;
        }
        prune->out->packs_rewritten += (int64_t)count;
        free(chosen);
        return MOS_OK;
    }
    mos_status status = MOS_OK;
    size_t next = 0;
    do {
        size_t first = next;
        int64_t batch = 0;
        while (next < count && batch < BATCH_BYTES) {
            batch += chosen[next]->size_bytes - chosen[next]->dead_bytes;
            next++;
        }
        report(prune, count ? "rewriting" : "removing", done, total);
        status = next > first ? rewrite_batch(prune, chosen + first, next - first, error) : MOS_OK;
        done += batch;
        status = status == MOS_OK ? sweep(prune, error) : status;
        status = status == MOS_OK ? check_cancelled(prune, error) : status;
    } while (next < count && status == MOS_OK && prune->live.unreadable == 0);
    report(prune, count ? "rewriting" : "removing", done, total);
    free(chosen);
    return status;
}

static void count_pending(struct prune *prune) {
    for (size_t i = 0; i < prune->stored_count && !prune->options->dry_run; i++) {
        const struct stored *stored = &prune->stored[i];
        prune->out->bytes_pending += !stored->removed && (stored->unneeded || stored->moved) ? stored->dead_bytes : 0;
    }
}

static mos_status run(struct prune *prune, struct mos_error *error) {
    bool missing;
    report(prune, "marking", 0, 0);
    mos_status status = mos_index_open(prune->repository, &prune->index, &missing, error);
    status = status == MOS_OK ? mos_live_update(&prune->live, error) : status;
    if (status == MOS_OK && prune->live.unreadable > 0) {
        notice(prune, "nothing is removed, because a backup cannot be read", prune->live.unreadable_error.message);
        return MOS_OK;
    }
    status = status == MOS_OK ? list_packs(prune, error) : status;
    status = status == MOS_OK ? classify(prune, error) : status;
    status = status == MOS_OK ? rewrite_and_sweep(prune, error) : status;
    count_pending(prune);
    if (status == MOS_OK && !prune->options->dry_run) {
        // Drops what is gone from the index, and takes up what is new.
        mos_index_close(prune->index);
        prune->index = NULL;
        status = mos_index_open(prune->repository, &prune->index, &missing, error);
    }
    return status;
}

mos_status mos_repository_prune(mos_repository *repository, const struct mos_prune_options *options, struct mos_pruning *out,
                                struct mos_error *error) {
    *out = (struct mos_pruning){0};
    struct prune prune = {.repository = repository, .options = options, .out = out, .running = -1, .now_unix_ns = mos_now_unix_ns()};
    MOS_CLEANUP_FD int only = -1;
    mos_status status = mos_repository_writable(repository, error);
    if (status == MOS_OK) {
        status = mos_lock_take(repository->root, MOS_LOCK_PRUNE, true, false, &only, error);
        status = status == MOS_UNAVAILABLE ? mos_fail(error, MOS_UNAVAILABLE, "the repository is being pruned already") : status;
    }
    // So that nobody clears tmp/ under us.
    status = status == MOS_OK ? mos_lock_take(repository->root, MOS_LOCK_RUNNING, false, true, &prune.running, error) : status;
    if (status == MOS_OK) {
        mos_live_begin(&prune.live, repository, options->cancelled, options->context);
        status = run(&prune, error);
        mos_live_free(&prune.live);
    }
    mos_index_close(prune.index);
    free(prune.stored);
    mos_close_cleanup(&prune.running);
    return status;
}

// Brings entries of a backup back: directories on the way down, files by worker threads, then further names of files, and at last the
// metadata of directories, when nothing in them changes any more. Each is one walk over the tree, so memory does not grow with it.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/text.h"
#include "engine/pipeline/compare.h"
#include "engine/pipeline/databases.h"
#include "engine/pipeline/operation.h"
#include "engine/pipeline/restorer.h"
#include "engine/pipeline/selection.h"
#include "engine/source/links.h"

enum { PREVIEW_MOST = 1000 };

struct restore {
    mos_job *job;
    mos_arena *arena;
    const Mosaajii__Engine__V1__RestoreRequest *request;
    struct mos_database_restore databases;
    mos_reader *reader;
    struct mos_target_options target_options;
    mos_target *target;
    mos_restorer *restorer;
    Mosaajii__Engine__V1__Restoration *out;
    // One bit for each selected directory, in order: it was made here.
    uint8_t *made;
    size_t made_bytes;
    size_t directory;
    // Files with a selected further name whose first name is not selected: where their content went instead.
    mos_links *orphans;
    bool has_links;
    int64_t expected_files;
    int64_t expected_bytes;
};

// Called for each selected entry of one walk.
typedef mos_status (*visitor)(struct restore *restore, mos_selection *selection, const struct mos_entry *entry, bool leads,
                              struct mos_error *error);

static mos_status walk(struct restore *restore, visitor visit, bool warn, struct mos_error *error) {
    mos_selection *selection;
    mos_status status = mos_selection_open(restore->reader, restore->request->include, restore->request->n_include, &selection, error);
    if (status) {
        return status;
    }
    restore->directory = 0;
    for (;;) {
        const struct mos_entry *entry;
        struct mos_error cause = {0};
        bool leads;
        status = mos_job_check(restore->job, error);
        if (status) {
            break;
        }
        status = mos_selection_next(selection, &entry, &leads, &cause);
        if (status == MOS_CORRUPT) {
            if (warn) {
                restore->out->files_failed++;
                mos_job_warn(restore->job, "", 0, cause.message);
            }
            continue;
        }
        if (status || !entry) {
            if (status) {
                *error = cause;
            }
            break;
        }
        status = visit(restore, selection, entry, leads, error);
        if (status) {
            break;
        }
    }
    mos_selection_close(selection);
    return status;
}

// ---- What is there already ----

static bool replaces(const struct restore *restore) {
    return restore->request->existing == MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__REPLACE ||
           restore->request->existing == MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__RESUME;
}

// Of a restore that is run again: what is as it should be.
static bool is_right(struct restore *restore, mos_tree_reader *tree, const struct mos_entry *entry) {
    if (restore->request->existing != MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__RESUME || !restore->target ||
        !mos_target_matches(restore->target, entry)) {
        return false;
    }
    if (!restore->request->compare_content || (entry->type != MOS_ENTRY_FILE && entry->type != MOS_ENTRY_DATABASE)) {
        return true;
    }
    MOS_CLEANUP_FD int descriptor = mos_target_open_existing(restore->target, entry);
    return descriptor >= 0 && mos_compare_content(restore->reader, tree, entry, descriptor);
}

// ---- Before anything is written ----

// Databases go back in place through their drivers, not as files below the top.
static bool goes_in_place(const struct restore *restore, const struct mos_entry *entry) {
    return restore->request->in_place && entry->type == MOS_ENTRY_DATABASE;
}

static bool is_there(struct restore *restore, const struct mos_entry *entry) {
    if (goes_in_place(restore, entry)) {
        return mos_restore_is_in_place(&restore->databases, entry);
    }
    return restore->target && mos_target_is_there(restore->target, entry);
}

static mos_status survey_entry(struct restore *restore, mos_selection *selection, const struct mos_entry *entry, bool leads,
                               struct mos_error *error) {
    if (leads || entry->type == MOS_ENTRY_DIRECTORY) {
        return MOS_OK;
    }
    restore->expected_files++;
    restore->expected_bytes += (int64_t)entry->size_bytes;
    if (!restore->request->preview && restore->request->existing != MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__REFUSE) {
        return MOS_OK;
    }
    bool there = is_there(restore, entry);
    if (there && restore->request->existing == MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__REFUSE) {
        return mos_fail(error, MOS_ALREADY_EXISTS, "%.400s is there already, and existing files are to be refused; nothing was written",
                        mos_path_escape(restore->arena, entry->path, entry->path_bytes));
    }
    if (restore->request->preview) {
        Mosaajii__Engine__V1__Restoration *out = restore->out;
        if ((there && restore->request->existing == MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__KEEP) ||
            (!goes_in_place(restore, entry) && is_right(restore, mos_selection_tree(selection), entry))) {
            out->files_skipped++;
            return MOS_OK;
        }
        out->files_restored++;
        out->bytes_written += (int64_t)entry->size_bytes;
        if (out->n_preview < PREVIEW_MOST) {
            out->preview[out->n_preview++] =
                (ProtobufCBinaryData){.data = mos_arena_memdup(restore->arena, entry->path, entry->path_bytes), .len = entry->path_bytes};
        }
    }
    return MOS_OK;
}

static mos_status survey(struct restore *restore, struct mos_error *error) {
    struct stat found;
    // What does not exist yet holds nothing, and is not made before it is needed.
    if (lstat(restore->target_options.path, &found) == 0) {
        mos_status status = mos_target_open(&restore->target_options, &restore->target, error);
        if (status) {
            return status;
        }
    }
    if (restore->request->preview) {
        restore->out->preview = mos_arena_array(restore->arena, ProtobufCBinaryData, PREVIEW_MOST);
    }
    return walk(restore, survey_entry, restore->request->preview, error);
}

// ---- Directories, special files, content ----

static bool was_made(const struct restore *restore, size_t directory) {
    return directory / 8 < restore->made_bytes && (restore->made[directory / 8] >> directory % 8 & 1);
}

static void note_made(struct restore *restore, size_t directory) {
    if (directory / 8 >= restore->made_bytes) {
        size_t grown = 2 * (directory / 8) + 64;
        restore->made = mos_realloc(restore->made, grown);
        memset(restore->made + restore->made_bytes, 0, grown - restore->made_bytes);
        restore->made_bytes = grown;
    }
    restore->made[directory / 8] |= (uint8_t)(1u << directory % 8);
}

static void count(struct restore *restore, enum mos_outcome outcome) {
    restore->out->files_restored += outcome == MOS_OUTCOME_WRITTEN;
    restore->out->files_skipped += outcome == MOS_OUTCOME_KEPT;
    restore->out->files_failed += outcome == MOS_OUTCOME_FAILED;
}

static bool is_selected(const struct restore *restore, const char *path, size_t path_bytes) {
    const Mosaajii__Engine__V1__RestoreRequest *request = restore->request;
    for (size_t i = 0; i < request->n_include; i++) {
        const uint8_t *include = request->include[i].data;
        size_t include_bytes = request->include[i].len;
        while (include_bytes && include[include_bytes - 1] == '/') {
            include_bytes--;
        }
        if (path_bytes >= include_bytes && memcmp(path, include, include_bytes) == 0 &&
            (path_bytes == include_bytes || path[include_bytes] == '/')) {
            return true;
        }
    }
    return request->n_include == 0;
}

// A file or database, or what came of an earlier run.
static mos_status restore_file(struct restore *restore, mos_tree_reader *tree, const struct mos_entry *entry, struct mos_error *error) {
    if (!is_right(restore, tree, entry)) {
        return mos_restorer_add(restore->restorer, tree, entry, error);
    }
    if (entry->type == MOS_ENTRY_DATABASE) {
        char path[64];
        MOS_CLEANUP_FD int descriptor = mos_target_open_existing(restore->target, entry);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
        mos_restore_check_file(&restore->databases, entry, path);
    }
    count(restore, MOS_OUTCOME_KEPT);
    mos_job_advance(restore->job, 1, (int64_t)entry->size_bytes, entry->path, entry->path_bytes);
    return MOS_OK;
}

static mos_status restore_special(struct restore *restore, const struct mos_entry *entry, struct mos_error *error) {
    enum mos_outcome outcome = MOS_OUTCOME_KEPT;
    mos_status status = is_right(restore, NULL, entry) ? MOS_OK : mos_target_special(restore->target, entry, &outcome, error);
    count(restore, outcome);
    mos_job_advance(restore->job, 1, 0, entry->path, entry->path_bytes);
    return status;
}

// The content stands under a name that is not selected: it is fetched from there for the first of the names that are.
static mos_status restore_orphan(struct restore *restore, const struct mos_entry *entry, struct mos_error *error) {
    size_t first_bytes;
    if (mos_links_find(restore->orphans, entry->device, entry->inode, &first_bytes)) {
        restore->has_links = true;
        return MOS_OK;
    }
    mos_links_add(restore->orphans, entry->device, entry->inode, UINT64_MAX, entry->path, entry->path_bytes);
    mos_tree_reader *tree;
    const struct mos_entry *first = NULL;
    mos_status status = mos_tree_open(restore->reader, entry->link_target, entry->link_target_bytes, &tree, error);
    if (status) {
        return status;
    }
    if (mos_tree_next(tree, &first, NULL) != MOS_OK || !first || first->type == MOS_ENTRY_DIRECTORY || first->type == MOS_ENTRY_HARDLINK ||
        strcmp(first->path, entry->link_target) != 0) {
        mos_job_warn(restore->job, entry->path, entry->path_bytes, "the file that it is a further name of cannot be read");
        count(restore, MOS_OUTCOME_FAILED);
    } else {
        struct mos_entry copy = *first;
        copy.path = entry->path;
        copy.path_bytes = entry->path_bytes;
        status = first->type == MOS_ENTRY_FILE ? restore_file(restore, tree, &copy, error) : restore_special(restore, &copy, error);
    }
    mos_tree_close(tree);
    return status;
}

static mos_status restore_entry(struct restore *restore, mos_selection *selection, const struct mos_entry *entry, bool leads,
                                struct mos_error *error) {
    (void)leads;
    enum mos_outcome outcome = MOS_OUTCOME_FAILED;
    mos_status status;
    switch (entry->type) {
    case MOS_ENTRY_DIRECTORY:
        status = mos_target_directory(restore->target, entry, &outcome, error);
        if (outcome == MOS_OUTCOME_WRITTEN) {
            note_made(restore, restore->directory);
        }
        restore->directory++;
        return status;
    case MOS_ENTRY_FILE:
        return restore_file(restore, mos_selection_tree(selection), entry, error);
    case MOS_ENTRY_DATABASE:
        return goes_in_place(restore, entry) ? MOS_OK : restore_file(restore, mos_selection_tree(selection), entry, error);
    case MOS_ENTRY_HARDLINK:
        restore->has_links = restore->has_links || is_selected(restore, entry->link_target, entry->link_target_bytes);
        return is_selected(restore, entry->link_target, entry->link_target_bytes) ? MOS_OK : restore_orphan(restore, entry, error);
    default:
        return restore_special(restore, entry, error);
    }
}

// ---- Further names ----

// What stands at `path` is the file of the backup that the entry is a further name of, and not something else that was kept there.
static bool is_restored(struct restore *restore, const struct mos_entry *entry, const char *path) {
    struct stat found;
    mos_tree_reader *tree;
    const struct mos_entry *first = NULL;
    if (!mos_target_stat(restore->target, path, &found) ||
        mos_tree_open(restore->reader, entry->link_target, entry->link_target_bytes, &tree, NULL) != MOS_OK) {
        return false;
    }
    bool same = mos_tree_next(tree, &first, NULL) == MOS_OK && first && strcmp(first->path, entry->link_target) == 0 &&
                (int64_t)found.st_mtim.tv_sec * MOS_NS_PER_SECOND + found.st_mtim.tv_nsec == first->modified_unix_ns &&
                (first->type != MOS_ENTRY_FILE || (S_ISREG(found.st_mode) && (uint64_t)found.st_size == first->size_bytes));
    mos_tree_close(tree);
    return same;
}

static mos_status link_entry(struct restore *restore, mos_selection *selection, const struct mos_entry *entry, bool leads,
                             struct mos_error *error) {
    (void)selection;
    (void)leads;
    if (entry->type != MOS_ENTRY_HARDLINK) {
        return MOS_OK;
    }
    struct mos_entry link = *entry;
    if (!is_selected(restore, entry->link_target, entry->link_target_bytes)) {
        link.link_target = mos_links_find(restore->orphans, entry->device, entry->inode, &link.link_target_bytes);
        if (!link.link_target ||
            (link.link_target_bytes == entry->path_bytes && memcmp(link.link_target, entry->path, entry->path_bytes) == 0)) {
            return MOS_OK;
        }
    }
    if (!is_restored(restore, entry, link.link_target)) {
        mos_job_warn(restore->job, entry->path, entry->path_bytes, "the file that it is a further name of was not restored");
        count(restore, MOS_OUTCOME_FAILED);
        return MOS_OK;
    }
    enum mos_outcome outcome = MOS_OUTCOME_KEPT;
    mos_status status = is_right(restore, NULL, &link) ? MOS_OK : mos_target_link(restore->target, &link, &outcome, error);
    count(restore, outcome);
    mos_job_advance(restore->job, 1, 0, entry->path, entry->path_bytes);
    return status;
}

// ---- Metadata of directories ----

// The directories on the way to the present entry, to be finished when the walk leaves them: what is below one first.
struct open_directories {
    struct mos_entry **entries;
    size_t count;
    size_t capacity;
};

static void leave_directories(struct restore *restore, struct open_directories *open, const struct mos_entry *next) {
    while (open->count) {
        struct mos_entry *top = open->entries[open->count - 1];
        bool inside = next && next->path_bytes > top->path_bytes && memcmp(next->path, top->path, top->path_bytes) == 0 &&
                      (next->path[top->path_bytes] == '/' || top->path_bytes == 1);
        if (inside) {
            return;
        }
        mos_target_finish_directory(restore->target, top);
        free(top);
        open->count--;
    }
}

static mos_status finish_directories(struct restore *restore, struct mos_error *error) {
    mos_selection *selection;
    struct open_directories open = {0};
    mos_status status = mos_selection_open(restore->reader, restore->request->include, restore->request->n_include, &selection, error);
    if (status) {
        return status;
    }
    bool replace = replaces(restore);
    for (size_t number = 0;;) {
        const struct mos_entry *entry;
        bool leads;
        status = mos_job_check(restore->job, error);
        status = status ? status : mos_selection_next(selection, &entry, &leads, error);
        if (status == MOS_CORRUPT) {
            continue;
        }
        if (status || !entry) {
            break;
        }
        if (entry->type != MOS_ENTRY_DIRECTORY) {
            continue;
        }
        leave_directories(restore, &open, entry);
        // One that was there and only leads to what was asked for is left as it is.
        if (was_made(restore, number++) || (replace && !leads)) {
            if (open.count == open.capacity) {
                open.capacity = open.capacity ? 2 * open.capacity : 16;
                open.entries = mos_realloc(open.entries, open.capacity * sizeof(struct mos_entry *));
            }
            open.entries[open.count++] = mos_entry_copy(entry, NULL);
        }
    }
    leave_directories(restore, &open, NULL);
    free(open.entries);
    mos_selection_close(selection);
    return status;
}

// ---- Databases ----

static void check_file(void *context, const struct mos_entry *entry, const mos_target_file *file) {
    char path[64];
    mos_target_file_proc_path(file, path);
    mos_restore_check_file(&((struct restore *)context)->databases, entry, path);
}

static mos_status restore_database(struct restore *restore, mos_selection *selection, const struct mos_entry *entry, bool leads,
                                   struct mos_error *error) {
    (void)selection;
    (void)leads;
    return goes_in_place(restore, entry) ? mos_restore_in_place(&restore->databases, entry, error) : MOS_OK;
}

// ---- The whole ----

static mos_status write_all(struct restore *restore, struct mos_error *error) {
    mos_status status = restore->target ? MOS_OK : mos_target_open(&restore->target_options, &restore->target, error);
    if (status) {
        return status;
    }
    mos_job_phase(restore->job, "restoring");
    mos_job_totals(restore->job, restore->expected_files, restore->expected_bytes);
    struct mos_restorer_options options = {
        .job = restore->job, .reader = restore->reader, .target = restore->target, .database = check_file, .context = restore};
    restore->restorer = mos_restorer_create(&options);
    status = walk(restore, restore_entry, true, error);
    status = status ? status : mos_restorer_finish(restore->restorer, error);
    struct mos_restorer_totals totals;
    mos_restorer_totals(restore->restorer, &totals);
    mos_restorer_free(restore->restorer);
    restore->out->files_restored += totals.restored;
    restore->out->files_skipped += totals.skipped;
    restore->out->files_failed += totals.failed;
    restore->out->bytes_written += totals.bytes_written;
    if (status == MOS_OK && restore->has_links) {
        status = walk(restore, link_entry, false, error);
    }
    if (status == MOS_OK && restore->request->in_place) {
        status = walk(restore, restore_database, false, error);
    }
    status = status ? status : finish_directories(restore, error);
    if (status == MOS_OK) {
        mos_job_report(restore->job);
        mos_job_phase(restore->job, "flushing");
        status = mos_target_sync(restore->target, error);
    }
    if (status == MOS_OK && mos_target_lost_privileged(restore->target)) {
        mos_job_warn(restore->job, "", 0, "owners and security attributes were left as they are, because only root may set them");
    }
    return status;
}

// Of what is asked for, what the backup holds.
static mos_status leave_out_missing(struct restore *restore, struct mos_error *error) {
    const Mosaajii__Engine__V1__RestoreRequest *request = restore->request;
    Mosaajii__Engine__V1__RestoreRequest *held = mos_arena_memdup(restore->arena, request, sizeof(*request));
    struct mos_error missing = {0};
    held->include = mos_arena_array(restore->arena, ProtobufCBinaryData, request->n_include);
    held->n_include = 0;
    for (size_t i = 0; i < request->n_include; i++) {
        mos_selection *selection;
        mos_status status = mos_selection_open(restore->reader, &request->include[i], 1, &selection, &missing);
        if (status == MOS_OK) {
            mos_selection_close(selection);
            held->include[held->n_include++] = request->include[i];
        } else if (status == MOS_NOT_FOUND) {
            mos_job_warn(restore->job, (const char *)request->include[i].data, request->include[i].len, "the backup does not hold it");
        } else {
            *error = missing;
            return status;
        }
    }
    if (held->n_include == 0) {
        *error = missing;
        return MOS_NOT_FOUND;
    }
    restore->request = held;
    return MOS_OK;
}

static mos_status check_request(const Mosaajii__Engine__V1__RestoreRequest *request, struct mos_error *error) {
    if (request->in_place ? request->target.len != 1 || request->target.data[0] != '/' : request->target.len == 0) {
        return mos_fail_field(error, "target", "a restore needs the directory that it goes to, and \"/\" for in place");
    }
    if (memchr(request->target.data, 0, request->target.len)) {
        return mos_fail_field(error, "target", "the target must not hold a zero byte");
    }
    return MOS_OK;
}

static char *text_of(mos_arena *arena, ProtobufCBinaryData bytes) {
    char *text = mos_arena_alloc(arena, bytes.len + 1);
    if (bytes.len) {
        memcpy(text, bytes.data, bytes.len);
    }
    for (size_t length = bytes.len; length > 1 && text[length - 1] == '/'; length--) {
        text[length - 1] = 0;
    }
    return text;
}

mos_status mos_operation_restore(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__Request *whole, mos_arena *arena,
                                 Mosaajii__Engine__V1__Result *out, struct mos_error *error) {
    const Mosaajii__Engine__V1__RestoreRequest *request = whole->restore;
    mos_status status = check_request(request, error);
    struct restore restore = {.job = job, .arena = arena, .request = request};
    status = status ? status : mos_reader_open(repository, request->backup_id, &restore.reader, error);
    if (status) {
        return status;
    }
    restore.orphans = mos_links_create();
    restore.out = MOS_NEW(arena, Mosaajii__Engine__V1__Restoration, mosaajii__engine__v1__restoration__init);
    restore.out->target = request->target;
    restore.out->checks = mos_arena_array(arena, Mosaajii__Engine__V1__Check *, MOS_RESTORE_CHECKS_MOST);
    restore.target_options = (struct mos_target_options){
        .path = text_of(arena, request->target),
        .root = request->root.len ? text_of(arena, request->root) : NULL,
        .existing = replaces(&restore) ? MOS_EXISTING_REPLACE : MOS_EXISTING_KEEP,
        .warn = mos_job_warn,
        .context = job,
    };
    restore.databases = (struct mos_database_restore){.job = job,
                                                      .arena = arena,
                                                      .request = request,
                                                      .scratch = *whole->scratch ? whole->scratch : "/tmp",
                                                      .reader = restore.reader,
                                                      .out = restore.out};
    mos_job_phase(job, "looking");
    if (request->n_include && request->skip_missing) {
        status = leave_out_missing(&restore, error);
    }
    const Mosaajii__Engine__V1__Statistics *statistics = mos_reader_info(restore.reader)->statistics;
    if (statistics) {
        restore.expected_files = statistics->files + statistics->others;
        restore.expected_bytes = statistics->size;
    }
    bool into_server = mos_database_url_is_server(restore.target_options.path);
    if (status != MOS_OK) {
        // Nothing of it is there.
    } else if (into_server) {
        status = mos_restore_into_server(&restore.databases, error);
    } else if (request->preview || request->n_include || request->existing == MOSAAJII__ENGINE__V1__RESTORE_REQUEST__EXISTING__REFUSE) {
        restore.expected_files = restore.expected_bytes = 0;
        status = survey(&restore, error);
    }
    if (status == MOS_OK && !into_server && !request->preview) {
        status = write_all(&restore, error);
    }
    if (status == MOS_OK) {
        out->result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_RESTORATION;
        out->restoration = restore.out;
    }
    mos_target_close(restore.target);
    mos_links_free(restore.orphans);
    free(restore.made);
    mos_reader_close(restore.reader);
    return status;
}

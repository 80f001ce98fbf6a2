#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/pace.h"
#include "common/sentinel.h"
#include "engine/pipeline/assembler.h"
#include "engine/pipeline/databases.h"
#include "engine/pipeline/operation.h"
#include "engine/pipeline/parent.h"
#include "engine/repo/reader.h"
#include "engine/source/prefetch.h"
#include "engine/source/scan.h"

enum { READ_BYTES = 1 << 20, COMPRESSION_LEVEL = 1 };

struct backup {
    mos_job *job;
    mos_arena *arena;
    const Mosaajii__Engine__V1__BackupRequest *request;
    const char *scratch;
    const char *omit[2];
    mos_exclude *exclude;
    mos_assembler *assembler;
    // The backup before, NULL where there is none.
    mos_parent *parent;
    uint8_t *buffer;
    struct mos_coldness coldness;
    Mosaajii__Engine__V1__Statistics *statistics;
    struct mos_databases databases;
    // The first look at what there is, in a thread of its own.
    pthread_t counter;
    bool counting;
    atomic_bool stop_counting;
};

static struct mos_scan_options scan_options(const struct backup *backup) {
    return (struct mos_scan_options){
        .roots = backup->request->paths,
        .root_count = backup->request->n_paths,
        .exclude = backup->exclude,
        .omit = backup->omit,
        .omit_count = 2,
        .skip_caches = backup->request->skip_caches,
        .one_file_system = backup->request->one_file_system,
    };
}

// Walks over everything once without reading it, so that progress has a total. What it could not see only makes the total smaller.
static void *count(void *argument) {
    struct backup *backup = argument;
    struct mos_scan_options options = scan_options(backup);
    mos_scan *scan;
    if (mos_scan_open(&options, &scan, NULL) != MOS_OK) {
        return NULL;
    }
    int64_t files = (int64_t)backup->databases.entry_count, bytes = backup->databases.size_bytes;
    struct mos_entry *entry = NULL;
    while (!atomic_load(&backup->stop_counting) && !mos_job_cancelled(backup->job) && mos_scan_next(scan, &entry, NULL) == MOS_OK &&
           entry) {
        mos_scan_keep(scan);
        files += entry->type != MOS_ENTRY_DIRECTORY;
        bytes += (int64_t)entry->size_bytes;
    }
    if (!entry) {
        mos_job_totals(backup->job, files, bytes);
    }
    mos_scan_close(scan);
    return NULL;
}

static void warn(struct backup *backup, const struct mos_entry *entry, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void warn(struct backup *backup, const struct mos_entry *entry, const char *format, ...) {
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    mos_job_warn(backup->job, entry->path, entry->path_bytes, message);
}

// Where the data of a sparse file lies. false: it has no holes, or the file system does not tell.
static bool find_ranges(int descriptor, const struct stat *status, struct mos_range **out, size_t *out_count, uint64_t *out_bytes) {
    *out = NULL;
    *out_count = 0;
    *out_bytes = 0;
    if ((int64_t)status->st_blocks * 512 >= status->st_size) {
        return false;
    }
    struct mos_range *ranges = NULL;
    size_t range_count = 0, capacity = 0;
    uint64_t total = 0;
    for (off_t at = 0; at < status->st_size;) {
        off_t data = lseek(descriptor, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            break;
        }
        off_t hole = data < 0 ? -1 : lseek(descriptor, data, SEEK_HOLE);
        if (data < 0 || hole < 0) {
            free(ranges);
            return false;
        }
        hole = hole > status->st_size ? status->st_size : hole;
        if (data >= hole) {
            break;
        }
        if (range_count == MOS_TREE_RANGES_LIMIT - 1) {
            // The rest is one range, holes or not.
            hole = status->st_size;
        }
        if (range_count == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            ranges = mos_realloc(ranges, capacity * sizeof(*ranges));
        }
        ranges[range_count++] = (struct mos_range){(uint64_t)data, (uint64_t)(hole - data)};
        total += (uint64_t)(hole - data);
        at = hole;
    }
    *out = ranges;
    *out_count = range_count;
    *out_bytes = total;
    return total < (uint64_t)status->st_size;
}

// Reads `length_bytes` from `offset_bytes` into the assembler. *out_read: how much there was; *out_errno: why no more could be read.
static mos_status feed(struct backup *backup, int descriptor, uint64_t offset_bytes, uint64_t length_bytes, const char *path,
                       size_t path_bytes, uint64_t *out_read, int *out_errno, struct mos_error *error) {
    *out_read = 0;
    *out_errno = 0;
    while (*out_read < length_bytes) {
        uint64_t left = length_bytes - *out_read;
        size_t wanted = left < READ_BYTES ? left : READ_BYTES;
        off_t from = (off_t)(offset_bytes + *out_read);
        ssize_t got = from == 0 ? mos_coldness_read(&backup->coldness, descriptor, backup->buffer, wanted, from)
                                : pread(descriptor, backup->buffer, wanted, from);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            *out_errno = got < 0 ? errno : 0;
            return MOS_OK;
        }
        mos_pace_disk(got);
        mos_status status = mos_assembler_content(backup->assembler, backup->buffer, (size_t)got, error);
        if (status) {
            return status;
        }
        *out_read += (uint64_t)got;
        backup->statistics->bytes_read += got;
        mos_job_advance(backup->job, 0, got, path, path_bytes);
    }
    return MOS_OK;
}

static bool same_time(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

// Content of an open regular file. The entry says afterwards what was really read.
static mos_status read_file(struct backup *backup, struct mos_entry *entry, int descriptor, const struct stat *before,
                            struct mos_error *error) {
    struct mos_range *found, whole = {0, entry->size_bytes};
    size_t range_count;
    uint64_t content_bytes;
    entry->sparse = find_ranges(descriptor, before, &found, &range_count, &content_bytes);
    MOS_CLEANUP_FREE struct mos_range *ranges = found;
    if (!entry->sparse) {
        content_bytes = entry->size_bytes;
        range_count = content_bytes ? 1 : 0;
    }
    const struct mos_range *list = entry->sparse ? ranges : &whole;
    mos_assembler_begin(backup->assembler, content_bytes);
    if (content_bytes > READ_BYTES) {
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    mos_status status = MOS_OK;
    bool cut = false;
    size_t kept = 0;
    for (; status == MOS_OK && kept < range_count && !cut; kept++) {
        uint64_t read_bytes;
        int reason;
        status = feed(backup, descriptor, list[kept].offset_bytes, list[kept].length_bytes, entry->path, entry->path_bytes, &read_bytes,
                      &reason, error);
        if (status == MOS_OK && read_bytes < list[kept].length_bytes) {
            cut = true;
            entry->size_bytes = list[kept].offset_bytes + read_bytes;
            if (entry->sparse) {
                ranges[kept].length_bytes = read_bytes;
                kept -= read_bytes == 0;
            }
            if (reason) {
                warn(backup, entry, "cannot be read behind byte %llu, the backup holds what is before: %s",
                     (unsigned long long)entry->size_bytes, strerror(reason));
            } else {
                warn(backup, entry, "became shorter while it was read, the backup holds %llu bytes", (unsigned long long)entry->size_bytes);
            }
        }
    }
    if (status) {
        return status;
    }
    struct stat after;
    if (!cut && (fstat(descriptor, &after) != 0 || after.st_size != before->st_size || !same_time(&after.st_mtim, &before->st_mtim) ||
                 !same_time(&after.st_ctim, &before->st_ctim))) {
        warn(backup, entry, "changed while it was read");
    }
    if (entry->sparse) {
        entry->ranges = ranges;
        entry->range_count = kept;
        // Holes are progress too.
        mos_job_advance(backup->job, 0, (int64_t)(entry->size_bytes - content_bytes), NULL, 0);
    }
    backup->statistics->size += (int64_t)entry->size_bytes;
    return mos_assembler_add(backup->assembler, entry, error);
}

// An entry that is as it was at the backup before: its stat has told all.
static mos_status keep_unchanged(struct backup *backup, mos_scan *scan, struct mos_entry *entry, struct mos_error *error) {
    mos_scan_name_owner(scan);
    backup->statistics->size += (int64_t)entry->size_bytes;
    mos_assembler_begin(backup->assembler, 0);
    return mos_assembler_add(backup->assembler, entry, error);
}

// *out_taken: the entry is in the backup.
static mos_status read_entry(struct backup *backup, mos_scan *scan, struct mos_entry *entry, bool *out_taken, struct mos_error *error) {
    int opened;
    struct stat info;
    if (!backup->parent && mos_coldness_is_cold(&backup->coldness)) {
        mos_scan_fetch_ahead(scan);
    }
    *out_taken = mos_scan_load(scan, &opened, &info);
    if (!*out_taken) {
        return MOS_OK;
    }
    MOS_CLEANUP_FD int descriptor = opened;
    if (entry->type == MOS_ENTRY_FILE) {
        return read_file(backup, entry, descriptor, &info, error);
    }
    mos_assembler_begin(backup->assembler, 0);
    return mos_assembler_add(backup->assembler, entry, error);
}

static mos_status back_up_entry(struct backup *backup, mos_scan *scan, struct mos_entry *entry, struct mos_error *error) {
    bool unchanged = false, taken = true;
    mos_status status = backup->parent ? mos_parent_find(backup->parent, entry, &unchanged, error) : MOS_OK;
    if (status) {
        return status;
    }
    status = unchanged ? keep_unchanged(backup, scan, entry, error) : read_entry(backup, scan, entry, &taken, error);
    if (!taken) {
        if (backup->parent) {
            mos_parent_left_out(backup->parent);
        }
        return status;
    }
    backup->statistics->files += entry->type == MOS_ENTRY_FILE;
    backup->statistics->directories += entry->type == MOS_ENTRY_DIRECTORY;
    backup->statistics->others += entry->type != MOS_ENTRY_FILE && entry->type != MOS_ENTRY_DIRECTORY;
    mos_scan_keep(scan);
    mos_job_advance(backup->job, entry->type != MOS_ENTRY_DIRECTORY, unchanged ? (int64_t)entry->size_bytes : 0, entry->path,
                    entry->path_bytes);
    return status;
}

static mos_status back_up_files(struct backup *backup, struct mos_error *error) {
    struct mos_scan_options options = scan_options(backup);
    options.warn = mos_job_warn;
    options.context = backup->job;
    options.look_ahead = backup->parent != NULL;
    mos_scan *scan;
    mos_status status = mos_scan_open(&options, &scan, error);
    if (status) {
        return status;
    }
    for (struct mos_entry *entry; status == MOS_OK;) {
        status = mos_job_check(backup->job, error);
        status = status ? status : mos_scan_next(scan, &entry, error);
        if (status || !entry) {
            break;
        }
        status = back_up_entry(backup, scan, entry, error);
    }
    mos_scan_close(scan);
    return status;
}

static mos_status back_up_databases(struct backup *backup, Mosaajii__Engine__V1__BackupInfo *info, struct mos_error *error) {
    const struct mos_databases *databases = &backup->databases;
    info->databases = mos_arena_array(backup->arena, Mosaajii__Engine__V1__Database *, databases->count);
    mos_status status = MOS_OK;
    for (size_t i = 0; i < databases->entry_count && status == MOS_OK; i++) {
        const struct mos_database_entry *entry = &databases->entries[i];
        status =
            mos_database_back_up(backup->job, backup->assembler, entry, backup->statistics, &info->databases[info->n_databases], error);
        info->n_databases += !entry->extra;
    }
    return status ? status : mos_assembler_finish(backup->assembler, error);
}

static void complete_info(struct backup *backup, Mosaajii__Engine__V1__BackupInfo *info, int64_t began_ns) {
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    if (!*info->host) {
        info->host = mos_arena_strdup(backup->arena, mos_job_text(backup->arena, host));
    }
    info->source_paths = backup->request->paths;
    info->n_source_paths = backup->request->n_paths;
    info->engine_version = mos_arena_strdup(backup->arena, MOSAAJII_VERSION);
    info->completed_at_unix_ns = mos_now_unix_ns();
    info->warnings = mos_job_warnings(backup->job);
    info->statistics->duration_ms = (mos_now_monotonic_ns() - began_ns) / MOS_NS_PER_MS;
}

// ---- Beside the backup before ----

static void compare_database(void *context, const struct mos_entry *entry) {
    if (entry->type == MOS_ENTRY_DATABASE) {
        mos_parent_database(context, entry);
    }
}

// A backup before that cannot be read costs time, nothing else.
static void open_parent(struct backup *backup, mos_repository *repository, mos_writer *writer, Mosaajii__Engine__V1__BackupInfo *info) {
    const Mosaajii__Engine__V1__BackupRequest *request = backup->request;
    const struct mos_parent_options options = {
        .backup_id = request->base_id, .read_all = request->read_all, .settle_ns = request->settle_ns};
    struct mos_error error = {0};
    if (!*request->base_id) {
        return;
    }
    if (mos_parent_open(repository, writer, &options, &backup->parent, &error) != MOS_OK) {
        info->parent_id = "";
        info->note = mos_arena_printf(backup->arena, "The backup %s cannot be compared with, so everything was read: %s", request->base_id,
                                      mos_job_text(backup->arena, error.message));
        return;
    }
    info->base_id = request->base_id;
}

static void report_changes(struct backup *backup, Mosaajii__Engine__V1__BackupInfo *info) {
    struct mos_parent_changes changes;
    mos_parent_changes(backup->parent, &changes);
    backup->statistics->files_added = changes.added;
    backup->statistics->files_changed = changes.changed;
    backup->statistics->files_removed = changes.removed;
    if (changes.lost) {
        info->note = mos_arena_printf(
            backup->arena, "A part of the backup %s, which this one was compared with, is lost; what it held was read", info->base_id);
    }
}

// With the backup before the totals are about what they were then; without it everything is walked over once more.
static void begin_counting(struct backup *backup) {
    const Mosaajii__Engine__V1__BackupInfo *before = backup->parent ? mos_parent_info(backup->parent) : NULL;
    if (before && before->statistics) {
        mos_job_totals(backup->job, before->statistics->files + before->statistics->others, before->statistics->size);
    } else {
        backup->counting = pthread_create(&backup->counter, NULL, count, backup) == 0;
    }
}

// A backup without it is a backup all the same.
static void write_sentinel(const struct backup *backup, const Mosaajii__Engine__V1__BackupInfo *info) {
    ProtobufCBinaryData path = backup->request->sentinel;
    struct mos_error error;
    if (path.len > 0 &&
        mos_sentinel_write(mos_arena_printf(backup->arena, "%.*s", (int)path.len, (const char *)path.data), info->id, &error) != MOS_OK) {
        mos_job_warn(backup->job, (const char *)path.data, path.len, error.message);
    }
}

static mos_status run(struct backup *backup, mos_writer *writer, mos_repository *repository, Mosaajii__Engine__V1__BackupInfo *info,
                      struct mos_record *record, struct mos_error *error) {
    int64_t began_ns = mos_now_monotonic_ns();
    mos_job_phase(backup->job, "backup");
    write_sentinel(backup, info);
    open_parent(backup, repository, writer, info);
    begin_counting(backup);
    info->scanned_at_unix_ns = mos_now_unix_ns();
    backup->assembler = mos_assembler_create(backup->job, repository, writer);
    if (backup->parent) {
        mos_assembler_watch(backup->assembler, compare_database, backup->parent);
    }
    backup->buffer = mos_malloc(READ_BYTES);
    mos_status status = backup->request->n_paths ? back_up_files(backup, error) : MOS_OK;
    if (backup->parent) {
        mos_parent_end_files(backup->parent);
    }
    status = status ? status : back_up_databases(backup, info, error);
    mos_assembler_free(backup->assembler);
    free(backup->buffer);
    atomic_store(&backup->stop_counting, true);
    if (backup->counting) {
        pthread_join(backup->counter, NULL);
    }
    if (status == MOS_OK) {
        mos_job_report(backup->job);
        if (backup->parent) {
            report_changes(backup, info);
        }
        complete_info(backup, info, began_ns);
        status = mos_job_check(backup->job, error);
    }
    return status ? status : mos_writer_finish(writer, info, record, error);
}

mos_status mos_operation_backup(mos_job *job, mos_repository *repository, const Mosaajii__Engine__V1__Request *request, mos_arena *arena,
                                Mosaajii__Engine__V1__Result *out, struct mos_error *error) {
    const Mosaajii__Engine__V1__BackupRequest *wanted = request->backup;
    if (!wanted->info || !mos_id_valid(wanted->info->id)) {
        return mos_fail_field(error, "info.id", "the backup needs an id, a UUID in lower case");
    }
    if (wanted->n_paths == 0 && wanted->n_databases == 0) {
        return mos_fail_field(error, "paths", "there is nothing to back up: neither a path nor a database");
    }
    struct backup backup = {
        .job = job,
        .arena = arena,
        .request = wanted,
        .scratch = *request->scratch ? request->scratch : "/tmp",
        .omit = {mos_repository_path(repository), *request->scratch ? request->scratch : NULL},
    };
    mos_status status = mos_databases_find(job, wanted->databases, wanted->n_databases, backup.scratch, arena, &backup.databases, error);
    status = status ? status : mos_exclude_create((const char *const *)wanted->excludes, wanted->n_excludes, &backup.exclude, error);
    struct mos_writer_options options = {
        .backup_id = wanted->info->id,
        .compression_level = wanted->info->compressed ? COMPRESSION_LEVEL : 0,
        .workers = mos_assembler_workers(job),
    };
    mos_writer *writer = NULL;
    status = status ? status : mos_writer_begin(repository, &options, &writer, error);
    if (status == MOS_OK) {
        Mosaajii__Engine__V1__BackupInfo *info = mos_arena_memdup(arena, wanted->info, sizeof(*info));
        info->statistics = backup.statistics = MOS_NEW(arena, Mosaajii__Engine__V1__Statistics, mosaajii__engine__v1__statistics__init);
        struct mos_record record;
        status = run(&backup, writer, repository, info, &record, error);
        if (status == MOS_OK) {
            Mosaajii__Engine__V1__BackupRecord *result =
                MOS_NEW(arena, Mosaajii__Engine__V1__BackupRecord, mosaajii__engine__v1__backup_record__init);
            mos_record_fill(mos_arena_memdup(arena, &record, sizeof(record)), info, result);
            out->result_case = MOSAAJII__ENGINE__V1__RESULT__RESULT_BACKUP;
            out->backup = result;
        }
    }
    mos_parent_close(backup.parent);
    mos_writer_free(writer);
    mos_exclude_free(backup.exclude);
    return status;
}

// Objects as files below the repository's folder: written whole or not at all, opened without following links out of it.
//
// `root` is a descriptor of the repository's folder, names are relative to it. All functions block on disk and are thread safe.
#ifndef MOS_ENGINE_REPO_FILES_H
#define MOS_ENGINE_REPO_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/status.h"

// A descriptor of a regular file, for reading. MOS_NOT_FOUND where there is none; MOS_CORRUPT for anything but a regular file.
mos_status mos_file_open(int root, const char *name, int *out_descriptor, int64_t *out_size_bytes, struct mos_error *error);
// The whole file; `out` is emptied first. MOS_CORRUPT when it is larger than the limit.
mos_status mos_file_read(int root, const char *name, size_t limit_bytes, struct mos_buffer *out, struct mos_error *error);
// Exactly so many bytes from there. MOS_CORRUPT when the file ends before; `name` is for the message.
mos_status mos_file_read_at(int descriptor, const char *name, void *out, size_t size_bytes, int64_t offset_bytes, struct mos_error *error);
// Size of a regular file. MOS_NOT_FOUND where there is none.
mos_status mos_file_size(int root, const char *name, int64_t *out_size_bytes, struct mos_error *error);

// When the file, not a link it may be, was last changed.
mos_status mos_file_time(int root, const char *name, int64_t *out_unix_ns, struct mos_error *error);

// Writing: a new file in tmp/, which gets its name when it is complete and flushed.
struct mos_new_file {
    int root;
    int descriptor;
    char tmp_name[64];
    // Of a large file: what is not written yet, and whether blocks go past the page cache.
    uint8_t *block;
    size_t block_bytes;
    bool direct;
};
mos_status mos_new_file_begin(int root, struct mos_new_file *file, struct mos_error *error);
// For what nobody reads soon: in blocks, past the page cache where the file system can. That costs a twentieth of the processor's time, and
// leaves the cache to others; in return each block waits for the disk.
mos_status mos_new_file_begin_large(int root, struct mos_new_file *file, struct mos_error *error);
mos_status mos_new_file_write(struct mos_new_file *file, const void *data, size_t size_bytes, struct mos_error *error);
// Flushes, renames to `name` (making its folder where it is missing), flushes the folder. On failure the file is gone.
mos_status mos_new_file_commit(struct mos_new_file *file, const char *name, struct mos_error *error);
// Nothing after a commit.
void mos_new_file_abandon(struct mos_new_file *file);
// All of it at once.
mos_status mos_file_write(int root, const char *name, const void *data, size_t size_bytes, struct mos_error *error);

// An empty file, as a mark; MOS_OK too where it is there already. Makes its folder where that is missing. Nothing is flushed.
mos_status mos_file_mark(int root, const char *name, struct mos_error *error);
// MOS_OK also where it is gone already. The folder is not flushed.
mos_status mos_file_remove(int root, const char *name, struct mos_error *error);
mos_status mos_folder_make(int root, const char *name, struct mos_error *error);
mos_status mos_folder_sync(int root, const char *name, struct mos_error *error);
mos_status mos_folder_remove(int root, const char *name, struct mos_error *error);

// Names of a folder's entries, sorted, without "." and "..": the caller's, to be freed with mos_names_free. An absent folder is empty.
struct mos_names {
    char **names;
    size_t count;
};
mos_status mos_folder_list(int root, const char *name, struct mos_names *out, struct mos_error *error);
void mos_names_free(struct mos_names *names);

// flock on lock/<name>. MOS_UNAVAILABLE when `wait` is false and somebody else holds it. Closing the descriptor gives it back.
mos_status mos_lock_take(int root, const char *name, bool exclusive, bool wait, int *out_descriptor, struct mos_error *error);

// Tests only: called before each step that changes the disk (write, flush, rename, remove); NULL: no more.
void mos_files_on_step(void (*step)(void));

#endif

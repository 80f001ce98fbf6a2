// What the tests of the repository share: a new repository with its keyring, and small backups in it.
#ifndef MOS_TESTS_UNIT_ENGINE_REPO_FIXTURE_H
#define MOS_TESTS_UNIT_ENGINE_REPO_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "engine/repo/reader.h"
#include "engine/repo/repository.h"
#include "engine/repo/verify.h"
#include "engine/repo/writer.h"
#include "unit/test.h"

struct fixture {
    char path[4200];
    char keyring_path[4300];
    mos_keyring *keyring;
    mos_repository *repository;
};

static inline void fixture_open(struct fixture *fixture) {
    struct mos_error error = {0};
    snprintf(fixture->path, sizeof(fixture->path), "%s/repo", mos_test_directory());
    snprintf(fixture->keyring_path, sizeof(fixture->keyring_path), "%s.keyring", fixture->path);
    MOS_ASSERT_OK(mos_keyring_create(fixture->keyring_path, &fixture->keyring, &error), &error);
    MOS_ASSERT_OK(mos_repository_create(fixture->path, fixture->keyring, &fixture->repository, &error), &error);
}

static inline void fixture_reopen(struct fixture *fixture) {
    struct mos_error error = {0};
    mos_repository_close(fixture->repository);
    MOS_ASSERT_OK(mos_repository_open(fixture->path, fixture->keyring, &fixture->repository, &error), &error);
}

static inline void fixture_close(struct fixture *fixture) {
    mos_repository_close(fixture->repository);
    mos_keyring_free(fixture->keyring);
}

// Bytes that do not compress and depend on the seed alone.
static inline void noise(uint8_t *out, size_t size_bytes, uint64_t seed) {
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < size_bytes; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out[i] = (uint8_t)(state >> 24);
    }
}

#define FILE_BYTES 3000u

// One chunk and one file with it: /data/<name>. The content is noise with the seed.
static inline mos_status put_file(mos_writer *writer, const char *path, uint64_t seed, size_t size_bytes, struct mos_error *error) {
    uint8_t *content = mos_malloc(size_bytes);
    struct mos_chunk_id id;
    bool was_new;
    noise(content, size_bytes, seed);
    mos_status status = mos_writer_put(writer, 0, content, size_bytes, &id, &was_new, error);
    free(content);
    if (status != MOS_OK) {
        return status;
    }
    struct mos_extent extent = {.chunk = id, .length_bytes = (uint32_t)size_bytes};
    struct mos_entry entry = {
        .path = path,
        .path_bytes = strlen(path),
        .type = MOS_ENTRY_FILE,
        .mode = 0644,
        .user = "root",
        .group = "root",
        .size_bytes = size_bytes,
        .extents = &extent,
        .extent_count = 1,
    };
    return mos_writer_add(writer, &entry, error);
}

// A backup of `count` files /data/0000…, whose contents have the seeds first_seed, first_seed + 1, …
static inline mos_status make_backup(struct fixture *fixture, const char *id, uint64_t first_seed, size_t count, struct mos_record *out,
                                     struct mos_error *error) {
    struct mos_writer_options options = {.backup_id = id, .compression_level = 1, .workers = 1};
    mos_writer *writer = NULL;
    mos_status status = mos_writer_begin(fixture->repository, &options, &writer, error);
    for (size_t i = 0; i < count && status == MOS_OK; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/data/%04zu", i);
        status = put_file(writer, path, first_seed + i, FILE_BYTES, error);
    }
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    Mosaajii__Engine__V1__Statistics statistics = MOSAAJII__ENGINE__V1__STATISTICS__INIT;
    info.name = (char *)"test";
    info.statistics = &statistics;
    if (status == MOS_OK) {
        status = mos_writer_finish(writer, &info, out, error);
    }
    mos_writer_free(writer);
    return status;
}

// Reads everything back; the number of files whose content is what make_backup wrote.
static inline size_t count_good_files(mos_reader *reader, uint64_t first_seed) {
    mos_tree_reader *tree = NULL;
    struct mos_error error = {0};
    size_t good = 0;
    MOS_ASSERT_OK(mos_tree_open(reader, NULL, 0, &tree, &error), &error);
    for (;;) {
        const struct mos_entry *entry = NULL;
        if (mos_tree_next(tree, &entry, &error) != MOS_OK) {
            continue;
        }
        if (!entry) {
            break;
        }
        const struct mos_chunk *chunk = NULL;
        uint8_t expected[FILE_BYTES];
        noise(expected, sizeof(expected), first_seed + strtoull(entry->path + strlen("/data/"), NULL, 10));
        if (mos_reader_chunk(reader, &entry->extents[0].chunk, &chunk, &error) == MOS_OK) {
            good += chunk->size_bytes == FILE_BYTES && memcmp(chunk->data, expected, FILE_BYTES) == 0;
            mos_chunk_release(chunk);
        }
    }
    mos_tree_close(tree);
    return good;
}

// Calls `visit` for all regular files below the folder.
static inline void each_file(const char *folder, void (*visit)(const char *path, void *context), void *context) {
    DIR *handle = opendir(folder);
    for (struct dirent *entry = handle ? readdir(handle) : NULL; entry; entry = readdir(handle)) {
        char *path = NULL;
        struct stat status;
        CU_ASSERT_FATAL(asprintf(&path, "%s/%s", folder, entry->d_name) > 0);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && lstat(path, &status) == 0) {
            if (S_ISDIR(status.st_mode)) {
                each_file(path, visit, context);
            } else {
                visit(path, context);
            }
        }
        free(path);
    }
    if (handle) {
        closedir(handle);
    }
}

static inline void read_file(const char *path, struct mos_buffer *out) {
    mos_buffer_clear(out);
    FILE *file = fopen(path, "rb");
    uint8_t block[4096];
    for (size_t got; file && (got = fread(block, 1, sizeof(block), file)) > 0;) {
        mos_buffer_append(out, block, got);
    }
    if (file) {
        fclose(file);
    }
}

static inline void write_file(const char *path, const void *data, size_t size_bytes) {
    FILE *file = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fwrite(data, 1, size_bytes, file), size_bytes);
    fclose(file);
}

static inline void flip_byte(const char *path, size_t at) {
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte = 0;
    CU_ASSERT_FATAL(descriptor >= 0);
    CU_ASSERT_EQUAL(pread(descriptor, &byte, 1, (off_t)at), 1);
    byte ^= 0x20;
    CU_ASSERT_EQUAL(pwrite(descriptor, &byte, 1, (off_t)at), 1);
    close(descriptor);
}

// A whole verification: all packs.
static inline void verify_all(struct fixture *fixture, const char *id, void (*report)(void *context, const char *message), void *context,
                              struct mos_verify_result *out) {
    mos_verify *verify = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_verify_begin(fixture->repository, id, report, context, &verify, &error), &error);
    for (size_t i = 0; i < mos_verify_packs(verify); i++) {
        MOS_ASSERT_OK(mos_verify_pack(verify, i, &error), &error);
    }
    mos_verify_result(verify, out);
    mos_verify_free(verify);
}

#define ID_A "01890a5d-ac96-774b-bcce-b302099a8057"
#define ID_B "01890a5d-ac96-774b-bcce-b302099a8058"
#define ID_C "01890a5d-ac96-774b-bcce-b302099a8059"

#endif

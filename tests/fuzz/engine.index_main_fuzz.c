// index/main behind its authentication: tables that break every rule, but were written with the right key.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/repo/files.h"
#include "engine/repo/index.h"
#include "engine/repo/repository_internal.h"

static struct mos_repository repository;
static char folder[64];

static void require(bool good) {
    if (!good) {
        abort();
    }
}

static void remove_folder(void) {
    static const char *const names[] = {"index", "lock", "tmp", "packs/00", "packs"};
    for (size_t i = 0; i < 5; i++) {
        struct mos_names found = {0};
        if (mos_folder_list(repository.root, names[i], &found, NULL) == MOS_OK) {
            for (size_t k = 0; k < found.count; k++) {
                char name[320];
                snprintf(name, sizeof(name), "%s/%s", names[i], found.names[k]);
                mos_file_remove(repository.root, name, NULL);
            }
        }
        mos_names_free(&found);
        mos_folder_remove(repository.root, names[i], NULL);
    }
    rmdir(folder);
    free(repository.keys);
}

static void make_repository(void) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%.40s/mosaajii-fuzz-XXXXXX", base ? base : "/tmp");
    require(mkdtemp(folder) != NULL);
    repository.path = folder;
    repository.root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    repository.keys = mos_calloc(1, sizeof(*repository.keys));
    require(mos_folder_make(repository.root, "index", NULL) == MOS_OK && mos_folder_make(repository.root, "lock", NULL) == MOS_OK &&
            mos_folder_make(repository.root, "tmp", NULL) == MOS_OK && mos_folder_make(repository.root, "packs", NULL) == MOS_OK);
    // The one pack that is there: its id is zero, and it has 64 bytes.
    char name[MOS_OBJECT_NAME_BYTES];
    uint8_t content[64] = {0};
    mos_pack_name(repository.id, name);
    require(mos_file_write(repository.root, name, content, sizeof(content), NULL) == MOS_OK);
    atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!repository.keys) {
        make_repository();
    }
    // The head of an index of this repository, the input (counts and tables), and the code that authenticates all of it.
    MOS_CLEANUP_BUFFER struct mos_buffer main = {0};
    uint8_t head[22] = "MIXM\1";
    uint8_t mac[MOS_HASH_BYTES];
    mos_buffer_append(&main, head, sizeof(head));
    mos_buffer_append(&main, data, size);
    mos_hmac(&repository.keys->index_mac, main.data, main.size_bytes, mac);
    mos_buffer_append(&main, mac, sizeof(mac));
    int descriptor = openat(repository.root, "index/main", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(descriptor >= 0 && write(descriptor, main.data, main.size_bytes) == (ssize_t)main.size_bytes);
    close(descriptor);
    mos_index *index = NULL;
    bool missing = false;
    struct mos_index_hit hit;
    struct mos_pack pack;
    require(mos_index_open(&repository, &index, &missing, NULL) == MOS_OK);
    for (size_t i = 0; i < mos_index_pack_count(index); i++) {
        mos_index_pack(index, (uint32_t)i, &pack, NULL);
        require(mos_index_has_pack(index, pack.id) && pack.size_bytes == 64);
    }
    // Ids are asked for wherever the input has one.
    for (size_t at = 0; at + MOS_CHUNK_ID_BYTES <= size; at++) {
        struct mos_chunk_id id;
        memcpy(id.bytes, data + at, sizeof(id.bytes));
        require(!mos_index_find(index, &id, &hit) || hit.pack < mos_index_pack_count(index));
    }
    mos_index_close(index);
    return 0;
}

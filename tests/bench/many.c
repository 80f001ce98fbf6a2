// Makes a large repository without writing much: mos_many DIR BACKUPS PACKS. DIR/keyring and DIR/repo; every backup names PACKS packs of
// its own, of which nothing but their sizes is real; the newest names none of them and can be restored. For the bench of a server that
// comes back from a bucket.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "engine/repo/files.h"
#include "engine/repo/manifest.h"
#include "engine/repo/repository_internal.h"
#include "unit/engine/repo/fixture.h"

enum { PACK_BYTES = 200, FOOTER_BYTES = 100 };

void mos_test_complain(const char *call, const char *message) {
    fprintf(stderr, "mos_many: %s: %s\n", call, message);
}

static void must(mos_status status, const struct mos_error *error) {
    if (status != MOS_OK) {
        fprintf(stderr, "mos_many: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
}

static void put_pack(const struct fixture *fixture, Mosaajii__Engine__V1__Pack *pack, uint8_t *bytes) {
    char name[MOS_OBJECT_NAME_BYTES], path[4400];
    mosaajii__engine__v1__pack__init(pack);
    mos_random(bytes, 16 + 32 + 32);
    pack->id = (ProtobufCBinaryData){.data = bytes, .len = 16};
    pack->sha256 = (ProtobufCBinaryData){.data = bytes + 16, .len = 32};
    pack->key = (ProtobufCBinaryData){.data = bytes + 48, .len = 32};
    pack->size = PACK_BYTES;
    pack->frames = 1;
    pack->footer_size = FOOTER_BYTES;
    mos_pack_name(bytes, name);
    snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    mkdir(path, 0700);
    *slash = '/';
    int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0 || ftruncate(descriptor, PACK_BYTES) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    close(descriptor);
}

// Written without a flush: it need not survive anything.
static void put_file_at(const struct fixture *fixture, const char *name, const void *data, size_t size_bytes) {
    char path[4400];
    snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    mkdir(path, 0700);
    *slash = '/';
    FILE *file = fopen(path, "wbe");
    if (!file || fwrite(data, 1, size_bytes, file) != size_bytes || fclose(file) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
}

static void put_backup(struct fixture *fixture, const Mosaajii__Engine__V1__Manifest *model, int64_t time_ns, size_t packs) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    struct mos_error error = {0};
    char id[MOS_ID_TEXT_BYTES], name[MOS_OBJECT_NAME_BYTES];
    struct mos_key key;
    Mosaajii__Engine__V1__Manifest manifest = *model;
    Mosaajii__Engine__V1__BackupInfo info = *model->info;
    mos_id_new(id);
    info.id = id;
    info.name = (char *)"many";
    info.type = (char *)"FILES";
    info.created_at_unix_ns = info.completed_at_unix_ns = time_ns;
    info.retention_days = 30;
    manifest.info = &info;
    manifest.packs = mos_arena_array(arena, Mosaajii__Engine__V1__Pack *, packs + model->n_packs);
    memcpy(manifest.packs, model->packs, model->n_packs * sizeof(*model->packs));
    manifest.n_packs = packs + model->n_packs;
    for (size_t i = model->n_packs; i < manifest.n_packs; i++) {
        manifest.packs[i] = mos_arena_alloc(arena, sizeof(Mosaajii__Engine__V1__Pack));
        put_pack(fixture, manifest.packs[i], mos_arena_alloc(arena, 80));
    }
    mos_random(key.bytes, sizeof(key.bytes));
    struct mos_key_binding binding = mos_backup_key_binding(fixture->repository, id);
    must(mos_key_wrap(fixture->keyring, 1, &binding, &key, &object, &error), &error);
    snprintf(name, sizeof(name), "keys/%s/1", id);
    put_file_at(fixture, name, object.data, object.size_bytes);
    mos_buffer_clear(&object);
    must(mos_manifest_seal(&manifest, id, &key, &object, &error), &error);
    mos_manifest_name(id, name);
    put_file_at(fixture, name, object.data, object.size_bytes);
}

static void make_real(struct fixture *fixture, const char *id) {
    struct mos_record record;
    struct mos_error error = {0};
    must(make_backup(fixture, id, 1, 20, &record, &error), &error);
}

static Mosaajii__Engine__V1__Manifest *read_manifest(struct fixture *fixture, const char *id, mos_arena *arena) {
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    struct mos_error error = {0};
    char name[MOS_OBJECT_NAME_BYTES];
    struct mos_key key;
    uint32_t version;
    Mosaajii__Engine__V1__Manifest *manifest;
    mos_manifest_name(id, name);
    must(mos_file_read(fixture->repository->root, name, MOS_MANIFEST_LIMIT_BYTES, &object, &error), &error);
    must(mos_backup_key_load(fixture->repository, id, &key, &version, &error), &error);
    must(mos_manifest_open(object.data, object.size_bytes, id, &key, arena, &manifest, &error), &error);
    return manifest;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: mos_many DIR BACKUPS PACKS\n", stderr);
        return 2;
    }
    struct fixture fixture;
    struct mos_error error = {0};
    snprintf(fixture.path, sizeof(fixture.path), "%s/repo", argv[1]);
    snprintf(fixture.keyring_path, sizeof(fixture.keyring_path), "%s/keyring", argv[1]);
    must(mos_keyring_create(fixture.keyring_path, &fixture.keyring, &error), &error);
    must(mos_repository_create(fixture.path, fixture.keyring, &fixture.repository, &error), &error);
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    make_real(&fixture, ID_A);
    const Mosaajii__Engine__V1__Manifest *model = read_manifest(&fixture, ID_A, arena);
    long backups = strtol(argv[2], NULL, 10);
    for (long i = 2; i < backups; i++) {
        put_backup(&fixture, model, INT64_C(1600000000) * MOS_NS_PER_SECOND + i * 3600 * MOS_NS_PER_SECOND,
                   (size_t)strtoul(argv[3], NULL, 10));
    }
    put_backup(&fixture, model, mos_now_unix_ns(), 0);
    fixture_close(&fixture);
    return 0;
}

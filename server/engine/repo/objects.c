#include "engine/repo/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/repo/files.h"
#include "engine/repo/reader_internal.h"

// None of these is large, but a manifest may be.
#define SMALL_LIMIT_BYTES MOS_MANIFEST_LIMIT_BYTES

struct list {
    int root;
    struct mos_object *objects;
    size_t count;
    size_t capacity;
};

static struct mos_object *add(struct list *list, const char *name, int64_t size_bytes) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->objects = mos_realloc(list->objects, list->capacity * sizeof(*list->objects));
    }
    struct mos_object *object = &list->objects[list->count++];
    memset(object, 0, sizeof(*object));
    snprintf(object->name, sizeof(object->name), "%s", name);
    object->size_bytes = size_bytes;
    return object;
}

// One whose hash stands nowhere else.
static mos_status add_file(struct list *list, const char *name, struct mos_error *error) {
    MOS_CLEANUP_BUFFER struct mos_buffer content = {0};
    mos_status status = mos_file_read(list->root, name, SMALL_LIMIT_BYTES, &content, error);
    if (status == MOS_OK) {
        struct mos_object *object = add(list, name, (int64_t)content.size_bytes);
        mos_sha256(content.data, content.size_bytes, object->sha256);
    }
    return status;
}

static mos_status add_folder(struct list *list, const char *folder, struct mos_error *error) {
    struct mos_names names = {0};
    mos_status status = mos_folder_list(list->root, folder, &names, error);
    for (size_t i = 0; i < names.count && status == MOS_OK; i++) {
        char name[MOS_OBJECT_NAME_BYTES];
        snprintf(name, sizeof(name), "%s/%.60s", folder, names.names[i]);
        status = add_file(list, name, error);
        // Rewrapping removes the object of an older version once that of the new one is there.
        status = status == MOS_NOT_FOUND ? MOS_OK : status;
    }
    mos_names_free(&names);
    return status;
}

// The packs that the manifest names, and where one was rewritten, what leads to the packs in its place.
static mos_status add_packs(struct list *list, const mos_reader *reader, struct mos_error *error) {
    struct mos_pack_list met = {0};
    bool added;
    mos_status status = MOS_OK;
    for (size_t i = 0; i < reader->named_count; i++) {
        mos_pack_list_add(&met, &reader->named[i], &added);
    }
    for (size_t next = 0; next < met.count && status == MOS_OK; next++) {
        struct mos_pack pack = met.packs[next];
        char name[MOS_OBJECT_NAME_BYTES];
        int64_t size;
        struct mos_pack *targets = NULL;
        size_t count = 0;
        mos_pack_name(pack.id, name);
        bool there = mos_file_size(list->root, name, &size, NULL) == MOS_OK;
        if (!there && mos_moved_read(list->root, &pack, &targets, &count, NULL) == MOS_OK) {
            mos_moved_name(pack.id, name);
            status = add_file(list, name, error);
            for (size_t i = 0; i < count; i++) {
                mos_pack_list_add(&met, &targets[i], &added);
            }
            mos_packs_free(targets, count);
        } else {
            memcpy(add(list, name, (int64_t)pack.size_bytes)->sha256, pack.sha256, MOS_HASH_BYTES);
        }
        mos_key_wipe(&pack.key);
    }
    mos_pack_list_free(&met);
    return status;
}

mos_status mos_reader_objects(const mos_reader *reader, struct mos_object **out, size_t *out_count, struct mos_error *error) {
    struct list list = {.root = reader->repository->root};
    char name[MOS_OBJECT_NAME_BYTES];
    static const char *const shared[] = {"repository", "repository.copy"};
    mos_status status = add_packs(&list, reader, error);
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]) && status == MOS_OK; i++) {
        status = add_file(&list, shared[i], error);
        // Each is made again from the other.
        status = status == MOS_NOT_FOUND ? MOS_OK : status;
    }
    if (status == MOS_OK) {
        status = add_folder(&list, MOS_SECRET_FOLDER, error);
    }
    if (status == MOS_OK) {
        mos_backup_keys_name(reader->backup_id, name);
        status = add_folder(&list, name, error);
    }
    if (status == MOS_OK) {
        mos_manifest_name(reader->backup_id, name);
        status = add_file(&list, name, error);
    }
    if (status != MOS_OK) {
        free(list.objects);
        return status;
    }
    *out = list.objects;
    *out_count = list.count;
    return MOS_OK;
}

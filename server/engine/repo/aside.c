#include "engine/repo/aside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void mark_name(const uint8_t id[MOS_PACK_ID_BYTES], char out_name[MOS_OBJECT_NAME_BYTES]) {
    char hex[2 * MOS_PACK_ID_BYTES + 1];
    mos_hex_encode(id, MOS_PACK_ID_BYTES, hex);
    snprintf(out_name, MOS_OBJECT_NAME_BYTES, "aside/%s", hex);
}

mos_status mos_aside_add(int root, const uint8_t id[MOS_PACK_ID_BYTES], struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    mark_name(id, name);
    return mos_file_mark(root, name, error);
}

mos_status mos_aside_remove(int root, const uint8_t id[MOS_PACK_ID_BYTES], struct mos_error *error) {
    char name[MOS_OBJECT_NAME_BYTES];
    mark_name(id, name);
    return mos_file_remove(root, name, error);
}

mos_status mos_aside_list(int root, struct mos_aside *out, struct mos_error *error) {
    struct mos_names names;
    *out = (struct mos_aside){0};
    mos_status status = mos_folder_list(root, "aside", &names, error);
    if (status == MOS_OK) {
        out->ids = mos_calloc(names.count + 1, MOS_PACK_ID_BYTES);
        // The names are in order, and so the ids.
        for (size_t i = 0; i < names.count; i++) {
            out->count += mos_hex_decode(names.names[i], out->ids + out->count * MOS_PACK_ID_BYTES, MOS_PACK_ID_BYTES);
        }
    }
    mos_names_free(&names);
    return status;
}

static int compare_ids(const void *a, const void *b) {
    return memcmp(a, b, MOS_PACK_ID_BYTES);
}

bool mos_aside_has(const struct mos_aside *aside, const uint8_t id[MOS_PACK_ID_BYTES]) {
    return aside->count > 0 && bsearch(id, aside->ids, aside->count, MOS_PACK_ID_BYTES, compare_ids);
}

void mos_aside_free(struct mos_aside *aside) {
    free(aside->ids);
    *aside = (struct mos_aside){0};
}

#include "engine/pipeline/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "engine/pipeline/content.h"

enum { BLOCK_BYTES = 256 << 10 };

struct comparison {
    int descriptor;
    // Where the content that was compared so far ends in the file.
    uint64_t end;
    uint8_t *block;
};

static bool read_at(struct comparison *comparison, size_t size_bytes, uint64_t offset) {
    for (size_t done = 0; done < size_bytes;) {
        ssize_t got = pread(comparison->descriptor, comparison->block + done, size_bytes - done, (off_t)(offset + done));
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

// From the end so far to `offset` the backup has a hole.
static bool is_hole(struct comparison *comparison, uint64_t offset) {
    static const uint8_t zeros[4096];
    while (comparison->end < offset) {
        off_t data = lseek(comparison->descriptor, (off_t)comparison->end, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            break;
        }
        uint64_t from = data < 0 ? comparison->end : (uint64_t)data;
        if (from >= offset) {
            break;
        }
        size_t size_bytes = offset - from < sizeof(zeros) ? (size_t)(offset - from) : sizeof(zeros);
        if (!read_at(comparison, size_bytes, from) || memcmp(comparison->block, zeros, size_bytes) != 0) {
            return false;
        }
        comparison->end = from + size_bytes;
    }
    comparison->end = offset;
    return true;
}

static mos_status take(void *context, const void *data, size_t size_bytes, uint64_t offset_bytes, struct mos_error *error) {
    struct comparison *comparison = context;
    bool same = is_hole(comparison, offset_bytes);
    for (size_t done = 0; done < size_bytes && same;) {
        size_t piece = size_bytes - done < BLOCK_BYTES ? size_bytes - done : BLOCK_BYTES;
        same = read_at(comparison, piece, offset_bytes + done) && memcmp(comparison->block, (const uint8_t *)data + done, piece) == 0;
        done += piece;
    }
    comparison->end = offset_bytes + size_bytes;
    return same ? MOS_OK : mos_fail(error, MOS_ABORTED, "the file holds something else");
}

bool mos_compare_content(mos_reader *reader, mos_tree_reader *tree, const struct mos_entry *entry, int descriptor) {
    MOS_CLEANUP_FREE uint8_t *block = mos_malloc(BLOCK_BYTES);
    struct comparison comparison = {.descriptor = descriptor, .block = block};
    return mos_content_all(reader, tree, entry, take, &comparison, NULL) == MOS_OK && is_hole(&comparison, entry->size_bytes);
}

#include "engine/pipeline/operation.h"

#include <stdlib.h>

#include "common/buffer.h"
#include "engine/repo/repository.h"
#include "unit/test.h"

MOS_TEST(a_deletion_of_very_many_packs_fits_in_an_answer) {
    enum { PACKS = 500000 };
    struct mos_deletion deletion = {.bytes_freed = 5, .bytes_pending = 7, .packs_removed_count = PACKS, .packs_kept_count = 3};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    char *name = mos_strdup("packs/ab/ab0123456789abcdef0123456789abcd");
    deletion.packs_removed = mos_malloc(PACKS * sizeof(char *));
    for (size_t i = 0; i < PACKS; i++) {
        deletion.packs_removed[i] = name;
    }
    deletion.packs_kept = deletion.packs_removed;
    Mosaajii__Engine__V1__Deletion message = MOSAAJII__ENGINE__V1__DELETION__INIT;
    mos_deletion_fill(&deletion, arena, &message);
    CU_ASSERT(mosaajii__engine__v1__deletion__get_packed_size(&message) < 1u << 20);
    CU_ASSERT_EQUAL(message.packs_removed_count, PACKS);
    CU_ASSERT_EQUAL(message.n_packs_removed, 5000);
    CU_ASSERT_STRING_EQUAL(message.packs_removed[4999], "ab0123456789abcdef0123456789abcd");
    CU_ASSERT_EQUAL(message.packs_kept_count, 3);
    CU_ASSERT_EQUAL(message.n_packs_kept, 3);
    CU_ASSERT_EQUAL(message.bytes_freed, 5);
    CU_ASSERT_EQUAL(message.bytes_pending, 7);
    free(deletion.packs_removed);
    free(name);
}

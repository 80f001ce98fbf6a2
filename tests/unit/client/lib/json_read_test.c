#include "lib/json_read.h"

#include <string.h>

#include <mosaajii/backup/v1/recovery.pb-c.h>

#include "common/buffer.h"
#include "lib/json.h"
#include "unit/test.h"

typedef Mosaajii__Backup__V1__Plan plan;

static mos_status read_plan(const char *text, mos_arena *arena, plan *out, struct mos_error *error) {
    mosaajii__backup__v1__plan__init(out);
    const struct mos_json *json = mos_json_parse(arena, text, strlen(text));
    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    return mos_json_read(json, &out->base, arena, error);
}

MOS_TEST(what_is_printed_is_read_back) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    plan first, second;
    struct mos_error error = {0};
    MOS_ASSERT_OK(read_plan("{\"name\":\"a\",\"priority\":\"HIGH\",\"backupTypes\":[\"FULL\",\"FILES\"],\"recovery_time_objective\":5,"
                            "\"createdAt\":\"2026-01-31T12:00:00.5Z\",\"verified\":true,\"description\":null,"
                            "\"steps\":[{\"id\":\"s\",\"automated\":true,\"onFailure\":\"ASK\",\"dependencies\":[\"x\",\"y\"]},{}]}",
                            arena, &first, &error),
                  &error);
    CU_ASSERT(first.priority == MOSAAJII__BACKUP__V1__PLAN__PRIORITY__HIGH && first.n_backup_types == 2 && first.n_steps == 2);
    CU_ASSERT(first.recovery_time_objective == 5 && first.verified && first.created_at->nanos == 500000000);
    CU_ASSERT(first.backup_types[1] == MOSAAJII__BACKUP__V1__BACKUP__TYPE__FILES);
    CU_ASSERT_STRING_EQUAL(first.steps[0]->dependencies[1], "y");
    MOS_CLEANUP_BUFFER struct mos_buffer printed = MOS_BUFFER_INIT(0), again = MOS_BUFFER_INIT(0);
    mos_json_append(&printed, &first.base, true);
    MOS_ASSERT_OK(read_plan(mos_buffer_text(&printed), arena, &second, &error), &error);
    mos_json_append(&again, &second.base, true);
    CU_ASSERT_STRING_EQUAL(mos_buffer_text(&printed), mos_buffer_text(&again));
}

MOS_TEST(what_does_not_fit_is_named) {
    static const struct {
        const char *text, *field;
    } cases[] = {{"[]", "the whole"},
                 {"{\"nmae\":\"a\"}", "nmae"},
                 {"{\"name\":7}", "name"},
                 {"{\"priority\":\"URGENT\"}", "priority"},
                 {"{\"priority\":2}", "priority"},
                 {"{\"recoveryTimeObjective\":1.5}", "recoveryTimeObjective"},
                 {"{\"recoveryTimeObjective\":99999999999}", "recoveryTimeObjective"},
                 {"{\"verified\":\"yes\"}", "verified"},
                 {"{\"createdAt\":\"yesterday\"}", "createdAt"},
                 {"{\"backupTypes\":\"FULL\"}", "backupTypes"},
                 {"{\"steps\":[{\"id\":\"a\"},{\"retries\":\"two\"}]}", "steps[1].retries"},
                 {"{\"steps\":[7]}", "steps[0]"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        plan out;
        struct mos_error error = {0};
        CU_ASSERT_EQUAL(read_plan(cases[i].text, arena, &out, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, cases[i].field);
    }
}

// Keep rules as texts: "last=3,daily=7,weekly=4", and for backups with a tag "TAG:last=3,daily=7;TAG:yearly=10".
#ifndef MOS_CONTROL_SCHEDULE_KEEP_H
#define MOS_CONTROL_SCHEDULE_KEEP_H

#include "control/catalog/schedules.h"

enum { MOS_KEEP_MOST = 100000, MOS_TAG_RULES_MOST = 64 };

// Each number is from 0 to MOS_KEEP_MOST and one is above 0. MOS_INVALID_ARGUMENT naming the field and the rule.
mos_status mos_keep_check(const struct mos_keep *keep, const char *field, struct mos_error *error);
mos_status mos_keep_parse(struct mos_keep *out, const char *field, const char *text, struct mos_error *error);

struct mos_tag_rule {
    const char *tag;
    struct mos_keep keep;
};
// Lives in the arena. "" gives none. MOS_INVALID_ARGUMENT naming the field.
mos_status mos_tag_rules_parse(mos_arena *arena, const char *field, const char *text, struct mos_tag_rule **out, size_t *out_count,
                               struct mos_error *error);

#endif

#include "control/schedule/keep.h"

#include <string.h>

#define ALLOWED "allowed are last, hourly, daily, weekly, monthly and yearly with a number, as last=3,daily=7"

static const char *const names[] = {"last", "hourly", "daily", "weekly", "monthly", "yearly"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static int32_t *number_of(struct mos_keep *keep, size_t index) {
    int32_t *const numbers[NAMES] = {&keep->last, &keep->hourly, &keep->daily, &keep->weekly, &keep->monthly, &keep->yearly};
    return numbers[index];
}

mos_status mos_keep_check(const struct mos_keep *keep, const char *field, struct mos_error *error) {
    struct mos_keep copy = *keep;
    bool any = false;
    for (size_t i = 0; i < NAMES; i++) {
        int32_t number = *number_of(&copy, i);
        if (number < 0 || number > MOS_KEEP_MOST) {
            return mos_fail_field(error, field, "%s has %s=%d; allowed is 0 to %d", field, names[i], number, MOS_KEEP_MOST);
        }
        any = any || number > 0;
    }
    return any ? MOS_OK : mos_fail_field(error, field, "%s keeps nothing; at least one of its numbers must be above 0", field);
}

// name=number, up to the end of the text or one of the ends; *text is behind it then.
static bool take_one(const char **text, const char *ends, struct mos_keep *out, bool given[NAMES]) {
    for (size_t i = 0; i < NAMES; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(*text, names[i], length) != 0 || (*text)[length] != '=') {
            continue;
        }
        int64_t number = 0;
        const char *digits = *text + length + 1, *next = digits;
        for (; *next >= '0' && *next <= '9' && next - digits < 7; next++) {
            number = number * 10 + (*next - '0');
        }
        if (next == digits || number > MOS_KEEP_MOST || given[i] || (*next && !strchr(ends, *next))) {
            return false;
        }
        *number_of(out, i) = (int32_t)number;
        given[i] = true;
        *text = next;
        return true;
    }
    return false;
}

// A list with commas between; *text is at the end of the text or at `end` then.
static bool take_list(const char **text, char end, struct mos_keep *out) {
    const char ends[] = {',', end, 0};
    bool given[NAMES] = {0};
    *out = (struct mos_keep){0};
    do {
        if (!take_one(text, ends, out, given)) {
            return false;
        }
    } while (**text == ',' && (*text)++);
    return true;
}

mos_status mos_keep_parse(struct mos_keep *out, const char *field, const char *text, struct mos_error *error) {
    const char *next = text;
    return take_list(&next, 0, out) && !*next ? mos_keep_check(out, field, error)
                                              : mos_fail_field(error, field, "%s is \"%.64s\"; " ALLOWED, field, text);
}

mos_status mos_tag_rules_parse(mos_arena *arena, const char *field, const char *text, struct mos_tag_rule **out, size_t *out_count,
                               struct mos_error *error) {
    const char *given = text;
    struct mos_tag_rule *rules = mos_arena_array(arena, struct mos_tag_rule, MOS_TAG_RULES_MOST);
    size_t count = 0;
    bool good = true, more = *text != 0;
    while (good && more && count < MOS_TAG_RULES_MOST) {
        size_t length = strcspn(text, ":;,");
        char *tag = mos_arena_alloc(arena, length + 1);
        if (!rules || !tag) {
            return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "%s takes too much memory", field);
        }
        memcpy(tag, text, length);
        rules[count].tag = tag;
        text += length;
        good = length > 0 && *text == ':' && text++ && take_list(&text, ';', &rules[count].keep);
        if (good) {
            mos_status status = mos_keep_check(&rules[count++].keep, field, error);
            if (status != MOS_OK) {
                return status;
            }
        }
        more = good && *text == ';' && text++;
    }
    *out = rules;
    *out_count = count;
    return !good || more
               ? mos_fail_field(error, field,
                                "%s is \"%.64s\"; it must be up to %d of TAG:last=3,daily=7 with semicolons between, where " ALLOWED, field,
                                given, MOS_TAG_RULES_MOST)
               : MOS_OK;
}

#include "control/audit/chain.h"

#include <stdio.h>
#include <string.h>

#include "unit/test.h"

enum { ENTRIES = 9 };

struct trail {
    struct mos_audit_entry entries[ENTRIES + 1];
    char resources[ENTRIES + 1][16];
    struct mos_audit_checkpoint checkpoint;
    uint8_t secret[MOS_AUDIT_SECRET_KEY_BYTES];
};

static void chain(struct mos_audit_entry *entry, const struct mos_audit_entry *before) {
    memset(entry->previous, 0, sizeof(entry->previous));
    if (before->sequence) {
        memcpy(entry->previous, before->hash, sizeof(entry->previous));
    }
    mos_audit_hash(entry, entry->hash);
}

static void sign(struct trail *trail, int64_t sequence) {
    trail->checkpoint = (struct mos_audit_checkpoint){.sequence = sequence, .unix_ns = 1234567890123456789};
    memcpy(trail->checkpoint.hash, trail->entries[sequence].hash, sizeof(trail->checkpoint.hash));
    mos_audit_sign(&trail->checkpoint, trail->secret);
}

// Entries 1 to ENTRIES, and a checkpoint of the last.
static void write_trail(struct trail *trail) {
    static const struct mos_audit_detail details[] = {{"a", "1"}, {"b", "\"two\"\n"}};
    *trail = (struct trail){0};
    CU_ASSERT_FATAL(mos_audit_new_key(trail->secret));
    for (int i = 1; i <= ENTRIES; i++) {
        snprintf(trail->resources[i], sizeof(trail->resources[i]), "thing %d", i);
        trail->entries[i] = (struct mos_audit_entry){.sequence = i,
                                                     .time = "2026-01-31T12:00:00.000Z",
                                                     .actor = "somebody",
                                                     .ip_address = "192.0.2.1",
                                                     .action = "BackupService.DeleteBackup",
                                                     .resource = trail->resources[i],
                                                     .result = "OK",
                                                     .details = details,
                                                     .detail_count = 2};
        chain(&trail->entries[i], &trail->entries[i - 1]);
    }
    sign(trail, ENTRIES);
}

// Feeds the entries in this order (ends with 0), then the checkpoint.
static struct mos_audit_verifier verify(const struct trail *trail, const int *order, bool signed_end) {
    struct mos_audit_verifier verifier;
    mos_audit_verify_begin(&verifier, 0, NULL, NULL);
    for (; *order; order++) {
        mos_audit_verify_entry(&verifier, &trail->entries[*order]);
    }
    if (signed_end) {
        mos_audit_verify_checkpoint(&verifier, &trail->checkpoint);
    }
    mos_audit_verify_end(&verifier, true);
    return verifier;
}

static const int in_order[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0};

MOS_TEST(a_whole_trail_is_whole) {
    struct trail trail;
    write_trail(&trail);
    struct mos_audit_verifier verifier = verify(&trail, in_order, true);
    CU_ASSERT_EQUAL(verifier.first_bad, 0);
    CU_ASSERT_EQUAL(verifier.entries, ENTRIES);
    CU_ASSERT_EQUAL(verifier.checkpoints, 1);
}

MOS_TEST(an_altered_entry_is_named) {
    struct trail trail;
    write_trail(&trail);
    const char **const texts[] = {&trail.entries[4].time,   &trail.entries[4].actor,    &trail.entries[4].ip_address,
                                  &trail.entries[4].action, &trail.entries[4].resource, &trail.entries[4].result};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *kept = *texts[i];
        *texts[i] = "other";
        CU_ASSERT_EQUAL(verify(&trail, in_order, true).first_bad, 4);
        // With its hash made anew, the one behind it tells.
        uint8_t hash[MOS_AUDIT_HASH_BYTES];
        memcpy(hash, trail.entries[4].hash, sizeof(hash));
        mos_audit_hash(&trail.entries[4], trail.entries[4].hash);
        CU_ASSERT_EQUAL(verify(&trail, in_order, true).first_bad, 4);
        memcpy(trail.entries[4].hash, hash, sizeof(hash));
        *texts[i] = kept;
    }
    struct mos_audit_detail details[] = {{"a", "1"}, {"b", "2"}};
    trail.entries[4].details = details;
    CU_ASSERT_EQUAL(verify(&trail, in_order, true).first_bad, 4);
}

MOS_TEST(fields_cannot_flow_into_one_another) {
    struct trail trail;
    write_trail(&trail);
    trail.entries[4].actor = "some";
    trail.entries[4].ip_address = "body192.0.2.1";
    CU_ASSERT_EQUAL(verify(&trail, in_order, true).first_bad, 4);
}

MOS_TEST(a_trail_that_was_rewritten_to_its_end_fails_at_the_checkpoint) {
    struct trail trail;
    write_trail(&trail);
    trail.entries[4].actor = "somebody else";
    for (int i = 4; i <= ENTRIES; i++) {
        chain(&trail.entries[i], &trail.entries[i - 1]);
    }
    struct mos_audit_verifier verifier = verify(&trail, in_order, true);
    CU_ASSERT_EQUAL(verifier.first_bad, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(verifier.message, "rewritten"));
}

MOS_TEST(removed_moved_and_cut_off_entries_are_named) {
    struct trail trail;
    write_trail(&trail);
    struct mos_audit_verifier verifier = verify(&trail, (const int[]){1, 2, 4, 5, 6, 7, 8, 9, 0}, true);
    CU_ASSERT_EQUAL(verifier.first_bad, 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(verifier.message, "missing"));
    verifier = verify(&trail, (const int[]){1, 2, 4, 3, 5, 6, 7, 8, 9, 0}, true);
    CU_ASSERT_EQUAL(verifier.first_bad, 3);
    CU_ASSERT_STRING_EQUAL(verifier.message, "entry 3 was moved");
    verifier = verify(&trail, (const int[]){1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 0}, true);
    CU_ASSERT_EQUAL(verifier.first_bad, 3);
    verifier = verify(&trail, (const int[]){2, 3, 4, 5, 6, 7, 8, 9, 0}, true);
    CU_ASSERT_EQUAL(verifier.first_bad, 1);
    verifier = verify(&trail, (const int[]){1, 2, 3, 4, 5, 6, 0}, true);
    CU_ASSERT_EQUAL(verifier.first_bad, 7);
    // Without the checkpoint nothing says that there was more, but nothing says that this is all either.
    verifier = verify(&trail, (const int[]){1, 2, 3, 4, 5, 6, 0}, false);
    CU_ASSERT_EQUAL(verifier.first_bad, 1);
}

MOS_TEST(a_false_checkpoint_is_found) {
    struct trail trail;
    write_trail(&trail);
    trail.checkpoint.signature[5] ^= 1;
    CU_ASSERT_EQUAL(verify(&trail, in_order, true).first_bad, 1);
    sign(&trail, ENTRIES);
    trail.checkpoint.unix_ns++;
    CU_ASSERT_EQUAL(verify(&trail, in_order, true).first_bad, 1);
    // Somebody else's key.
    sign(&trail, ENTRIES);
    uint8_t expected[MOS_AUDIT_PUBLIC_KEY_BYTES];
    memcpy(expected, trail.checkpoint.public_key, sizeof(expected));
    CU_ASSERT_FATAL(mos_audit_new_key(trail.secret));
    sign(&trail, ENTRIES);
    struct mos_audit_verifier verifier;
    mos_audit_verify_begin(&verifier, 0, NULL, expected);
    for (int i = 1; i <= ENTRIES; i++) {
        mos_audit_verify_entry(&verifier, &trail.entries[i]);
    }
    mos_audit_verify_checkpoint(&verifier, &trail.checkpoint);
    CU_ASSERT_EQUAL(verifier.first_bad, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(verifier.message, "another key"));
}

MOS_TEST(lines_come_back_as_they_went) {
    struct trail trail;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    struct mos_audit_line line;
    uint8_t hash[MOS_AUDIT_HASH_BYTES];
    write_trail(&trail);
    mos_audit_append_entry(&text, &trail.entries[2]);
    CU_ASSERT_FATAL(mos_audit_parse_line((const char *)text.data, text.size_bytes - 1, arena, &line));
    CU_ASSERT_FALSE(line.is_checkpoint);
    mos_audit_hash(&line.entry, hash);
    CU_ASSERT_EQUAL(memcmp(hash, trail.entries[2].hash, sizeof(hash)), 0);
    CU_ASSERT_EQUAL(memcmp(line.entry.hash, hash, sizeof(hash)), 0);
    mos_buffer_clear(&text);
    mos_audit_append_checkpoint(&text, &trail.checkpoint);
    CU_ASSERT_FATAL(mos_audit_parse_line((const char *)text.data, text.size_bytes - 1, arena, &line));
    CU_ASSERT(line.is_checkpoint);
    CU_ASSERT(mos_audit_signed(&line.checkpoint));
    CU_ASSERT_EQUAL(line.checkpoint.sequence, ENTRIES);
    static const char *const wrong[] = {"", "{}", "[]", "{\"entry\":1}", "{\"checkpoint\":0}", "{\"checkpoint\":1e300}", "null"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_FALSE(mos_audit_parse_line(wrong[i], strlen(wrong[i]), arena, &line));
    }
}

MOS_TEST(a_checkpoint_as_an_object_comes_back) {
    struct trail trail;
    struct mos_audit_checkpoint back;
    uint8_t object[MOS_AUDIT_OBJECT_BYTES];
    write_trail(&trail);
    mos_audit_encode_checkpoint(&trail.checkpoint, object);
    CU_ASSERT_FATAL(mos_audit_decode_checkpoint(object, sizeof(object), &back));
    CU_ASSERT(mos_audit_signed(&back));
    CU_ASSERT_EQUAL(back.sequence, ENTRIES);
    CU_ASSERT_FALSE(mos_audit_decode_checkpoint(object, sizeof(object) - 1, &back));
    object[0] ^= 1;
    CU_ASSERT_FALSE(mos_audit_decode_checkpoint(object, sizeof(object), &back));
}

MOS_TEST(details_are_sorted_and_none_is_twice) {
    struct mos_audit_detail details[] = {{"c", "1"}, {"a", "2"}, {"c", "3"}, {"b", "4"}};
    CU_ASSERT_EQUAL_FATAL(mos_audit_sort_details(details, 4), 3);
    CU_ASSERT_STRING_EQUAL(details[0].name, "a");
    CU_ASSERT_STRING_EQUAL(details[1].name, "b");
    CU_ASSERT_STRING_EQUAL(details[2].value, "3");
}

#include "control/catalog/words.h"

#include "unit/test.h"

static void check(const char *(*word_of)(int number), int (*number_of)(const char *word), int most) {
    for (int i = 1; i <= most; i++) {
        CU_ASSERT(*word_of(i));
        CU_ASSERT_EQUAL(number_of(word_of(i)), i);
    }
    CU_ASSERT_STRING_EQUAL(word_of(0), "");
    CU_ASSERT_STRING_EQUAL(word_of(most + 1), "");
    CU_ASSERT_STRING_EQUAL(word_of(-1), "");
    CU_ASSERT_STRING_EQUAL(word_of(-2147483647 - 1), "");
    CU_ASSERT_EQUAL(number_of(""), 0);
    CU_ASSERT_EQUAL(number_of("full"), 0);
    CU_ASSERT_EQUAL(number_of("PENDING "), 0);
}

MOS_TEST(words_and_numbers_belong_together) {
    check(mos_backup_type_word, mos_backup_type_from_word, MOS_BACKUP_CONFIGURATION);
    check(mos_backup_status_word, mos_backup_status_from_word, MOS_BACKUP_CANCELLED);
    check(mos_job_kind_word, mos_job_kind_from_word, MOS_JOB_KEY_REWRAP);
    check(mos_job_status_word, mos_job_status_from_word, MOS_JOB_CANCELLED);
    check(mos_event_kind_word, mos_event_kind_from_word, MOS_EVENT_FINISHED);
    check(mos_role_word, mos_role_from_word, MOS_ROLE_ADMIN);
}

// They stand in catalogs that exist, and in the documented REST API.
MOS_TEST(the_words_are_the_documented_ones) {
    CU_ASSERT_STRING_EQUAL(mos_backup_type_word(MOS_BACKUP_DIFFERENTIAL), "DIFFERENTIAL");
    CU_ASSERT_STRING_EQUAL(mos_backup_status_word(MOS_BACKUP_IN_PROGRESS), "IN_PROGRESS");
    CU_ASSERT_STRING_EQUAL(mos_backup_status_word(MOS_BACKUP_EXPIRED), "EXPIRED");
    CU_ASSERT_STRING_EQUAL(mos_job_kind_word(MOS_JOB_OFFSITE_UPLOAD), "OFFSITE_UPLOAD");
    CU_ASSERT_STRING_EQUAL(mos_job_status_word(MOS_JOB_SUCCEEDED_WITH_WARNINGS), "SUCCEEDED_WITH_WARNINGS");
    CU_ASSERT_STRING_EQUAL(mos_event_kind_word(MOS_EVENT_FINISHED), "FINISHED");
    CU_ASSERT_STRING_EQUAL(mos_role_word(MOS_ROLE_OPERATOR), "OPERATOR");
}

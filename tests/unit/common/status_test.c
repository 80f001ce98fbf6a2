#include "common/status.h"

#include <errno.h>
#include <string.h>

#include "unit/test.h"

MOS_TEST(names_and_codes_go_both_ways) {
    for (int i = 0; i < MOS_STATUS_COUNT; i++) {
        mos_status status = (mos_status)i;
        CU_ASSERT_EQUAL(mos_status_from_name(mos_status_name(status)), status);
        CU_ASSERT(mos_status_grpc_code(status) >= 0 && mos_status_grpc_code(status) <= 16);
    }
    for (int code = 0; code <= 16; code++) {
        CU_ASSERT_EQUAL(mos_status_grpc_code(mos_status_from_grpc_code(code)), code);
    }
    CU_ASSERT_EQUAL(mos_status_from_name("NO_SUCH"), MOS_UNKNOWN);
    CU_ASSERT_EQUAL(mos_status_from_name(NULL), MOS_UNKNOWN);
    CU_ASSERT_EQUAL(mos_status_from_grpc_code(99), MOS_UNKNOWN);
    CU_ASSERT_STRING_EQUAL(mos_status_name((mos_status)999), "UNKNOWN");
}

MOS_TEST(specific_statuses_travel_as_grpc_codes) {
    CU_ASSERT_EQUAL(mos_status_grpc_code(MOS_CORRUPT), MOS_DATA_LOSS);
    CU_ASSERT_EQUAL(mos_status_grpc_code(MOS_NO_SPACE), MOS_RESOURCE_EXHAUSTED);
    CU_ASSERT(mos_status_retryable(MOS_UNAVAILABLE));
    CU_ASSERT_FALSE(mos_status_retryable(MOS_NOT_FOUND));
}

MOS_TEST(failing_fills_the_record) {
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_fail_field(&error, "retentionDays", "retentionDays is %d", 0), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "retentionDays");
    CU_ASSERT_STRING_EQUAL(error.message, "retentionDays is 0");
    CU_ASSERT_EQUAL(mos_fail(&error, MOS_NOT_FOUND, "no %s", "such thing"), MOS_NOT_FOUND);
    CU_ASSERT_STRING_EQUAL(error.field, "");
    CU_ASSERT_EQUAL(mos_fail(NULL, MOS_ABORTED, "nobody listens"), MOS_ABORTED);
}

MOS_TEST(errno_becomes_a_status) {
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_fail_errno(&error, ENOSPC, "writing %s", "a pack"), MOS_NO_SPACE);
    CU_ASSERT_STRING_EQUAL(error.message, "writing a pack: No space left on device");
    CU_ASSERT_EQUAL(mos_fail_errno(NULL, ENOENT, "x"), MOS_NOT_FOUND);
    CU_ASSERT_EQUAL(mos_fail_errno(NULL, EACCES, "x"), MOS_PERMISSION_DENIED);
    CU_ASSERT_EQUAL(mos_fail_errno(NULL, EIO, "x"), MOS_IO);
}

MOS_TEST(context_goes_before_the_message_and_never_overflows) {
    struct mos_error error = {0};
    mos_fail(&error, MOS_CORRUPT, "frame 3 does not open");
    CU_ASSERT_EQUAL(mos_fail_context(&error, "pack %s", "ab12"), MOS_CORRUPT);
    CU_ASSERT_STRING_EQUAL(error.message, "pack ab12: frame 3 does not open");
    for (int i = 0; i < 200; i++) {
        mos_fail_context(&error, "%s", "another layer");
    }
    CU_ASSERT_EQUAL(strlen(error.message), sizeof(error.message) - 1);
    // A message may be made from itself.
    mos_fail(&error, MOS_INTERNAL, "short");
    mos_fail(&error, MOS_INTERNAL, "%s twice", error.message);
    CU_ASSERT_STRING_EQUAL(error.message, "short twice");
}

#include "control/rpc/details.h"

#include <mosaajii/rpc/v1/status.pb-c.h>
#include <string.h>

#include "lib/rpc_details.h"
#include "unit/test.h"

MOS_TEST(simple_errors_have_no_details) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    const uint8_t *bytes;
    size_t size_bytes;
    mos_fail(&error, MOS_NOT_FOUND, "not there");
    mos_details_encode(&error, arena, &bytes, &size_bytes);
    CU_ASSERT_PTR_NULL(bytes);
}

MOS_TEST(field_becomes_a_bad_request) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    const uint8_t *bytes;
    size_t size_bytes;
    mos_fail_field(&error, "a.b", "must be so");
    mos_details_encode(&error, arena, &bytes, &size_bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    Mosaajii__Rpc__V1__Status *status = mosaajii__rpc__v1__status__unpack(NULL, size_bytes, bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(status);
    CU_ASSERT_EQUAL(status->code, 3);
    CU_ASSERT_STRING_EQUAL(status->message, "must be so");
    CU_ASSERT_EQUAL_FATAL(status->n_details, 1);
    CU_ASSERT_STRING_EQUAL(status->details[0]->type_url, "type.googleapis.com/google.rpc.BadRequest");
    // Written out by hand: field_violations { field: "a.b" description: "must be so" }.
    static const char expected[] = "\x0a\x11\x0a\x03"
                                   "a.b"
                                   "\x12\x0a"
                                   "must be so";
    CU_ASSERT_EQUAL_FATAL(status->details[0]->value.len, sizeof(expected) - 1);
    CU_ASSERT_EQUAL(memcmp(status->details[0]->value.data, expected, sizeof(expected) - 1), 0);
    mosaajii__rpc__v1__status__free_unpacked(status, NULL);
}

MOS_TEST(details_come_back) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    for (int i = MOS_CANCELLED; i < MOS_STATUS_COUNT; i++) {
        struct mos_error error = {.status = (mos_status)i, .field = "field", .message = "message"};
        const uint8_t *bytes;
        size_t size_bytes;
        mos_details_encode(&error, arena, &bytes, &size_bytes);
        CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
        struct mos_error read = {.status = mos_status_from_grpc_code(mos_status_grpc_code((mos_status)i))};
        mos_rpc_details_decode(bytes, size_bytes, &read);
        CU_ASSERT_EQUAL(read.status, (mos_status)i);
        CU_ASSERT_STRING_EQUAL(read.field, "field");
        // Cut off anywhere, they say nothing, and the error stays.
        for (size_t size = 0; size < size_bytes; size++) {
            struct mos_error same = {.status = MOS_UNKNOWN};
            mos_rpc_details_decode(bytes, size, &same);
            CU_ASSERT(same.status == MOS_UNKNOWN || same.status == (mos_status)i);
        }
    }
}

MOS_TEST(reason_that_contradicts_the_code_is_not_believed) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {.status = MOS_NO_SPACE, .message = "full"};
    const uint8_t *bytes;
    size_t size_bytes;
    mos_details_encode(&error, arena, &bytes, &size_bytes);
    struct mos_error read = {.status = MOS_NOT_FOUND};
    mos_rpc_details_decode(bytes, size_bytes, &read);
    CU_ASSERT_EQUAL(read.status, MOS_NOT_FOUND);
}

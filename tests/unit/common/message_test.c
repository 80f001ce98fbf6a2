#include "common/message.h"

#include <google/protobuf/descriptor.pb-c.h>
#include <string.h>

#include "unit/test.h"

#define DESCRIPTOR (&google__protobuf__descriptor_proto__descriptor)
typedef Google__Protobuf__DescriptorProto type_message;

static mos_status unpack(const void *data, size_t size_bytes, size_t limit_bytes, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(limit_bytes);
    ProtobufCMessage *message;
    *error = (struct mos_error){0};
    return mos_message_unpack(DESCRIPTOR, data, size_bytes, arena, &message, error);
}

MOS_TEST(good_messages_come_whole) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    ProtobufCMessage *message;
    struct mos_error error = {0};
    // name: "ü", nested_type { name: "x" }, and an unknown field of each wire type.
    static const char bytes[] = "\x0a\x02\xc3\xbc\x1a\x03\x0a\x01x\xb8\x3e\x01\xb9\x3e"
                                "12345678\xba\x3e\x01z\xbd\x3e"
                                "1234";
    MOS_ASSERT_OK(mos_message_unpack(DESCRIPTOR, (const uint8_t *)bytes, sizeof(bytes) - 1, arena, &message, &error), &error);
    type_message *type = (type_message *)message;
    CU_ASSERT_STRING_EQUAL(type->name, "ü");
    CU_ASSERT_EQUAL_FATAL(type->n_nested_type, 1);
    CU_ASSERT_STRING_EQUAL(type->nested_type[0]->name, "x");
    CU_ASSERT_EQUAL(message->n_unknown_fields, 4);
    MOS_ASSERT_OK(mos_message_unpack(DESCRIPTOR, NULL, 0, arena, &message, &error), &error);
}

MOS_TEST(broken_bytes_are_refused) {
    static const struct {
        const char *bytes;
        size_t size_bytes;
    } cases[] = {
        {"\x0a", 1},                                              // no length
        {"\x0a\x05x", 3},                                         // cut off
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},     // longer than anything
        {"\x02x", 2},                                             // field 0
        {"\x0b\x0c", 2},                                          // a group
        {"\x0e", 1},                                              // no such wire type
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, // a varint that does not end
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10},         // a tag of more than 32 bits
        {"\x09x", 2},                                             // a short fixed64
    };
    struct mos_error error;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL(unpack(cases[i].bytes, cases[i].size_bytes, 0, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "");
    }
}

MOS_TEST(text_is_checked_and_named) {
    struct mos_error error;
    CU_ASSERT_EQUAL(unpack("\x0a\x01\xff", 3, 0, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "name");
    // protobuf-c would give "a", and what stands behind the zero byte would pass unseen.
    CU_ASSERT_EQUAL(unpack("\x0a\x03"
                           "a\0b",
                           5, 0, &error),
                    MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "name");
    // nested_type { field { type_name: "\xff" } }
    CU_ASSERT_EQUAL(unpack("\x1a\x05\x12\x03\x32\x01\xff", 7, 0, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "nestedType.field.typeName");
}

// nested_type in nested_type, `depth` times.
static size_t nest(uint8_t *bytes, size_t room, int depth) {
    size_t used = 0;
    for (int i = 0; i < depth; i++) {
        uint8_t head[4] = {0x1a};
        size_t head_bytes = used < 128 ? 2 : 3;
        head[1] = used < 128 ? (uint8_t)used : (uint8_t)(used | 0x80);
        head[2] = (uint8_t)(used >> 7);
        CU_ASSERT_FATAL(used + head_bytes <= room);
        memmove(bytes + head_bytes, bytes, used);
        memcpy(bytes, head, head_bytes);
        used += head_bytes;
    }
    return used;
}

MOS_TEST(depth_has_a_limit) {
    static uint8_t bytes[16384];
    struct mos_error error;
    size_t size_bytes = nest(bytes, sizeof(bytes), MOS_MESSAGE_DEPTH_MAX);
    CU_ASSERT_EQUAL(unpack(bytes, size_bytes, 0, &error), MOS_OK);
    size_bytes = nest(bytes, sizeof(bytes), MOS_MESSAGE_DEPTH_MAX + 1);
    CU_ASSERT_EQUAL(unpack(bytes, size_bytes, 0, &error), MOS_INVALID_ARGUMENT);
    size_bytes = nest(bytes, sizeof(bytes), 4000);
    CU_ASSERT_EQUAL(unpack(bytes, size_bytes, 0, &error), MOS_INVALID_ARGUMENT);
}

MOS_TEST(memory_has_a_limit) {
    static uint8_t bytes[20000];
    for (size_t i = 0; i < sizeof(bytes); i += 2) {
        bytes[i] = 0x1a; // an empty nested_type
    }
    struct mos_error error;
    CU_ASSERT_EQUAL(unpack(bytes, sizeof(bytes), 64 << 10, &error), MOS_RESOURCE_EXHAUSTED);
    CU_ASSERT_EQUAL(unpack(bytes, sizeof(bytes), 0, &error), MOS_OK);
    // However little there is.
    for (size_t limit = 16; limit < 4096; limit += 16) {
        mos_status status = unpack(bytes, 40, limit, &error);
        CU_ASSERT(status == MOS_OK || status == MOS_RESOURCE_EXHAUSTED);
    }
}

#include "engine/repo/catalog_copy.h"

#include "unit/engine/repo/fixture.h"

static const char object_name[] = "catalog/00000000000000000001";

static size_t read_all(const char *path, uint8_t *out, size_t most) {
    int descriptor = open(path, O_RDONLY);
    CU_ASSERT_FATAL(descriptor >= 0);
    ssize_t got = read(descriptor, out, most);
    close(descriptor);
    return (size_t)got;
}

static void round_trip(size_t size_bytes, bool compressible) {
    struct fixture fixture;
    struct mos_error error = {0};
    char from[4300], to[4300];
    fixture_open(&fixture);
    snprintf(from, sizeof(from), "%s.from", fixture.path);
    snprintf(to, sizeof(to), "%s.to", fixture.path);
    uint8_t *content = mos_calloc(1, size_bytes + 1), *back = mos_malloc(size_bytes + 100);
    if (!compressible) {
        noise(content, size_bytes, 7);
    }
    write_file(from, content, size_bytes);
    MOS_ASSERT_OK(mos_catalog_seal(fixture.repository, from, object_name, &error), &error);
    fixture_reopen(&fixture);
    MOS_ASSERT_OK(mos_catalog_unseal(fixture.repository, object_name, to, &error), &error);
    CU_ASSERT_EQUAL(read_all(to, back, size_bytes + 100), size_bytes);
    CU_ASSERT_EQUAL(memcmp(back, content, size_bytes), 0);
    CU_ASSERT_EQUAL(mos_catalog_unseal(fixture.repository, object_name, to, &error), MOS_ALREADY_EXISTS);
    unlink(from);
    unlink(to);
    free(content);
    free(back);
    fixture_close(&fixture);
}

MOS_TEST(sizes_around_a_frame) {
    round_trip(0, true);
}

MOS_TEST(one_frame_exactly) {
    round_trip(1 << 20, false);
}

MOS_TEST(several_frames) {
    round_trip((3 << 20) + 17, true);
}

// Wherever a byte is changed or the object is cut, no file is left.
MOS_TEST(damage_leaves_nothing) {
    struct fixture fixture;
    struct mos_error error = {0};
    char from[4300], to[4300], object[4300];
    static uint8_t content[3000], sealed[8000];
    fixture_open(&fixture);
    snprintf(from, sizeof(from), "%s.from", fixture.path);
    snprintf(to, sizeof(to), "%s.to", fixture.path);
    snprintf(object, sizeof(object), "%s/%s", fixture.path, object_name);
    noise(content, sizeof(content), 8);
    write_file(from, content, sizeof(content));
    MOS_ASSERT_OK(mos_catalog_seal(fixture.repository, from, object_name, &error), &error);
    size_t size_bytes = read_all(object, sealed, sizeof(sealed));
    for (size_t at = 0; at + 32 < size_bytes; at += 97) {
        sealed[at] ^= 1;
        write_file(object, sealed, size_bytes);
        CU_ASSERT_EQUAL(mos_catalog_unseal(fixture.repository, object_name, to, &error), MOS_CORRUPT);
        CU_ASSERT_NOT_EQUAL(access(to, F_OK), 0);
        sealed[at] ^= 1;
    }
    for (size_t cut = 0; cut < size_bytes; cut += 301) {
        write_file(object, sealed, cut);
        CU_ASSERT_EQUAL(mos_catalog_unseal(fixture.repository, object_name, to, &error), MOS_CORRUPT);
        CU_ASSERT_NOT_EQUAL(access(to, F_OK), 0);
    }
    unlink(from);
    fixture_close(&fixture);
}

MOS_TEST(names_lead_nowhere_else) {
    static const char *const names[] = {"catalog/../keys/x", "catalog/1", "packs/00000000000000000001", "catalog/0000000000000000000x", ""};
    struct fixture fixture;
    struct mos_error error = {0};
    fixture_open(&fixture);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        CU_ASSERT_EQUAL(mos_catalog_seal(fixture.repository, "/dev/null", names[i], &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_EQUAL(mos_catalog_unseal(fixture.repository, names[i], "/dev/null", &error), MOS_INVALID_ARGUMENT);
    }
    fixture_close(&fixture);
}

#include <stdio.h>
#include <string.h>

#include "control/offsite/object_store.h"
#include "unit/test.h"

static mos_settings *settings_of(char *const *environment) {
    mos_settings *settings = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_settings_load(&settings, environment, &error), &error);
    return settings;
}

MOS_TEST(locations_are_read_back_as_they_are_told) {
    static char *const environment[] = {"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=hidden", "SFTP_USER=backup", NULL};
    static const char *const locations[] = {"s3://bucket/shop/one?region=eu-central-1&endpoint=https%3A//s3.example%3A9000", "s3://bucket",
                                            "file:///srv/backups/shop"};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_settings *settings = settings_of(environment);
    for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
        struct mos_error error = {0};
        struct mos_store_options options;
        mos_store *store = NULL;
        MOS_ASSERT_OK(mos_store_options_from_location(settings, locations[i], arena, &options, &error), &error);
        MOS_ASSERT_OK(mos_store_open(&store, &options, &error), &error);
        CU_ASSERT_EQUAL(strncmp(mos_store_location(store), locations[i], strlen(locations[i])), 0);
        CU_ASSERT_PTR_NULL(strstr(mos_store_location(store), "hidden"));
        mos_store_close(store);
    }
    mos_settings_free(settings);
}

MOS_TEST(wrong_locations_are_refused) {
    static char *const environment[] = {NULL};
    static const char *const locations[] = {"",
                                            "bucket",
                                            "http://x/y",
                                            "s3://",
                                            "s3:///prefix",
                                            "s3://b?x=y",
                                            "s3://b?region",
                                            "s3://b/%zz",
                                            "s3://b/%00",
                                            "file://host/path",
                                            "file://",
                                            "sftp://u:p@h/srv",
                                            "sftp:///srv",
                                            "sftp://u@/srv",
                                            "gs://",
                                            "s3://b/p?region=a&secret=b"};
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    mos_settings *settings = settings_of(environment);
    for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
        struct mos_error error = {0};
        struct mos_store_options options;
        CU_ASSERT_EQUAL(mos_store_options_from_location(settings, locations[i], arena, &options, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "from");
        CU_ASSERT_PTR_NULL(strstr(error.message, "u:p"));
    }
    mos_settings_free(settings);
}

MOS_TEST(a_setting_that_is_missing_or_wrong_is_named) {
    static const struct {
        struct mos_store_options options;
        const char *field;
    } cases[] = {
        {{.provider = MOS_STORE_S3}, "OFFSITE_BUCKET"},
        {{.provider = MOS_STORE_S3, .bucket = "Bucket"}, "OFFSITE_BUCKET"},
        {{.provider = MOS_STORE_S3, .bucket = "bucket"}, "AWS_ACCESS_KEY_ID"},
        {{.provider = MOS_STORE_S3, .bucket = "bucket", .access_key_id = "a"}, "AWS_SECRET_ACCESS_KEY"},
        {{.provider = MOS_STORE_S3, .bucket = "bucket", .access_key_id = "a", .secret_access_key = "b", .region = "x/y"}, "OFFSITE_REGION"},
        {{.provider = MOS_STORE_S3, .bucket = "bucket", .access_key_id = "a", .secret_access_key = "b", .prefix = "../x"},
         "OFFSITE_PREFIX"},
        {{.provider = MOS_STORE_S3, .bucket = "bucket", .access_key_id = "a", .secret_access_key = "b", .endpoint = "http://s3.example"},
         "OFFSITE_ENDPOINT"},
        {{.provider = MOS_STORE_S3,
          .bucket = "bucket",
          .access_key_id = "a",
          .secret_access_key = "b",
          .endpoint = "http://127.0.0.1.example"},
         "OFFSITE_ENDPOINT"},
        {{.provider = MOS_STORE_S3,
          .bucket = "bucket",
          .access_key_id = "a",
          .secret_access_key = "b",
          .endpoint = "https://u:p@s3.example"},
         "OFFSITE_ENDPOINT"},
        {{.provider = MOS_STORE_S3, .bucket = "bucket", .access_key_id = "a", .secret_access_key = "b", .endpoint = "s3.example"},
         "OFFSITE_ENDPOINT"},
        {{.provider = MOS_STORE_LOCAL_REMOTE, .bucket = "relative"}, "OFFSITE_BUCKET"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mos_error error = {0};
        mos_store *store = NULL;
        CU_ASSERT_EQUAL(mos_store_open(&store, &cases[i].options, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, cases[i].field);
        CU_ASSERT_PTR_NULL(store);
    }
}

MOS_TEST(no_provider_is_said_so) {
    static char *const environment[] = {"OFFSITE_PROVIDER=S3", "OFFSITE_BUCKET=bucket", NULL};
    mos_settings *settings = settings_of(environment);
    struct mos_store_options options;
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_store_options_from_settings(settings, true, &options, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_STRING_EQUAL(error.field, "OFFSITE_REPLICA_PROVIDER");
    MOS_ASSERT_OK(mos_store_options_from_settings(settings, false, &options, &error), &error);
    CU_ASSERT_EQUAL(options.provider, MOS_STORE_S3);
    CU_ASSERT_EQUAL(options.timeout_ms, 30000);
    mos_settings_free(settings);
}

MOS_TEST(a_folder_that_is_not_there_is_not_an_empty_store) {
    char path[4200];
    struct mos_error error = {0};
    struct mos_store_object object;
    MOS_CLEANUP_STORE mos_store *store = NULL;
    snprintf(path, sizeof(path), "%s/not-mounted", mos_test_directory());
    const struct mos_store_options options = {.provider = MOS_STORE_LOCAL_REMOTE, .bucket = path};
    MOS_ASSERT_OK(mos_store_open(&store, &options, &error), &error);
    CU_ASSERT_EQUAL(mos_store_probe(store, NULL, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_EQUAL(mos_store_head(store, "a", &object, NULL, &error), MOS_FAILED_PRECONDITION);
}

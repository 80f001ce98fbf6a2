#include "common/settings.h"

#include <stdlib.h>
#include <string.h>

#include "unit/test.h"

static mos_status load(mos_settings **out, struct mos_error *error, const char *variable) {
    char *environment[] = {(char *)(variable ? variable : "PATH=/bin"), NULL};
    return mos_settings_load(out, environment, error);
}

MOS_TEST(defaults_hold_and_home_is_expanded) {
    mos_settings *settings = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(load(&settings, &error, "MOSAAJII_HOME=/srv/mos"), &error);
    CU_ASSERT_STRING_EQUAL(mos_setting_text(settings, MOS_SETTING_MOSAAJII_REPOSITORY), "/srv/mos/repo");
    CU_ASSERT_STRING_EQUAL(mos_setting_text(settings, MOS_SETTING_MOSAAJII_LISTEN), "127.0.0.1:50051");
    CU_ASSERT_EQUAL(mos_setting_number(settings, MOS_SETTING_BACKUP_RETENTION_DAYS), 30);
    CU_ASSERT(mos_setting_flag(settings, MOS_SETTING_BACKUP_ENCRYPTION_ENABLED));
    CU_ASSERT_FALSE(mos_setting_is_set(settings, MOS_SETTING_DATABASE_URL));
    mos_settings_free(settings);
}

MOS_TEST(wrong_values_are_refused_by_name) {
    static const char *const wrong[] = {"MOSAAJII_HOEM=/x",
                                        "BACKUP_RETENTION_DAYS=0",
                                        "BACKUP_RETENTION_DAYS=many",
                                        "BACKUP_RETENTION_DAYS=-3",
                                        "BACKUP_ENCRYPTION_ENABLED=yes",
                                        "MOSAAJII_LISTEN=50051",
                                        "MOSAAJII_LISTEN=::1:50051",
                                        "MOSAAJII_LISTEN=localhost:99999",
                                        "OFFSITE_PROVIDER=FTP",
                                        "SMTP_PORT=0",
                                        "MOSAAJII_RESTORE_ROOTS=/a:b",
                                        "KMS_PROVIDER=local"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        mos_settings *settings = NULL;
        struct mos_error error = {0};
        CU_ASSERT_EQUAL(load(&settings, &error, wrong[i]), MOS_INVALID_ARGUMENT);
        CU_ASSERT_PTR_NULL(settings);
        CU_ASSERT_EQUAL(strncmp(error.field, wrong[i], strcspn(wrong[i], "=")), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, error.field));
    }
}

MOS_TEST(good_values_are_taken) {
    static const char *const good[] = {"MOSAAJII_LISTEN=[::1]:0",     "MOSAAJII_LISTEN=shop.example:50051", "OFFSITE_PROVIDER=S3",
                                       "BACKUP_RETENTION_DAYS=36500", "BACKUP_ENCRYPTION_ENABLED=",         "MOSAAJII_RESTORE_ROOTS=/a:/b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        mos_settings *settings = NULL;
        struct mos_error error = {0};
        MOS_ASSERT_OK(load(&settings, &error, good[i]), &error);
        mos_settings_free(settings);
    }
}

MOS_TEST(secrets_are_masked) {
    mos_settings *settings = NULL;
    struct mos_error error = {0};
    MOS_ASSERT_OK(load(&settings, &error, "SMTP_PASS=hunter2"), &error);
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *stream = open_memstream(&text, &size_bytes);
    mos_settings_print(settings, stream);
    fclose(stream);
    CU_ASSERT_PTR_NULL(strstr(text, "hunter2"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "SMTP_PASS=***  (environment)"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "BACKUP_RETENTION_DAYS=30  (default)"));
    free(text);
    mos_settings_free(settings);

    // A setting that is no secret, but a URL with a password in it; and a list of such.
    static const char *const urls[] = {"OFFSITE_ENDPOINT=https://shop:hunter2@minio.example:9000",
                                       "MOSAAJII_CORS_ORIGINS=https://a.example,https://shop:hunter2@b.example"};
    for (size_t i = 0; i < 2; i++) {
        MOS_ASSERT_OK(load(&settings, &error, urls[i]), &error);
        stream = open_memstream(&text, &size_bytes);
        mos_settings_print(settings, stream);
        fclose(stream);
        CU_ASSERT_PTR_NULL(strstr(text, "hunter2"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "https://shop:***@"));
        free(text);
        mos_settings_free(settings);
    }

    char masked[128];
    mos_url_mask("postgresql://pos:p@ss:word@db.example:5432/pos?x=1", masked, sizeof(masked));
    CU_ASSERT_STRING_EQUAL(masked, "postgresql://pos:***@db.example:5432/pos?x=1");
    mos_url_mask("sqlite:///srv/pos.db", masked, sizeof(masked));
    CU_ASSERT_STRING_EQUAL(masked, "sqlite:///srv/pos.db");
    mos_url_mask("mysql://root@db/pos", masked, sizeof(masked));
    CU_ASSERT_STRING_EQUAL(masked, "mysql://root@db/pos");
}

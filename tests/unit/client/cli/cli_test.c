#include "cli/cli.h"

#include <stdlib.h>
#include <unistd.h>

#include "cli/backup.h"
#include "unit/client/cli/fake.h"

static const struct {
    const char *id;
    Mosaajii__Backup__V1__Backup__Status status;
} backups[] = {{"01939b5e-7a2c-7000-8000-000000000005", API_WORD(BACKUP__STATUS__IN_PROGRESS)},
               {"01939b5e-7a2c-7000-8000-000000000004", API_WORD(BACKUP__STATUS__FAILED)},
               {"01939b5d-0000-7000-8000-000000000003", API_WORD(BACKUP__STATUS__VERIFIED)},
               {"01939a00-0000-7000-8000-000000000002", API_WORD(BACKUP__STATUS__COMPLETED)}};
enum { BACKUPS = sizeof(backups) / sizeof(backups[0]) };

// One backup a page, so that whoever looks for one must turn pages.
static mos_status list_backups(struct mos_call *call, const API(ListBackupsRequest) * request, API(ListBackupsResponse) * response) {
    size_t index = (size_t)atoi(request->page_token);
    mos_arena *arena = mos_call_arena(call);
    response->backups = mos_arena_array(arena, api_backup *, 1);
    if (index >= BACKUPS) {
        return MOS_OK;
    }
    response->backups[0] = mos_arena_alloc(arena, sizeof(api_backup));
    mosaajii__backup__v1__backup__init(response->backups[0]);
    response->backups[0]->id = (char *)backups[index].id;
    response->backups[0]->status = backups[index].status;
    response->n_backups = 1;
    if (index + 1 < BACKUPS) {
        response->next_page_token = mos_arena_printf(arena, "%zu", index + 1);
    }
    return MOS_OK;
}

static mos_status get_backup(struct mos_call *call, const API(GetBackupRequest) * request, api_backup *response) {
    const char *authorization = mos_call_metadata(call, "authorization");
    if (!authorization || strcmp(authorization, "Bearer right") != 0) {
        return mos_fail(mos_call_error(call), authorization ? MOS_PERMISSION_DENIED : MOS_UNAUTHENTICATED, "not you");
    }
    if (strcmp(request->backup_id, "odd") == 0) {
        return mos_fail_field(mos_call_error(call), "backupId", "backupId is odd");
    }
    response->id = request->backup_id;
    return MOS_OK;
}

static const struct mosaajii_backup_v1_backup_service table = {.list_backups = list_backups, .get_backup = get_backup};

MOS_TEST(an_id_is_found_by_its_beginning_or_as_the_latest) {
    static const struct {
        const char *text;
        bool complete;
        mos_status status;
        int found;
    } cases[] = {{"01939b5d", false, MOS_OK, 2},
                 {"01939a00-0000-7000", false, MOS_OK, 3},
                 {"01939b5e-7a2c-7000-8000-000000000004", false, MOS_OK, 1},
                 {"01939b5e", false, MOS_INVALID_ARGUMENT, 0},
                 {"0193", false, MOS_INVALID_ARGUMENT, 0},
                 {"019", false, MOS_INVALID_ARGUMENT, 0},
                 {"", false, MOS_INVALID_ARGUMENT, 0},
                 {"ffffffff", false, MOS_NOT_FOUND, 0},
                 {"no-such-backup", false, MOS_NOT_FOUND, 0},
                 {"01939b5e-7a2c-7000-8000-0000000000041", false, MOS_NOT_FOUND, 0},
                 {"latest", false, MOS_OK, 0},
                 {"latest", true, MOS_OK, 2}};
    struct fake fake;
    fake_start(&fake, &table, NULL, "right");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char id[MOS_ID_TEXT_BYTES];
        struct mos_error error = {0};
        CU_ASSERT_EQUAL(mos_cli_find_backup(&fake.cli, cases[i].text, cases[i].complete, id, &error), cases[i].status);
        if (cases[i].status == MOS_OK) {
            CU_ASSERT_STRING_EQUAL(id, backups[cases[i].found].id);
        }
    }
    fake_stop(&fake);
}

MOS_TEST(calls_carry_the_token_and_bring_back_errors) {
    struct fake fake;
    fake_start(&fake, &table, NULL, "right");
    api_backup *backup;
    struct mos_error error = {0};
    MOS_ASSERT_OK(mos_backup_get(&fake.cli, "x", &backup, &error), &error);
    CU_ASSERT_STRING_EQUAL(backup->id, "x");
    CU_ASSERT_EQUAL(mos_backup_get(&fake.cli, "odd", &backup, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_STRING_EQUAL(error.field, "backupId");
    CU_ASSERT_STRING_EQUAL(error.message, "backupId is odd");
    fake_stop(&fake);
    fake_start(&fake, &table, NULL, "wrong");
    CU_ASSERT_EQUAL(mos_backup_get(&fake.cli, "x", &backup, &error), MOS_PERMISSION_DENIED);
    fake_stop(&fake);
}

MOS_TEST(a_missing_token_is_explained) {
    struct fake fake;
    fake_start(&fake, &table, NULL, NULL);
    api_backup *backup;
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_backup_get(&fake.cli, "x", &backup, &error), MOS_UNAUTHENTICATED);
    mos_client_explain(fake.cli.client, &error);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "/nonexistent/token: No such file or directory"));
    fake_stop(&fake);
}

MOS_TEST(a_server_that_is_gone_is_named) {
    struct fake fake;
    fake_start(&fake, &table, NULL, "right");
    const char *address = mos_arena_strdup(fake.cli.arena, mos_client_address(fake.cli.client));
    mos_rpc_server_destroy(fake.server);
    fake.server = NULL;
    api_backup *backup;
    struct mos_error error = {0};
    CU_ASSERT_EQUAL(mos_backup_get(&fake.cli, "x", &backup, &error), MOS_UNAVAILABLE);
    mos_client_explain(fake.cli.client, &error);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, address));
    CU_ASSERT_EQUAL(mos_exit_of(error.status), MOS_EXIT_NOT_REACHABLE);
    fake_stop(&fake);
}

MOS_TEST(tokens_come_from_files_too) {
    static const struct {
        const char *content;
        mos_status connect;
        mos_status call;
    } cases[] = {{"right\n", MOS_OK, MOS_OK},
                 {"  right", MOS_INVALID_ARGUMENT, MOS_OK},
                 {"right\nwrong\n", MOS_INVALID_ARGUMENT, MOS_OK},
                 {"\n", MOS_OK, MOS_UNAUTHENTICATED}};
    struct fake fake;
    fake_start(&fake, &table, NULL, NULL);
    const char *address = mos_arena_printf(fake.cli.arena, "MOSAAJII_SERVER=%s", mos_client_address(fake.cli.client));
    const char *path = mos_arena_printf(fake.cli.arena, "%s/token", mos_test_directory());
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        FILE *file = fopen(path, "w");
        fputs(cases[i].content, file);
        fclose(file);
        char *environment[] = {(char *)address, mos_arena_printf(fake.cli.arena, "MOSAAJII_TOKEN_FILE=%s", path), NULL};
        mos_settings *settings;
        struct mos_error error = {0};
        MOS_ASSERT_OK(mos_settings_load(&settings, environment, &error), &error);
        struct mos_cli other = fake.cli;
        mos_status status = mos_client_connect(&other.client, settings, &error);
        CU_ASSERT_EQUAL(status, cases[i].connect);
        mos_settings_free(settings);
        if (status == MOS_OK) {
            api_backup *backup;
            CU_ASSERT_EQUAL(mos_backup_get(&other, "x", &backup, &error), cases[i].call);
            mos_client_close(other.client);
        } else {
            CU_ASSERT_STRING_EQUAL(error.field, "MOSAAJII_TOKEN_FILE");
        }
    }
    fake_stop(&fake);
}

MOS_TEST(exit_codes_are_the_contracts) {
    static const struct {
        mos_status status;
        int code;
    } cases[] = {{MOS_OK, 0},           {MOS_INTERNAL, 1},        {MOS_FAILED_PRECONDITION, 1}, {MOS_INVALID_ARGUMENT, 2},
                 {MOS_NOT_FOUND, 4},    {MOS_UNAUTHENTICATED, 5}, {MOS_PERMISSION_DENIED, 5},   {MOS_UNAVAILABLE, 6},
                 {MOS_UNIMPLEMENTED, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL((int)mos_exit_of(cases[i].status), cases[i].code);
    }
}

MOS_TEST(ids_are_shortened_only_where_somebody_looks_and_they_stay_unique) {
    const char *ids[] = {backups[2].id, backups[3].id};
    const char *alike[] = {backups[0].id, backups[1].id};
    struct mos_cli cli = {.out = {.stream = stdout, .interactive = true}};
    CU_ASSERT_EQUAL(mos_cli_id_columns(&cli, ids, 2), 13);
    CU_ASSERT_EQUAL(mos_cli_id_columns(&cli, alike, 2), 36);
    cli.out.interactive = false;
    CU_ASSERT_EQUAL(mos_cli_id_columns(&cli, ids, 2), 36);
}

// A server in this process that answers as a test wants it, and a client connected to it. Included by one test file each.
#ifndef MOS_TESTS_UNIT_CLIENT_CLI_FAKE_H
#define MOS_TESTS_UNIT_CLIENT_CLI_FAKE_H

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "control/rpc/rpc.h"
#include "mosaajii/backup/v1/backup.grpc-server.h"
#include "unit/test.h"

struct fake {
    mos_rpc_server *server;
    struct mos_cli cli;
};

// `token` NULL: none, and a file that is not there.
static void fake_start(struct fake *fake, const struct mosaajii_backup_v1_backup_service *table, void *user, const char *token) {
    struct mos_error error = {0};
    *fake = (struct fake){0};
    MOS_ASSERT_OK(mos_rpc_server_create(&fake->server, &(struct mos_rpc_options){.listen = "127.0.0.1:0"}, &error), &error);
    MOS_ASSERT_OK(mosaajii_backup_v1_backup_service_add(fake->server, table, user, &error), &error);
    MOS_ASSERT_OK(mos_rpc_server_start(fake->server, &error), &error);
    char server[64], secret[64];
    snprintf(server, sizeof(server), "MOSAAJII_SERVER=127.0.0.1:%d", mos_rpc_server_port(fake->server));
    snprintf(secret, sizeof(secret), "MOSAAJII_TOKEN=%s", token ? token : "");
    char *environment[] = {server, secret, "MOSAAJII_TOKEN_FILE=/nonexistent/token", NULL};
    mos_settings *settings;
    MOS_ASSERT_OK(mos_settings_load(&settings, environment, &error), &error);
    MOS_ASSERT_OK(mos_client_connect(&fake->cli.client, settings, &error), &error);
    mos_settings_free(settings);
    fake->cli.arena = mos_arena_create(0);
    fake->cli.out = (struct mos_terminal){.stream = stdout};
    fake->cli.err = (struct mos_terminal){.stream = stderr};
}

static void fake_stop(struct fake *fake) {
    mos_client_close(fake->cli.client);
    mos_rpc_server_destroy(fake->server);
    mos_arena_destroy(fake->cli.arena);
}

#endif

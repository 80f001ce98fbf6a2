// Tokens, keys and the server's own state.
#ifndef MOS_CLIENT_CLI_ADMIN_H
#define MOS_CLIENT_CLI_ADMIN_H

struct mos_cli;

int mos_token_create(struct mos_cli *cli);
int mos_token_list(struct mos_cli *cli);
int mos_token_revoke(struct mos_cli *cli);
int mos_key_list(struct mos_cli *cli);
int mos_status_show(struct mos_cli *cli);
// Done where the server says SERVING, failed where it says something else.
int mos_health_show(struct mos_cli *cli);

#endif

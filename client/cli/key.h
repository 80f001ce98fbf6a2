// Commands that change keys.
#ifndef MOS_CLIENT_CLI_KEY_H
#define MOS_CLIENT_CLI_KEY_H

struct mos_cli;

int mos_key_rotate(struct mos_cli *cli);
int mos_key_retire(struct mos_cli *cli);
int mos_key_export(struct mos_cli *cli);
int mos_key_import(struct mos_cli *cli);

#endif

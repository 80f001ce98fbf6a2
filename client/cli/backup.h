// The `backup` group: what is done to backups as a whole. What looks inside them is in backup_content.c.
#ifndef MOS_CLIENT_CLI_BACKUP_H
#define MOS_CLIENT_CLI_BACKUP_H

#include "cli/cli.h"

// In the command's arena.
mos_status mos_backup_get(struct mos_cli *cli, const char *id, api_backup **out, struct mos_error *error);

int mos_backup_create(struct mos_cli *cli);
int mos_backup_list(struct mos_cli *cli);
int mos_backup_show(struct mos_cli *cli);
int mos_backup_watch(struct mos_cli *cli);
int mos_backup_cancel(struct mos_cli *cli);
int mos_backup_delete(struct mos_cli *cli);

int mos_backup_files(struct mos_cli *cli);
int mos_backup_cat(struct mos_cli *cli);
int mos_backup_diff(struct mos_cli *cli);
int mos_backup_verify(struct mos_cli *cli);
int mos_backup_restore(struct mos_cli *cli);

#endif

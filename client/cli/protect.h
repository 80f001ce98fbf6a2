// Commands that keep backups from being deleted: locks, holds, and the second person.
#ifndef MOS_CLIENT_CLI_PROTECT_H
#define MOS_CLIENT_CLI_PROTECT_H

struct mos_cli;

int mos_backup_lock(struct mos_cli *cli);
int mos_backup_hold(struct mos_cli *cli);
int mos_backup_quarantine(struct mos_cli *cli);
int mos_confirmation_list(struct mos_cli *cli);
int mos_confirmation_give(struct mos_cli *cli);

#endif

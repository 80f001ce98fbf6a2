// The `repository` group: looking after all backups at once.
#ifndef MOS_CLIENT_CLI_REPOSITORY_H
#define MOS_CLIENT_CLI_REPOSITORY_H

struct mos_cli;

int mos_repository_prune(struct mos_cli *cli);
int mos_repository_check(struct mos_cli *cli);

#endif

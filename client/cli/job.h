// The `job` group: backups, verifications, restores and deletions as pieces of work.
#ifndef MOS_CLIENT_CLI_JOB_H
#define MOS_CLIENT_CLI_JOB_H

struct mos_cli;

int mos_job_list(struct mos_cli *cli);
int mos_job_show(struct mos_cli *cli);
int mos_job_watch(struct mos_cli *cli);
int mos_job_cancel(struct mos_cli *cli);

#endif

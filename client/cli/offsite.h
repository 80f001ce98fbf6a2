// mosaajii offsite …
#ifndef MOS_CLIENT_CLI_OFFSITE_H
#define MOS_CLIENT_CLI_OFFSITE_H

struct mos_cli;

int mos_offsite_upload(struct mos_cli *cli);
int mos_offsite_list(struct mos_cli *cli);
int mos_offsite_show(struct mos_cli *cli);
int mos_offsite_verify(struct mos_cli *cli);
int mos_offsite_fetch(struct mos_cli *cli);
int mos_offsite_delete(struct mos_cli *cli);
int mos_offsite_locations(struct mos_cli *cli);
int mos_offsite_policy(struct mos_cli *cli);

#endif

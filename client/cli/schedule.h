// The `schedule` group and `retention preview`.
#ifndef MOS_CLIENT_CLI_SCHEDULE_H
#define MOS_CLIENT_CLI_SCHEDULE_H

#include "cli/cli.h"

// The schedule that `text` names: its id, its name, or a unique beginning of its id of four characters or more. In the command's arena.
mos_status mos_cli_find_schedule(struct mos_cli *cli, const char *text, API(Schedule) * *out, struct mos_error *error);
// --keep-last and so on; *out is NULL where none is given. `before` are the rules that they change; NULL for none.
mos_status mos_cli_read_keep(struct mos_cli *cli, const API(KeepRules) * before, API(KeepRules) * *out, struct mos_error *error);

int mos_schedule_create(struct mos_cli *cli);
int mos_schedule_list(struct mos_cli *cli);
int mos_schedule_show(struct mos_cli *cli);
int mos_schedule_update(struct mos_cli *cli);
int mos_schedule_pause(struct mos_cli *cli);
int mos_schedule_resume(struct mos_cli *cli);
int mos_schedule_delete(struct mos_cli *cli);
int mos_schedule_suggest(struct mos_cli *cli);
int mos_retention_preview(struct mos_cli *cli);

#endif

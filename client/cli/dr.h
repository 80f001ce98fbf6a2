// The `dr` group: recovery plans, their executions and tests.
#ifndef MOS_CLIENT_CLI_DR_H
#define MOS_CLIENT_CLI_DR_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"

int mos_dr_plan(struct mos_cli *cli);
int mos_dr_execute(struct mos_cli *cli);
int mos_dr_test(struct mos_cli *cli);
int mos_dr_list(struct mos_cli *cli);
int mos_dr_show(struct mos_cli *cli);
int mos_dr_watch(struct mos_cli *cli);
int mos_dr_order_run(struct mos_cli *cli);
int mos_dr_order_step(struct mos_cli *cli);
int mos_dr_report(struct mos_cli *cli);

// Follows a run to its end and shows it: a table that is redrawn where somebody looks, lines elsewhere. Answers the exit code.
int mos_dr_follow(struct mos_cli *cli, const char *run_id);

#endif

// Commands on alerts, and analytics.
#ifndef MOS_CLIENT_CLI_ALERT_H
#define MOS_CLIENT_CLI_ALERT_H

struct mos_cli;

int mos_alert_list(struct mos_cli *cli);
int mos_alert_show(struct mos_cli *cli);
int mos_alert_ack(struct mos_cli *cli);
int mos_alert_watch(struct mos_cli *cli);
int mos_alert_test(struct mos_cli *cli);
int mos_analytics_show(struct mos_cli *cli);

#endif

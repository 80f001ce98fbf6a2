// Private to the command line's tables: one file a few groups, each with its groups' commands, ended by one without a name.
#ifndef MOS_CLI_COMMANDS_INTERNAL_H
#define MOS_CLI_COMMANDS_INTERNAL_H

#include "cli/commands.h"

extern const struct mos_command mos_backup_commands[];
extern const struct mos_command mos_repository_commands[];
extern const struct mos_command mos_job_commands[];
extern const struct mos_command mos_schedule_commands[];
extern const struct mos_command mos_retention_commands[];
extern const struct mos_command mos_offsite_commands[];
extern const struct mos_command mos_dr_commands[];
extern const struct mos_command mos_token_commands[];
extern const struct mos_command mos_key_commands[];
extern const struct mos_command mos_audit_commands[];
extern const struct mos_command mos_confirmation_commands[];
extern const struct mos_command mos_alert_commands[];
extern const struct mos_command mos_analytics_commands[];
extern const struct mos_command mos_status_commands[];
extern const struct mos_command mos_health_commands[];

// Of several groups.
#define READABLE_ID_TEXT "\nID is an id, the first characters of one, or \"latest\" for the newest complete backup.\n"
static const struct mos_option delete_options[] = {{.name = "yes", .help = "do not ask"}, {0}};

#endif

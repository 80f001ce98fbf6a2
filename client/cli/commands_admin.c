#include "cli/commands_internal.h"

#include "cli/admin.h"
#include "cli/alert.h"
#include "cli/audit.h"
#include "cli/key.h"
#include "cli/protect.h"

static const struct mos_option token_create_options[] = {
    {.name = "name", .value = "NAME", .help = "who it is for"},
    {.name = "role", .value = "ROLE", .help = "VIEWER (reads), OPERATOR (also backs up, verifies, restores) or ADMIN"},
    {.name = "right", .value = "RIGHT", .repeated = true, .help = "a right beside those of the role, as backup.delete"},
    {.name = "days", .value = "N", .help = "how long it is good; default: for ever"},
    {0},
};
static const struct mos_option alert_list_options[] = {
    {.name = "severity", .value = "SEVERITY", .help = "INFO, WARNING, ERROR or CRITICAL only"},
    {.name = "type", .value = "TYPE", .help = "only this type"},
    {.name = "backup", .value = "ID", .help = "only those of this backup, by its whole id"},
    {.name = "unacknowledged", .help = "only those that nobody has acknowledged"},
    {.name = "limit", .value = "N", .help = "how many at most; default: 50"},
    {0},
};
static const struct mos_option alert_ack_options[] = {{.name = "note", .value = "TEXT", .help = "what is being done about it"}, {0}};
static const struct mos_option alert_watch_options[] = {
    {.name = "after", .value = "N", .help = "only what happened after the event with this sequence number"},
    {.name = "severity", .value = "SEVERITY", .help = "at least this severe"},
    {0},
};
static const struct mos_option analytics_options[] = {
    {.name = "days", .value = "N", .help = "how many days back; default: 30"},
    {.name = "type", .value = "TYPE", .help = "only backups of this type"},
    {0},
};
static const struct mos_option audit_list_options[] = {
    {.name = "actor", .value = "NAME", .help = "only what this caller did, or \"system\""},
    {.name = "action", .value = "ACTION", .help = "only this, as BackupService.DeleteBackup"},
    {.name = "resource", .value = "ID", .help = "only what was done to this"},
    {.name = "limit", .value = "N", .help = "how many at most; default: 50"},
    {0},
};
static const struct mos_option audit_export_options[] = {{.name = "after", .value = "N", .help = "only what follows entry N"}, {0}};
static const struct mos_option audit_verify_options[] = {
    {.name = "key", .value = "KEY", .help = "who must have signed: the server's public key, or a file with it"},
    {.name = "checkpoints", .value = "DIR", .help = "the folder audit/ beside the backups; shows too when the end is missing"},
    {.name = "after",
     .value = "N",
     .help = "the export was made with --after N too; without, an entry missing at the beginning is missing"},
    {0},
};
#define PASSPHRASE_TEXT "\nThe passphrase is the first line of a file, or of standard input; it never stands on the command line.\n"
static const struct mos_option passphrase_options[] = {
    {.name = "passphrase-file", .value = "FILE", .help = "file whose first line is the passphrase; default: standard input"}, {0}};
static const struct mos_option key_rotate_options[] = {{.name = "no-wait", .help = "print the job's id and leave"}, {0}};

const struct mos_command mos_token_commands[] = {
    {.group = "token",
     .name = "create",
     .summary = "Make a token; it is shown this once",
     .example = "  mosaajii token create --name dashboard --role VIEWER --days 90\n",
     .options = token_create_options,
     .run = mos_token_create},
    {.group = "token",
     .name = "list",
     .summary = "List tokens, never their secrets",
     .example = "  mosaajii token list\n",
     .run = mos_token_list},
    {.group = "token",
     .name = "revoke",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Make a token worthless, at once",
     .example = "  mosaajii token revoke 01939b5e-7a2c-7000-8000-000000000000\n",
     .run = mos_token_revoke},
    {0},
};

const struct mos_command mos_key_commands[] = {
    {.group = "key",
     .name = "list",
     .summary = "List the key-encryption keys and how many backups each protects",
     .example = "  mosaajii key list\n",
     .run = mos_key_list},
    {.group = "key",
     .name = "rotate",
     .summary = "Make a new key version and rewrap every backup's key with it",
     .description = "\nBackups themselves are not touched. The old version stays until it is retired.\n",
     .example = "  mosaajii key rotate\n",
     .options = key_rotate_options,
     .run = mos_key_rotate},
    {.group = "key",
     .name = "retire",
     .words = "KEY",
     .least_words = 1,
     .most_words = 1,
     .summary = "Destroy a key version that nothing needs any more",
     .example = "  mosaajii key retire local/1 --yes\n",
     .options = delete_options,
     .run = mos_key_retire},
    {.group = "key",
     .name = "export",
     .words = "FILE",
     .least_words = 1,
     .most_words = 1,
     .summary = "Write an escrow copy of all keys, sealed with a passphrase",
     .description = PASSPHRASE_TEXT,
     .example = "  mosaajii key export keys.escrow --passphrase-file passphrase\n",
     .options = passphrase_options,
     .run = mos_key_export},
    {.group = "key",
     .name = "import",
     .words = "FILE",
     .least_words = 1,
     .most_words = 1,
     .summary = "Take key versions over from an escrow copy",
     .description = PASSPHRASE_TEXT,
     .example = "  mosaajii key import keys.escrow --passphrase-file passphrase\n",
     .options = passphrase_options,
     .run = mos_key_import},
    {0},
};

const struct mos_command mos_audit_commands[] = {
    {.group = "audit",
     .name = "list",
     .summary = "List the audit trail, newest first",
     .example = "  mosaajii audit list --action BackupService.DeleteBackup\n",
     .options = audit_list_options,
     .run = mos_audit_list},
    {.group = "audit",
     .name = "export",
     .words = "[FILE]",
     .most_words = 1,
     .summary = "Write the whole trail with its signed checkpoints, one JSON object a line",
     .description = "\nTo standard output where no file is named; a file that exists is not overwritten.\n",
     .example = "  mosaajii audit export trail.jsonl\n",
     .options = audit_export_options,
     .run = mos_audit_export},
    {.group = "audit",
     .name = "verify",
     .words = "[FILE]",
     .most_words = 1,
     .summary = "Say whether the trail is whole, and name the first entry that is not what it was",
     .description = "\nWith a file it checks that export and needs no server; else the server checks its own trail.\n"
                    "A trail that was changed ends it with exit code 1.\n",
     .example = "  mosaajii audit verify trail.jsonl --key audit.key.pub --checkpoints /srv/backup/repo/audit\n",
     .options = audit_verify_options,
     .run = mos_audit_verify},
    {0},
};

const struct mos_command mos_confirmation_commands[] = {
    {.group = "confirmation",
     .name = "list",
     .summary = "List what waits, or waited, for a second person",
     .example = "  mosaajii confirmation list\n",
     .run = mos_confirmation_list},
    {.group = "confirmation",
     .name = "give",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Confirm what somebody else has asked for",
     .example = "  mosaajii confirmation give 01939b5e-7a2c-7000-8000-000000000000\n",
     .run = mos_confirmation_give},
    {0},
};

const struct mos_command mos_alert_commands[] = {
    {.group = "alert",
     .name = "list",
     .summary = "alerts, newest first",
     .example = "  mosaajii alert list --unacknowledged\n",
     .options = alert_list_options,
     .run = mos_alert_list},
    {.group = "alert",
     .name = "show",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "all that is known of an alert",
     .example = "  mosaajii alert show 01890a5d-ac96-774b-bcce-b302099a8057\n",
     .run = mos_alert_show},
    {.group = "alert",
     .name = "ack",
     .words = "ID...",
     .least_words = 1,
     .most_words = 100,
     .summary = "say that somebody looks after it, and stop reminders",
     .example = "  mosaajii alert ack 01890a5d-ac96-774b-bcce-b302099a8057 --note \"disk ordered\"\n",
     .options = alert_ack_options,
     .run = mos_alert_ack},
    {.group = "alert",
     .name = "watch",
     .summary = "follow alerts as they are raised, acknowledged and resolved",
     .example = "  mosaajii alert watch --severity error\n",
     .options = alert_watch_options,
     .run = mos_alert_watch},
    {.group = "alert",
     .name = "test",
     .summary = "send a test to everybody who is told of alerts",
     .example = "  mosaajii alert test\n",
     .run = mos_alert_test},
    {0},
};

const struct mos_command mos_analytics_commands[] = {
    {.group = "analytics",
     .summary = "success rate, growth, deduplication, compression and durations",
     .example = "  mosaajii analytics --days 90\n",
     .options = analytics_options,
     .run = mos_analytics_show},
    {0},
};

const struct mos_command mos_status_commands[] = {
    {.group = "status",
     .summary = "Show the server, its storage, and what is protected",
     .example = "  mosaajii status\n",
     .run = mos_status_show},
    {0},
};

const struct mos_command mos_health_commands[] = {
    {.group = "health",
     .summary = "Ask the server whether it takes calls; needs no token, and is what probes of containers call",
     .example = "  mosaajii health || echo \"not now\"\n",
     .run = mos_health_show},
    {0},
};

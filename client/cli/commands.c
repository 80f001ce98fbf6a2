#include "cli/commands.h"

#include <string.h>

#include "cli/admin.h"
#include "cli/alert.h"
#include "cli/audit.h"
#include "cli/backup.h"
#include "cli/dr.h"
#include "cli/job.h"
#include "cli/key.h"
#include "cli/offsite.h"
#include "cli/protect.h"
#include "cli/repository.h"
#include "cli/schedule.h"

const struct mos_group mos_groups[] = {
    {"backup", "take, look at, verify, restore and delete backups"},
    {"repository", "look after all backups at once"},
    {"schedule", "backups that are taken without anybody asking"},
    {"retention", "how long backups are kept"},
    {"offsite", "copies of backups at another place"},
    {"job", "the server's pieces of work"},
    {"dr", "recovery plans: made, tested, executed, proved"},
    {"token", "who may call the server"},
    {"key", "the keys that protect the backups' own keys"},
    {"audit", "who did what, and whether that record is whole"},
    {"confirmation", "deletions and the like that wait for a second person"},
    {"alert", "what went wrong, or did not happen, and who looks after it"},
    {"analytics", "how backups went over time"},
    {"status", "the server, its storage, and what is protected"},
    {0},
};

#define ID_TEXT "\nID is an id, the first characters of one, or \"latest\".\n"
#define READABLE_ID_TEXT "\nID is an id, the first characters of one, or \"latest\" for the newest complete backup.\n"

static const struct mos_option backup_create_options[] = {
    {.name = "type", .value = "TYPE", .help = "FULL, INCREMENTAL, DIFFERENTIAL, DATABASE, FILES or CONFIGURATION"},
    {.name = "name", .value = "NAME", .help = "what to call it; default: the type and the time"},
    {.name = "tag", .value = "TAG", .repeated = true, .help = "a word to find it by"},
    {.name = "retention-days", .value = "N", .help = "days to keep it, 1 to 36500; default: BACKUP_RETENTION_DAYS of the server"},
    {.name = "read-all", .help = "read every file, also those that have not changed since the backup before"},
    {.name = "no-verify", .help = "do not read it back right after"},
    {.name = "wait", .help = "wait for the end (the default on a terminal)"},
    {.name = "no-wait", .help = "print the id and leave (the default elsewhere)"},
    {0},
};
static const struct mos_option backup_list_options[] = {
    {.name = "type", .value = "TYPE", .help = "only this type"},
    {.name = "status", .value = "STATUS", .help = "only this status"},
    {.name = "tag", .value = "TAG", .repeated = true, .help = "only those with this tag, or another one given"},
    {.name = "limit", .value = "N", .help = "how many at most; default: 50"},
    {0},
};
static const struct mos_option files_options[] = {{.name = "recursive", .help = "all that lies below, not only the next level"}, {0}};
static const struct mos_option restore_options[] = {
    {.name = "target", .value = "DIR", .help = "where to; default: a new directory under the server's restore root"},
    {.name = "include", .value = "PATH", .repeated = true, .help = "only this, with all below it"},
    {.name = "in-place", .help = "to where everything came from; administrators only"},
    {.name = "overwrite", .help = "replace what is there; default: leave it alone"},
    {.name = "resume", .help = "go on with one that was broken off: keep what has the backup's size, time and mode, replace all else"},
    {.name = "compare", .help = "with --resume: keep only what has the backup's content too"},
    {.name = "preview", .help = "list what would be written, write nothing"},
    {.name = "wait", .help = "wait for the end (the default)"},
    {.name = "no-wait", .help = "print the job's id and leave"},
    {0},
};
static const struct mos_option watch_options[] = {
    {.name = "after", .value = "N", .help = "only events after the one with this sequence number"}, {0}};
static const struct mos_option delete_options[] = {{.name = "yes", .help = "do not ask"}, {0}};
static const struct mos_option job_list_options[] = {
    {.name = "kind", .value = "KIND", .help = "only this kind: BACKUP, VERIFY, RESTORE, DELETE, …"},
    {.name = "status", .value = "STATUS", .help = "only this status"},
    {.name = "backup", .value = "ID", .help = "only those of this backup"},
    {.name = "limit", .value = "N", .help = "how many at most; default: 50"},
    {0},
};
static const struct mos_option repository_prune_options[] = {
    {.name = "dry-run", .help = "tell what would be freed, change nothing"},
    {.name = "grace-minutes", .value = "N", .help = "how long a broken-off backup's data stays for its next run; default: a day"},
    {.name = "wait", .help = "wait for the end (the default)"},
    {.name = "no-wait", .help = "print the job's id and leave"},
    {0},
};
static const struct mos_option repository_check_options[] = {
    {.name = "percent", .value = "N", .help = "read only this share of the data, 0 to 100; default: 100"},
    {.name = "bytes", .value = "N", .help = "read only so much of the data"},
    {.name = "repair", .help = "make the repository's local index anew"},
    {.name = "wait", .help = "wait for the end (the default)"},
    {.name = "no-wait", .help = "print the job's id and leave"},
    {0},
};
#define SCHEDULE_TEXT "\nSCHEDULE is the name of one, its id, or the first characters of that.\n"
#define KEEP_OPTIONS                                                                                                                       \
    {.name = "keep-last", .value = "N", .help = "keep the newest N"},                                                                      \
        {.name = "keep-hourly", .value = "N", .help = "and of N hours the newest"},                                                        \
        {.name = "keep-daily", .value = "N", .help = "and of N days"}, {.name = "keep-weekly", .value = "N", .help = "and of N weeks"},    \
        {.name = "keep-monthly", .value = "N", .help = "and of N months"}, {                                                               \
        .name = "keep-yearly", .value = "N", .help = "and of N years"                                                                      \
    }
#define SCHEDULE_OPTIONS                                                                                                                   \
    {.name = "name", .value = "NAME", .help = "what to call it"},                                                                          \
        {.name = "cron",                                                                                                                   \
         .value = "CRON",                                                                                                                  \
         .help = "minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly"},                                 \
        {.name = "type", .value = "TYPE", .help = "FULL, INCREMENTAL, DIFFERENTIAL, DATABASE, FILES or CONFIGURATION"},                    \
        {.name = "time-zone", .value = "ZONE", .help = "whose clock counts, as Asia/Karachi; default: UTC"},                               \
        {.name = "backup-name", .value = "NAME", .help = "what to call its backups; default: the type and the time"},                      \
        {.name = "tag", .value = "TAG", .repeated = true, .help = "a word to find them by"},                                               \
        {.name = "retention-days", .value = "N", .help = "days to keep them, 1 to 36500; default: BACKUP_RETENTION_DAYS of the server"},   \
        KEEP_OPTIONS, {.name = "read-all", .help = "read every file each time"}, {.name = "no-verify", .help = "do not read them back"},   \
        {.name = "jitter-seconds", .value = "N", .help = "start up to so much later, always the same for the same run"},                   \
        {.name = "blackout",                                                                                                               \
         .value = "WINDOW",                                                                                                                \
         .repeated = true,                                                                                                                 \
         .help = "start nothing within MINUTES from each time of CRON on, as \"120 0 9 * * MON-FRI\""},                                    \
        {.name = "overlap", .value = "WORD", .help = "while the run before is at work: SKIP (the default) or QUEUE"},                      \
        {.name = "catch-up", .help = "make up once for runs that were missed"}, {                                                          \
        .name = "learn-timing", .help = "may be moved to where the machine is least busy"                                                  \
    }
static const struct mos_option schedule_create_options[] = {SCHEDULE_OPTIONS, {.name = "paused", .help = "do not begin yet"}, {0}};
static const struct mos_option schedule_update_options[] = {SCHEDULE_OPTIONS,
                                                            {.name = "no-catch-up", .help = "leave missed runs out"},
                                                            {.name = "no-learn-timing", .help = "leave the time as it is"},
                                                            {0}};
static const struct mos_option retention_preview_options[] = {
    {.name = "days", .value = "N", .help = "how far to look ahead, 1 to 3650; default: 30"},
    {.name = "schedule", .value = "SCHEDULE", .help = "try other rules for the backups of this one"},
    {.name = "tag", .value = "TAG", .help = "try other rules for the backups with this tag"},
    {.name = "retention-days", .value = "N", .help = "as if they were kept for so many days"},
    KEEP_OPTIONS,
    {0},
};
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
    {0},
};
#define PASSPHRASE_TEXT "\nThe passphrase is the first line of a file, or of standard input; it never stands on the command line.\n"
static const struct mos_option passphrase_options[] = {
    {.name = "passphrase-file", .value = "FILE", .help = "file whose first line is the passphrase; default: standard input"}, {0}};
static const struct mos_option key_rotate_options[] = {{.name = "no-wait", .help = "print the job's id and leave"}, {0}};
static const struct mos_option hold_options[] = {{.name = "off", .help = "take the hold off; administrators only"}, {0}};
static const struct mos_option quarantine_options[] = {
    {.name = "reason", .value = "TEXT", .help = "why it is put aside, one sentence"},
    {.name = "lift", .help = "take it out, and resolve the alert that told of it; administrators only"},
    {0}};
static const struct mos_option lock_options[] = {{.name = "days", .value = "N", .help = "for how many days from now, 1 to 36500"}, {0}};

#define COPY_ID_TEXT "\nID is the id of an offsite backup or of its backup, the first characters of one, or \"latest\".\n"
static const struct mos_option offsite_upload_options[] = {
    {.name = "retention-days", .value = "N", .help = "days to keep the copy; default: by policy, or as the backup's own"},
    {.name = "no-replication", .help = "not to the secondary location too"},
    {0},
};
static const struct mos_option offsite_list_options[] = {
    {.name = "backup", .value = "ID", .help = "only those of this backup"},
    {.name = "provider", .value = "PROVIDER", .help = "only this: LOCAL_REMOTE, S3, AZURE_BLOB, GOOGLE_CLOUD or SFTP"},
    {.name = "status", .value = "STATUS", .help = "only this status"},
    {.name = "limit", .value = "N", .help = "how many at most; default: 50"},
    {0},
};
static const struct mos_option offsite_verify_options[] = {
    {.name = "percent", .value = "N", .help = "share of the objects to read, 0 to 100; default: what the provider's checksums tell"}, {0}};
static const struct mos_option offsite_fetch_options[] = {
    {.name = "wait", .help = "wait for the end (the default)"}, {.name = "no-wait", .help = "print the job's id and leave"}, {0}};
static const struct mos_option offsite_policy_options[] = {
    {.name = "retention-days", .value = "N", .help = "keep copies so long, 1 to 36500"},
    {.name = "archive-after-days", .value = "N", .help = "move them to a colder class after so long; 0: never"},
    {0},
};
#define STEP_WORDS .words = "EXECUTION STEP", .least_words = 2, .most_words = 2
#define RUN_WORDS .words = "EXECUTION", .least_words = 1, .most_words = 1
static const struct mos_option dr_plan_options[] = {
    {.name = "file", .value = "FILE", .letter = 'f', .help = "the plan as JSON; - is standard input"},
    {.name = "name", .value = "NAME", .help = "clone: what to call the copy"},
    {.name = "priority", .value = "PRIORITY", .help = "list: only CRITICAL, HIGH, MEDIUM or LOW"},
    {.name = "yes", .help = "delete: do not ask"},
    {0},
};
static const struct mos_option dr_execute_options[] = {
    {.name = "reason", .value = "TEXT", .help = "why; it stands in the report"},
    {.name = "emergency", .help = "go on though the preflight fails"},
    {.name = "incident", .value = "TIME", .help = "when the disaster began: what it took counts from there; default: now"},
    {.name = "recover-to", .value = "TIME", .help = "use no backup later than this"},
    {.name = "wait", .help = "follow it to its end (the default)"},
    {.name = "no-wait", .help = "print the id and leave"},
    {0},
};
static const struct mos_option dr_test_options[] = {
    {.name = "environment",
     .value = "ENV",
     .help = "ISOLATED (the default), STAGING, DEVELOPMENT, or PRODUCTION, a rehearsal that changes nothing"},
    {.name = "negative-control", .help = "also run it on a copy that is damaged on purpose, which must fail"},
    {.name = "wait", .help = "follow it to its end (the default)"},
    {.name = "no-wait", .help = "print the id and leave"},
    {0},
};
static const struct mos_option dr_note_options[] = {
    {.name = "note", .value = "TEXT", .help = "what there is to say; it stands in the report"}, {0}};
static const struct mos_option dr_list_options[] = {
    {.name = "plan", .value = "PLAN", .help = "only those of this plan"}, {.name = "tests", .help = "tests instead of executions"}, {0}};
static const struct mos_option dr_report_options[] = {
    {.name = "html", .help = "for people, instead of JSON"},
    {.name = "to", .value = "FILE", .help = "write it there; default: standard output"},
    {.name = "key", .value = "KEY", .help = "verify: who must have signed: the server's public key, or a file with it"},
    {0},
};

const struct mos_command mos_commands[] = {
    {.group = "backup",
     .name = "create",
     .summary = "Take a backup",
     .description = "Warnings (files that changed, vanished or could not be read) end it with exit code 3.\n",
     .example = "  mosaajii backup create --type FILES --tag nightly\n",
     .options = backup_create_options,
     .run = mos_backup_create},
    {.group = "backup",
     .name = "list",
     .summary = "List backups, newest first",
     .example = "  mosaajii backup list --type DATABASE --status VERIFIED\n",
     .options = backup_list_options,
     .run = mos_backup_list},
    {.group = "backup",
     .name = "show",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Show one backup in full",
     .description = ID_TEXT,
     .example = "  mosaajii backup show latest\n",
     .run = mos_backup_show},
    {.group = "backup",
     .name = "files",
     .words = "ID [PATH]",
     .least_words = 1,
     .most_words = 2,
     .summary = "List what a backup holds",
     .description = READABLE_ID_TEXT,
     .example = "  mosaajii backup files latest /srv/uploads\n  mosaajii backup files latest --recursive | grep invoice\n",
     .options = files_options,
     .run = mos_backup_files},
    {.group = "backup",
     .name = "cat",
     .words = "ID PATH",
     .least_words = 2,
     .most_words = 2,
     .summary = "Write one file or database of a backup to standard output",
     .description = READABLE_ID_TEXT,
     .example = "  mosaajii backup cat latest /etc/pos.conf\n  mosaajii backup cat latest /srv/export.csv.gz | zcat | head\n",
     .run = mos_backup_cat},
    {.group = "backup",
     .name = "diff",
     .words = "ID ID",
     .least_words = 2,
     .most_words = 2,
     .summary = "List what was added, changed and removed from one backup to another",
     .description = READABLE_ID_TEXT "The earlier one comes first.\n",
     .example = "  mosaajii backup diff 01939b5e-7a2c latest\n",
     .run = mos_backup_diff},
    {.group = "backup",
     .name = "verify",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Read all that a backup needs and say whether it is whole",
     .description = READABLE_ID_TEXT "A damaged backup ends it with exit code 1.\n",
     .example = "  mosaajii backup verify latest\n",
     .run = mos_backup_verify},
    {.group = "backup",
     .name = "restore",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Restore a backup, or parts of it",
     .description = READABLE_ID_TEXT "A path is restored below the target under its full name: /srv/uploads/a to DIR/srv/uploads/a.\n"
                                     "The server writes only under MOSAAJII_RESTORE_ROOTS.\n",
     .example = "  mosaajii backup restore latest --target /var/lib/mosaajii/restore/check\n"
                "  mosaajii backup restore latest --include /srv/uploads/2026 --preview\n",
     .options = restore_options,
     .run = mos_backup_restore},
    {.group = "backup",
     .name = "watch",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Follow a backup until no work on it is left",
     .description = ID_TEXT "With -o json each event is one line.\n",
     .example = "  mosaajii backup watch latest\n",
     .options = watch_options,
     .run = mos_backup_watch},
    {.group = "backup",
     .name = "cancel",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Stop a backup's running or waiting work",
     .description = ID_TEXT,
     .example = "  mosaajii backup cancel latest\n",
     .run = mos_backup_cancel},
    {.group = "backup",
     .name = "delete",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Delete a backup for good and free what no other one needs",
     .description = "\nAsks first; where nobody can be asked, --yes is needed.\n",
     .example = "  mosaajii backup delete 01939b5e-7a2c\n",
     .options = delete_options,
     .run = mos_backup_delete},
    {.group = "backup",
     .name = "lock",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Let nobody delete a backup for a time",
     .description = ID_TEXT "A lock is never moved back, by nobody.\n",
     .example = "  mosaajii backup lock latest --days 365\n",
     .options = lock_options,
     .run = mos_backup_lock},
    {.group = "backup",
     .name = "hold",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Let nobody delete a backup until that is taken back",
     .description = ID_TEXT,
     .example = "  mosaajii backup hold latest\n  mosaajii backup hold latest --off\n",
     .options = hold_options,
     .run = mos_backup_hold},
    {.group = "backup",
     .name = "quarantine",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Keep a suspicious backup, and those before it, from ending",
     .description = ID_TEXT "The monitor does it with what looks like an attack; --lift is for when somebody has looked into it.\n",
     .example = "  mosaajii backup quarantine latest --reason \"files were missing\"\n  mosaajii backup quarantine latest --lift\n",
     .options = quarantine_options,
     .run = mos_backup_quarantine},
    {.group = "repository",
     .name = "prune",
     .summary = "Remove what no backup needs",
     .description = "\nRuns beside backups. Packs of which little is needed are rewritten.\n",
     .example = "  mosaajii repository prune --dry-run\n",
     .options = repository_prune_options,
     .run = mos_repository_prune},
    {.group = "repository",
     .name = "check",
     .summary = "Prove that all that backups need is there and opens",
     .description = "\nWith a share it reads packs chosen at random, and says what that guarantees. Damage ends it with exit code 1.\n",
     .example = "  mosaajii repository check --percent 10\n",
     .options = repository_check_options,
     .run = mos_repository_check},
    {.group = "schedule",
     .name = "create",
     .summary = "Take backups at set times",
     .example = "  mosaajii schedule create --name nightly --cron '30 2 * * *' --time-zone Asia/Karachi --type DATABASE --keep-daily 14\n",
     .options = schedule_create_options,
     .run = mos_schedule_create},
    {.group = "schedule",
     .name = "list",
     .summary = "List schedules, newest first",
     .example = "  mosaajii schedule list\n",
     .run = mos_schedule_list},
    {.group = "schedule",
     .name = "show",
     .words = "SCHEDULE",
     .least_words = 1,
     .most_words = 1,
     .summary = "Show one schedule, its next runs and what became of the last ones",
     .description = SCHEDULE_TEXT,
     .example = "  mosaajii schedule show nightly\n",
     .run = mos_schedule_show},
    {.group = "schedule",
     .name = "update",
     .words = "SCHEDULE",
     .least_words = 1,
     .most_words = 1,
     .summary = "Change what is given of a schedule",
     .description = SCHEDULE_TEXT "See retention preview for what new rules would remove, before they are set.\n",
     .example = "  mosaajii schedule update nightly --cron '0 3 * * *'\n",
     .options = schedule_update_options,
     .run = mos_schedule_update},
    {.group = "schedule",
     .name = "pause",
     .words = "SCHEDULE",
     .least_words = 1,
     .most_words = 1,
     .summary = "Start nothing until it is resumed",
     .description = SCHEDULE_TEXT,
     .example = "  mosaajii schedule pause nightly\n",
     .run = mos_schedule_pause},
    {.group = "schedule",
     .name = "resume",
     .words = "SCHEDULE",
     .least_words = 1,
     .most_words = 1,
     .summary = "Go on with a schedule that was paused",
     .description = SCHEDULE_TEXT,
     .example = "  mosaajii schedule resume nightly\n",
     .run = mos_schedule_resume},
    {.group = "schedule",
     .name = "delete",
     .words = "SCHEDULE",
     .least_words = 1,
     .most_words = 1,
     .summary = "Delete a schedule; its backups stay for their retention days",
     .description = SCHEDULE_TEXT,
     .example = "  mosaajii schedule delete nightly\n",
     .run = mos_schedule_delete},
    {.group = "schedule",
     .name = "suggest",
     .summary = "Propose schedules, and better times for those there are",
     .description = "\nChanges nothing.\n",
     .example = "  mosaajii schedule suggest\n",
     .run = mos_schedule_suggest},
    {.group = "retention",
     .name = "preview",
     .summary = "List what would be removed in the coming days, and the gaps that makes",
     .description = "\nChanges nothing.\n",
     .example = "  mosaajii retention preview --days 90 --schedule nightly --keep-daily 7 --keep-monthly 6\n",
     .options = retention_preview_options,
     .run = mos_retention_preview},
    {.group = "offsite",
     .name = "upload",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Copy a backup offsite, in the background",
     .description = READABLE_ID_TEXT "What is there already is not sent again.\n",
     .example = "  mosaajii offsite upload latest --retention-days 365\n",
     .options = offsite_upload_options,
     .run = mos_offsite_upload},
    {.group = "offsite",
     .name = "list",
     .summary = "List copies, newest first",
     .example = "  mosaajii offsite list --status RETRYING\n",
     .options = offsite_list_options,
     .run = mos_offsite_list},
    {.group = "offsite",
     .name = "show",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Show one copy in full, with who did what to it",
     .description = COPY_ID_TEXT,
     .example = "  mosaajii offsite show latest\n",
     .run = mos_offsite_show},
    {.group = "offsite",
     .name = "verify",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Say whether a copy is whole",
     .description = COPY_ID_TEXT "A damaged copy ends it with exit code 1; what is lost is sent again.\n",
     .example = "  mosaajii offsite verify latest --percent 10\n",
     .options = offsite_verify_options,
     .run = mos_offsite_verify},
    {.group = "offsite",
     .name = "fetch",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Bring back what is missing here of a backup",
     .description = COPY_ID_TEXT,
     .example = "  mosaajii offsite fetch 01939b5e-7a2c\n",
     .options = offsite_fetch_options,
     .run = mos_offsite_fetch},
    {.group = "offsite",
     .name = "delete",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Delete a copy and free what no other one needs",
     .description = COPY_ID_TEXT,
     .example = "  mosaajii offsite delete 01939b5e-7a2c --yes\n",
     .options = delete_options,
     .run = mos_offsite_delete},
    {.group = "offsite",
     .name = "locations",
     .summary = "Show where copies go, and how these places are",
     .example = "  mosaajii offsite locations\n",
     .run = mos_offsite_locations},
    {.group = "offsite",
     .name = "policy",
     .words = "[NAME]",
     .most_words = 1,
     .summary = "Show how long copies are kept, or change it",
     .description = "\nA backup with a tag of that name, or of its first word, is kept by it.\n",
     .example = "  mosaajii offsite policy monthly_365 --retention-days 730 --archive-after-days 30\n",
     .options = offsite_policy_options,
     .run = mos_offsite_policy},
    {.group = "job",
     .name = "list",
     .summary = "List jobs, newest first",
     .example = "  mosaajii job list --status FAILED\n",
     .options = job_list_options,
     .run = mos_job_list},
    {.group = "job",
     .name = "show",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Show one job in full",
     .description = ID_TEXT,
     .example = "  mosaajii job show latest\n",
     .run = mos_job_show},
    {.group = "job",
     .name = "watch",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Follow a job to its end",
     .description = ID_TEXT "With -o json each event is one line.\n",
     .example = "  mosaajii job watch latest\n",
     .options = watch_options,
     .run = mos_job_watch},
    {.group = "job",
     .name = "cancel",
     .words = "ID",
     .least_words = 1,
     .most_words = 1,
     .summary = "Stop a running or waiting job",
     .description = ID_TEXT,
     .example = "  mosaajii job cancel latest\n",
     .run = mos_job_cancel},
    {.group = "dr",
     .name = "plan",
     .words = "ACTION [PLAN]",
     .least_words = 1,
     .most_words = 2,
     .summary = "Make and look after plans: create, list, show, delete, clone, export, import, update, suggest",
     .description = "\nACTION is create or import (--file), list, show, delete, clone, export, update (--file) or suggest. PLAN is an id.\n"
                    "export prints a plan as create, import and update take it.\n",
     .example = "  mosaajii dr plan suggest > plan.json\n  mosaajii dr plan create --file plan.json\n",
     .options = dr_plan_options,
     .run = mos_dr_plan},
    {.group = "dr",
     .name = "execute",
     .words = "PLAN",
     .least_words = 1,
     .most_words = 1,
     .summary = "Run a plan for real",
     .example = "  mosaajii dr execute 01939b5e-7a2c-7000-8000-000000000000 --reason \"the disk is gone\"\n",
     .options = dr_execute_options,
     .run = mos_dr_execute},
    {.group = "dr",
     .name = "test",
     .words = "PLAN",
     .least_words = 1,
     .most_words = 1,
     .summary = "Run a plan into a sandbox that is removed afterwards",
     .example = "  mosaajii dr test 01939b5e-7a2c-7000-8000-000000000000 --environment ISOLATED\n",
     .options = dr_test_options,
     .run = mos_dr_test},
    {.group = "dr",
     .name = "list",
     .summary = "List executions, or tests, newest first",
     .options = dr_list_options,
     .example = "  mosaajii dr list --tests\n",
     .run = mos_dr_list},
    {.group = "dr",
     .name = "show",
     RUN_WORDS,
     .summary = "Show an execution or a test",
     .example = "  mosaajii dr show 01939b5e-7a2c-7000-8000-000000000000\n",
     .run = mos_dr_show},
    {.group = "dr",
     .name = "watch",
     RUN_WORDS,
     .summary = "Follow an execution or a test to its end",
     .example = "  mosaajii dr watch 01939b5e-7a2c-7000-8000-000000000000\n",
     .run = mos_dr_watch},
    {.group = "dr",
     .name = "pause",
     RUN_WORDS,
     .summary = "Begin no more steps",
     .options = dr_note_options,
     .example = "  mosaajii dr pause 01939b5e-7a2c-7000-8000-000000000000\n",
     .run = mos_dr_order_run},
    {.group = "dr",
     .name = "resume",
     RUN_WORDS,
     .summary = "Go on",
     .options = dr_note_options,
     .example = "  mosaajii dr resume 01939b5e-7a2c-7000-8000-000000000000\n",
     .run = mos_dr_order_run},
    {.group = "dr",
     .name = "cancel",
     RUN_WORDS,
     .summary = "Stop what is at work, and end",
     .options = dr_note_options,
     .example = "  mosaajii dr cancel 01939b5e-7a2c-7000-8000-000000000000\n",
     .run = mos_dr_order_run},
    {.group = "dr",
     .name = "approve",
     STEP_WORDS,
     .summary = "Say that a step is done",
     .options = dr_note_options,
     .example = "  mosaajii dr approve 01939b5e-7a2c-7000-8000-000000000000 confirm --note \"sold a coffee\"\n",
     .run = mos_dr_order_step},
    {.group = "dr",
     .name = "decline",
     STEP_WORDS,
     .summary = "Say that a step cannot be done",
     .options = dr_note_options,
     .example = "  mosaajii dr decline 01939b5e-7a2c-7000-8000-000000000000 confirm --note \"the door is locked\"\n",
     .run = mos_dr_order_step},
    {.group = "dr",
     .name = "retry",
     STEP_WORDS,
     .summary = "Try a step again that has failed",
     .options = dr_note_options,
     .example = "  mosaajii dr retry 01939b5e-7a2c-7000-8000-000000000000 restore\n",
     .run = mos_dr_order_step},
    {.group = "dr",
     .name = "skip",
     STEP_WORDS,
     .summary = "Leave a step out; --note says why",
     .options = dr_note_options,
     .example = "  mosaajii dr skip 01939b5e-7a2c-7000-8000-000000000000 restart --note \"done by hand\"\n",
     .run = mos_dr_order_step},
    {.group = "dr",
     .name = "report",
     .words = "EXECUTION | verify FILE",
     .least_words = 1,
     .most_words = 2,
     .summary = "Write the signed report of a run that has ended, or check one",
     .description = "\nThe signature is the last line. verify needs no server; a report that was changed ends it with exit code 1.\n",
     .example = "  mosaajii dr report 01939b5e-7a2c-7000-8000-000000000000 --to report.json\n  mosaajii dr report verify report.json --key "
                "audit.key.pub\n",
     .options = dr_report_options,
     .run = mos_dr_report},
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
    {.group = "analytics",
     .summary = "success rate, growth, deduplication, compression and durations",
     .example = "  mosaajii analytics --days 90\n",
     .options = analytics_options,
     .run = mos_analytics_show},
    {.group = "status",
     .summary = "Show the server, its storage, and what is protected",
     .example = "  mosaajii status\n",
     .run = mos_status_show},
    {0},
};

static bool asks_for_help(const char *word) {
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static mos_status find_group(const char *word, const char **out, struct mos_error *error) {
    const char *names[16];
    size_t count = 0;
    for (const struct mos_group *group = mos_groups; group->name; group++) {
        if (strcmp(group->name, word) == 0) {
            *out = group->name;
            return MOS_OK;
        }
        names[count++] = group->name;
    }
    names[count] = NULL;
    const char *nearest = word[0] == '-' ? NULL : mos_arguments_nearest(word, names);
    return nearest ? mos_fail(error, MOS_INVALID_ARGUMENT, "there is no command \"%s\"; did you mean mosaajii %s?", word, nearest)
                   : mos_fail(error, MOS_INVALID_ARGUMENT, "there is no %s \"%s\"; see mosaajii --help",
                              word[0] == '-' ? "option" : "command", word);
}

mos_status mos_commands_find(int argc, char *const *argv, const struct mos_command **out, const char **out_group, int *out_used,
                             struct mos_error *error) {
    *out = NULL;
    *out_group = NULL;
    *out_used = 0;
    if (argc == 0) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "what to do? See mosaajii --help");
    }
    if (asks_for_help(argv[0])) {
        // `mosaajii help backup create` is `mosaajii backup create --help`, but for the last word.
        return argc > 1 && argv[0][0] == 'h' ? find_group(argv[1], out_group, error) : MOS_OK;
    }
    mos_status status = find_group(argv[0], out_group, error);
    if (status != MOS_OK) {
        return status;
    }
    const char *names[32];
    size_t count = 0;
    for (const struct mos_command *command = mos_commands; command->group; command++) {
        if (strcmp(command->group, *out_group) != 0) {
            continue;
        }
        bool one_word = !command->name;
        if (one_word || (argc > 1 && strcmp(command->name, argv[1]) == 0)) {
            *out = command;
            *out_used = one_word ? 1 : 2;
            return MOS_OK;
        }
        names[count++] = command->name;
    }
    names[count] = NULL;
    if (argc == 1) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "\"mosaajii %s\" needs one word more; see mosaajii %s --help", *out_group, *out_group);
    }
    if (asks_for_help(argv[1])) {
        return MOS_OK;
    }
    const char *nearest = mos_arguments_nearest(argv[1], names);
    return nearest ? mos_fail(error, MOS_INVALID_ARGUMENT, "there is no command \"%s %s\"; did you mean mosaajii %s %s?", *out_group,
                              argv[1], *out_group, nearest)
                   : mos_fail(error, MOS_INVALID_ARGUMENT, "there is no command \"%s %s\"; see mosaajii %s --help", *out_group, argv[1],
                              *out_group);
}

static void print_program_help(FILE *stream) {
    fprintf(stream, "Usage: mosaajii GROUP COMMAND [arguments] [options]\n\n"
                    "Backups of files and databases: encrypted, deduplicated, verified.\n\nGroups:\n");
    for (const struct mos_group *group = mos_groups; group->name; group++) {
        fprintf(stream, "  %-12s %s\n", group->name, group->summary);
    }
    fprintf(stream, "\nEvery group and command takes --help; every command takes -o json.\n\n"
                    "Settings, from the environment:\n"
                    "  MOSAAJII_SERVER         where the server is, host:port; default: 127.0.0.1:50051\n"
                    "  MOSAAJII_TOKEN          who you are\n"
                    "  MOSAAJII_TOKEN_FILE     or a file with that; default: $MOSAAJII_HOME/admin.token\n"
                    "  MOSAAJII_TLS_CLIENT_CA  who signed the server's certificate; with it, TLS is used\n\n"
                    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with warnings, 4 not found,\n"
                    "5 not allowed, 6 server not reachable.\n\n"
                    "Example:\n"
                    "  mosaajii backup create --type FILES\n"
                    "  mosaajii backup list\n"
                    "  mosaajii backup restore latest\n");
}

void mos_commands_help(const char *group, FILE *stream) {
    if (!group) {
        print_program_help(stream);
        return;
    }
    const char *example = NULL;
    for (const struct mos_group *known = mos_groups; known->name; known++) {
        if (strcmp(known->name, group) == 0) {
            fprintf(stream, "mosaajii %s: %s.\n\nCommands:\n", group, known->summary);
        }
    }
    for (const struct mos_command *command = mos_commands; command->group; command++) {
        if (strcmp(command->group, group) != 0) {
            continue;
        }
        char words[64];
        snprintf(words, sizeof(words), "%s%s%s", command->name ? command->name : "", command->words ? " " : "",
                 command->words ? command->words : "");
        fprintf(stream, "  %-16s %s\n", words, command->summary);
        example = example ? example : command->example;
    }
    fprintf(stream, "\nmosaajii %s COMMAND --help tells more.\n\nExample:\n%s", group, example ? example : "");
}

#include "cli/commands_internal.h"

#include "cli/schedule.h"

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
    {.name = "retention-days", .value = "N", .help = "as if those still to be taken were kept for so many days"},
    KEEP_OPTIONS,
    {0},
};

const struct mos_command mos_schedule_commands[] = {
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
    {0},
};

const struct mos_command mos_retention_commands[] = {
    {.group = "retention",
     .name = "preview",
     .summary = "List what would be removed in the coming days, and the gaps that makes",
     .description = "\nChanges nothing.\n",
     .example = "  mosaajii retention preview --days 90 --schedule nightly --keep-daily 7 --keep-monthly 6\n",
     .options = retention_preview_options,
     .run = mos_retention_preview},
    {0},
};

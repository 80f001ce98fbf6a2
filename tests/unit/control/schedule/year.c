// A year of schedules and retention on a clock that is told what to say: writes down, a JSON object a line, all that happens. The catalog
// is left behind. tests/integration/test_simulated_year.py knows by rules of its own what must have happened.
//
// Arguments: the folder for the catalog, and a number that says which backups fail and which are not verified.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mosaajii/engine/v1/engine.pb-c.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "control/catalog/backups.h"
#include "control/catalog/jobs.h"
#include "control/catalog/retention.h"
#include "control/schedule/scheduler.h"

enum { SHORTEST_STEP_SECONDS = 60, MOST_RUNNING = 64, DAY = 86400 };

// 2026-01-01 and 2027-01-01, UTC.
static const int64_t begin = 1767225600, end = 1798761600;

struct running {
    char backup_id[MOS_ID_TEXT_BYTES];
    char job_id[MOS_ID_TEXT_BYTES];
    enum mos_backup_type type;
    // Of the clock that nobody sets.
    int64_t ends;
    // What becomes of it.
    bool good, verified;
};

struct world {
    mos_catalog *catalog;
    mos_scheduler *scheduler;
    int64_t real, skew;
    struct running running[MOST_RUNNING];
    size_t running_count;
    int64_t started;
    uint64_t luck;
};

static void check(mos_status status, const struct mos_error *error) {
    if (status != MOS_OK) {
        fprintf(stderr, "%s\n", error->message);
        exit(EXIT_FAILURE);
    }
}

static int64_t now_of(const struct world *world) {
    return world->real + world->skew;
}

static void say(const struct world *world, const char *event, const char *schedule, const char *backup, const char *more) {
    printf("{\"event\": \"%s\", \"at\": %lld, \"real\": %lld, \"schedule\": \"%s\", \"backup\": \"%s\", \"more\": \"%s\"}\n", event,
           (long long)now_of(world), (long long)world->real, schedule, backup, more);
}

// One of 16, the same in each year that begins with the same number.
static unsigned die(struct world *world) {
    world->luck = world->luck * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(world->luck >> 60);
}

// ---- What schedules do ----

struct begun {
    struct mos_backup backup;
    struct mos_job job;
    mos_catalog_change also;
    void *also_argument;
};

static mos_status put_begun(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct begun *begun = argument;
    mos_status status = mos_catalog_put_backup(session, &begun->backup, error);
    if (status == MOS_OK) {
        status = mos_catalog_put_job(session, &begun->job, error);
    }
    return status == MOS_OK ? begun->also(session, begun->also_argument, error) : status;
}

static mos_status start(void *context, const struct mos_schedule *schedule, mos_catalog_change also, void *also_argument,
                        char out_backup_id[MOS_ID_TEXT_BYTES], struct mos_error *error) {
    struct world *world = context;
    struct running *running = &world->running[world->running_count];
    mos_id_new(out_backup_id);
    *running = (struct running){.type = schedule->backup_type};
    mos_id_new(running->job_id);
    snprintf(running->backup_id, sizeof(running->backup_id), "%s", out_backup_id);
    // Most are done at the next look; some take hours.
    world->started++;
    running->ends = world->real + (world->started % 50 == 0 ? 150 * 60 : 60);
    unsigned side = die(world);
    running->good = side != 0;
    running->verified = side != 1 && side != 2;
    struct begun begun = {.backup = {.id = out_backup_id,
                                     .name = schedule->name,
                                     .type = schedule->backup_type,
                                     .status = MOS_BACKUP_PENDING,
                                     .created_at_unix_ns = mos_now_unix_ns(),
                                     .retention_days = schedule->retention_days,
                                     .tags = schedule->tags,
                                     .tag_count = schedule->tag_count},
                          .job = {.id = running->job_id,
                                  .kind = MOS_JOB_BACKUP,
                                  .status = MOS_JOB_RUNNING,
                                  .backup_id = out_backup_id,
                                  .created_at_unix_ns = mos_now_unix_ns()},
                          .also = also,
                          .also_argument = also_argument};
    mos_status status = mos_catalog_write(world->catalog, put_begun, &begun, error);
    if (status == MOS_OK) {
        world->running_count++;
        say(world, "start", schedule->name, out_backup_id, "");
    }
    return status;
}

static mos_status remove_now(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_remove_backup(session, argument, error);
}

static mos_status remove_backup(void *context, const char *backup_id, struct mos_error *error) {
    struct world *world = context;
    say(world, "remove", "", backup_id, "");
    return mos_catalog_write(world->catalog, remove_now, (void *)backup_id, error);
}

// There is no monitor in this world.
static mos_status all_judged(void *context, bool *out, struct mos_error *error) {
    (void)context, (void)error;
    *out = true;
    return MOS_OK;
}

static mos_status prune(void *context, struct mos_error *error) {
    (void)error;
    say(context, "prune", "", "", "");
    return MOS_OK;
}

// ---- Jobs that end ----

struct ending {
    const struct running *running;
    bool good, verified;
    struct mos_blob facts;
};

static mos_status put_ended(mos_catalog_session *session, void *argument, struct mos_error *error) {
    const struct ending *ending = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup;
    struct mos_job job;
    mos_status status = mos_catalog_get_backup(session, ending->running->backup_id, arena, &backup, error);
    if (status == MOS_OK) {
        status = mos_catalog_get_job(session, ending->running->job_id, arena, &job, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    job.status = ending->good ? MOS_JOB_SUCCEEDED : MOS_JOB_FAILED;
    job.completed_at_unix_ns = mos_now_unix_ns();
    backup.status = !ending->good ? MOS_BACKUP_FAILED : ending->verified ? MOS_BACKUP_VERIFIED : MOS_BACKUP_COMPLETED;
    backup.encrypted_checksum = ending->good ? "aa" : "";
    backup.verified_at_unix_ns = ending->good && ending->verified ? mos_now_unix_ns() : 0;
    backup.facts = ending->good ? ending->facts : (struct mos_blob){0};
    status = mos_catalog_put_job(session, &job, error);
    return status == MOS_OK ? mos_catalog_put_backup(session, &backup, error) : status;
}

static void finish(struct world *world, size_t index, bool stopped) {
    const struct running *running = &world->running[index];
    struct mos_error error = {0};
    struct ending ending = {.running = running, .good = !stopped && running->good, .verified = running->verified};
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    Mosaajii__Engine__V1__BackupRecord record = MOSAAJII__ENGINE__V1__BACKUP_RECORD__INIT;
    ProtobufCBinaryData path = {.data = (uint8_t *)"/srv", .len = 4};
    info.source_paths = &path;
    info.n_source_paths = 1;
    record.info = &info;
    MOS_CLEANUP_FREE uint8_t *facts = mos_malloc(protobuf_c_message_get_packed_size(&record.base));
    ending.facts = (struct mos_blob){facts, protobuf_c_message_pack(&record.base, facts)};
    check(mos_catalog_write(world->catalog, put_ended, &ending, &error), &error);
    say(world, "end", "", running->backup_id, !ending.good ? "failed" : ending.verified ? "verified" : "complete");
    world->running[index] = world->running[--world->running_count];
}

static void finish_due(struct world *world) {
    for (size_t i = world->running_count; i > 0; i--) {
        if (world->running[i - 1].ends <= world->real) {
            finish(world, i - 1, false);
        }
    }
}

// ---- The world ----

static mos_status put_schedule(mos_catalog_session *session, void *argument, struct mos_error *error) {
    return mos_catalog_put_schedule(session, argument, error);
}

static void add_schedules(struct world *world) {
    static const char *const tags[] = {"long"};
    static const struct mos_blackout blackouts[] = {{"0 12 * * *", 90}};
    const int64_t start_ns = begin * MOS_NS_PER_SECOND;
    struct mos_schedule schedules[] = {
        {.id = "01000000-0000-7000-8000-000000000001",
         .name = "nightly",
         .cron = "30 2 * * *",
         .time_zone = "Europe/Berlin",
         .backup_type = MOS_BACKUP_DATABASE,
         .retention_days = 3,
         .overlap = MOS_OVERLAP_SKIP,
         .catch_up = true,
         .has_keep = true,
         .keep = {.last = 2, .daily = 7, .weekly = 4, .monthly = 6, .yearly = 1}},
        {.id = "01000000-0000-7000-8000-000000000002",
         .name = "shop",
         .cron = "15 9-17/2 * * MON-FRI",
         .time_zone = "America/New_York",
         .backup_type = MOS_BACKUP_INCREMENTAL,
         .retention_days = 1,
         .jitter_seconds = 300,
         .blackouts = blackouts,
         .blackout_count = 1,
         .overlap = MOS_OVERLAP_SKIP,
         .has_keep = true,
         .keep = {.hourly = 12, .daily = 5}},
        {.id = "01000000-0000-7000-8000-000000000003",
         .name = "hourly",
         .cron = "0 * * 3,4,10 *",
         .time_zone = "Australia/Lord_Howe",
         .backup_type = MOS_BACKUP_FILES,
         .retention_days = 2,
         .tags = tags,
         .tag_count = 1,
         .overlap = MOS_OVERLAP_QUEUE,
         .catch_up = true},
        {.id = "01000000-0000-7000-8000-000000000004",
         .name = "late-in-month",
         .cron = "0 3 31 * *",
         .time_zone = "Europe/Berlin",
         .backup_type = MOS_BACKUP_CONFIGURATION,
         .retention_days = 30,
         .overlap = MOS_OVERLAP_SKIP},
    };
    for (size_t i = 0; i < sizeof(schedules) / sizeof(schedules[0]); i++) {
        struct mos_error error = {0};
        schedules[i].backup_name = "";
        schedules[i].timing_note = "";
        schedules[i].created_at_unix_ns = schedules[i].updated_at_unix_ns = schedules[i].accounted_until_unix_ns = start_ns;
        check(mos_catalog_write(world->catalog, put_schedule, &schedules[i], &error), &error);
    }
}

static void set_paused(struct world *world, const char *id, bool paused) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    mos_catalog_session *session;
    struct mos_schedule schedule;
    mos_scheduler_round(world->scheduler);
    check(mos_catalog_read_begin(world->catalog, &session, &error), &error);
    check(mos_catalog_get_schedule(session, id, arena, &schedule, &error), &error);
    mos_catalog_read_end(session);
    schedule.paused = paused;
    schedule.updated_at_unix_ns = mos_now_unix_ns();
    check(mos_catalog_write(world->catalog, put_schedule, &schedule, &error), &error);
    say(world, paused ? "pause" : "resume", schedule.name, "", "");
}

struct mark {
    char id[MOS_ID_TEXT_BYTES];
    const char *what;
};

static mos_status put_mark(mos_catalog_session *session, void *argument, struct mos_error *error) {
    struct mark *mark = argument;
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_backup backup;
    bool found = false;
    if (strcmp(mark->what, "release") == 0) {
        return mos_catalog_quarantine_backup(session, mark->id, NULL, error);
    }
    mos_status status = mos_catalog_newest_backup(
        session, strcmp(mark->what, "quarantine") == 0 ? MOS_BACKUP_FILES : MOS_BACKUP_INCREMENTAL, arena, &backup, &found, error);
    if (status != MOS_OK || !found) {
        return status == MOS_OK ? mos_fail(error, MOS_INTERNAL, "there is no backup to mark") : status;
    }
    snprintf(mark->id, sizeof(mark->id), "%s", backup.id);
    if (strcmp(mark->what, "quarantine") == 0) {
        return mos_catalog_quarantine_backup(session, backup.id, "the content cannot be compressed any more", error);
    }
    backup.legal_hold = backup.legal_hold || strcmp(mark->what, "hold") == 0;
    backup.locked_until_unix_ns = strcmp(mark->what, "lock") == 0 ? mos_now_unix_ns() + 100 * DAY * MOS_NS_PER_SECOND : 0;
    return mos_catalog_put_backup(session, &backup, error);
}

static void mark(struct world *world, struct mark *mark, const char *what) {
    struct mos_error error = {0};
    mark->what = what;
    check(mos_catalog_write(world->catalog, put_mark, mark, &error), &error);
    say(world, what, "", mark->id, "");
}

static void restart(struct world *world) {
    const struct mos_scheduler_options options = {
        .catalog = world->catalog,
        .acts = {.context = world, .start = start, .remove = remove_backup, .prune = prune, .all_judged = all_judged},
        .tag_rules = "long:weekly=8,monthly=3",
        .objective_minutes = 60,
        .repository = "/nowhere"};
    mos_scheduler_destroy(world->scheduler);
    world->scheduler = mos_scheduler_create(&options);
}

// Once each, when the time has come by the clock that nobody sets: what goes wrong in the year.
static void disturb(struct world *world, int64_t *seen) {
    static struct mark kept;
    int64_t day = (world->real - begin) / DAY;
    if (day == *seen) {
        return;
    }
    *seen = day;
    if (day == 20) {
        mark(world, &kept, "hold");
    } else if (day == 30) {
        mark(world, &kept, "lock");
    } else if (day == 50) {
        // Away for three days; what was running is settled as failed.
        say(world, "off", "", "", "");
        while (world->running_count > 0) {
            finish(world, 0, true);
        }
        world->real += 3 * DAY;
        mos_clock_fake(now_of(world) * MOS_NS_PER_SECOND);
        restart(world);
        say(world, "on", "", "", "");
    } else if (day == 70) {
        set_paused(world, "01000000-0000-7000-8000-000000000002", true);
    } else if (day == 77) {
        set_paused(world, "01000000-0000-7000-8000-000000000002", false);
    } else if (day == 110) {
        mark(world, &kept, "quarantine");
    } else if (day == 140) {
        mark(world, &kept, "release");
    } else if (day == 170 || day == 200 || day == 230) {
        // Two hours back; a day ahead; nine years ahead.
        world->skew = day == 170 ? -7200 : day == 200 ? DAY : INT64_C(9) * 366 * DAY;
        mos_clock_fake(now_of(world) * MOS_NS_PER_SECOND);
        say(world, "clock", "", "", day == 170 ? "back" : day == 200 ? "a day ahead" : "years ahead");
    } else if (day == 171 || day == 201 || day == 231) {
        world->skew = 0;
        mos_clock_fake(now_of(world) * MOS_NS_PER_SECOND);
        say(world, "clock", "", "", "right");
    }
}

// To whatever comes first: the scheduler's next work, the end of a job, a new day.
static int64_t next_of(const struct world *world, int64_t wake) {
    int64_t next = wake - world->skew, tomorrow = begin + ((world->real - begin) / DAY + 1) * DAY;
    next = next < world->real + SHORTEST_STEP_SECONDS ? world->real + SHORTEST_STEP_SECONDS : next;
    next = tomorrow < next ? tomorrow : next;
    for (size_t i = 0; i < world->running_count; i++) {
        next = world->running[i].ends < next ? world->running[i].ends : next;
    }
    return next;
}

int main(int argc, char **argv) {
    struct world world = {.real = begin};
    struct mos_error error = {0};
    char path[4096];
    int64_t seen = 0;
    if (argc != 3) {
        return EXIT_FAILURE;
    }
    world.luck = strtoull(argv[2], NULL, 10);
    snprintf(path, sizeof(path), "%s/catalog.db", argv[1]);
    mos_clock_fake(begin * MOS_NS_PER_SECOND);
    check(mos_catalog_open(&world.catalog, path, &error), &error);
    add_schedules(&world);
    restart(&world);
    while (world.real < end) {
        mos_clock_fake(now_of(&world) * MOS_NS_PER_SECOND);
        finish_due(&world);
        disturb(&world, &seen);
        world.real = next_of(&world, mos_scheduler_round(world.scheduler));
    }
    say(&world, "over", "", "", "");
    mos_scheduler_destroy(world.scheduler);
    mos_catalog_close(world.catalog);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

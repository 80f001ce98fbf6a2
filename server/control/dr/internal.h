// Private to the runs of plans: their parts.
#ifndef MOS_CONTROL_DR_INTERNAL_H
#define MOS_CONTROL_DR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <mosaajii/recovery/v1/run.pb-c.h>

#include "common/buffer.h"
#include "common/database_url.h"
#include "control/dr/command.h"
#include "control/dr/recovery.h"

typedef Mosaajii__Recovery__V1__Run run_state;
typedef Mosaajii__Recovery__V1__StepState step_state;
typedef Mosaajii__Backup__V1__StepRun step_run;
typedef Mosaajii__Backup__V1__Execution execution;
typedef Mosaajii__Backup__V1__ExecutionEvent execution_event;
typedef Mosaajii__Recovery__V1__CriterionResult criterion_result;

#define STEP_IS(name) MOSAAJII__BACKUP__V1__STEP_RUN__STATUS__##name
#define RUN_IS(name) MOSAAJII__BACKUP__V1__EXECUTION__STATUS__##name
#define LOG_IS(name) MOSAAJII__BACKUP__V1__EXECUTION_LOG__LEVEL__##name
#define EVENT_IS(name) MOSAAJII__BACKUP__V1__EXECUTION_EVENT__KIND__##name
#define TEST_IS(name) MOSAAJII__BACKUP__V1__TEST_RESULT__STATUS__##name
#define PLACE_IS(name) MOSAAJII__BACKUP__V1__TEST_RESULT__ENVIRONMENT__##name

enum { MOS_OUTPUT_MOST = 16384 };

// What a step works on: the real thing, or what a test has made for itself.
struct mos_place {
    // Restores go into `folder`, and databases into such as are made for it.
    bool sandbox;
    // Nothing is changed at all.
    bool rehearsal;
    // The sandbox, or "" for the real root.
    const char *folder;
    // Content that was restored is damaged afterwards.
    bool damage;
};

struct run;
struct mos_backup;

// One attempt of one step, or what comes before the first (step NULL: the preflight). Made and freed by the deciding thread; in between of
// the thread that works on it, but for `stop` and `done`.
struct attempt {
    mos_recovery *recovery;
    struct run *run;
    int index;
    pthread_t thread;
    // Texts of its own, and results.
    mos_arena *arena;
    const mos_plan_step *step;
    struct mos_command command;
    struct mos_place place;
    bool criteria_only;
    // Without a step: what comes after all, not before.
    bool cleaning;
    int64_t deadline_ns;
    // Readable when it is to stop.
    int stop_fd;
    atomic_bool stop;

    // Results.
    mos_status status;
    struct mos_error error;
    struct mos_buffer output;
    const char *backup_id;
    int64_t backup_created_at_unix_ns;
    int64_t data_loss;
    bool strayed;
    // The restore came upon content that could not be read.
    bool unreadable;
    // What the part of its way that is at work adds to all of it, in percent; both 0: all.
    int way_from;
    int way_to;
    struct criterion_outcome {
        bool checked, passed;
        const char *message;
    } * criteria;
    struct attempt_finding {
        enum finding_weight { FINDING_NOTE, FINDING_WARNING, FINDING_FATAL } weight;
        const char *text;
    } * findings;
    size_t finding_count;
    const char *left_behind;
    int64_t worked_ns;
    // Under the mutex.
    bool done;
    bool joined;
};

// A run in memory. Under the mutex.
struct run {
    char id[MOS_ID_TEXT_BYTES];
    mos_arena *arena;
    run_state *state;
    // One for each step, and the last for the preflight and the cleaning up; NULL where none is at work.
    struct attempt **attempts;
    size_t attempt_count;
    // Not in the catalog yet.
    struct pending {
        int kind;
        uint8_t *data;
        size_t size_bytes;
        struct pending *next;
    } * pending;
    struct pending **last;
    // To be told to people with the next that is written.
    struct telling {
        char *occasion;
        char *text;
        // NULL: all contacts.
        const Mosaajii__Backup__V1__Contact *contact;
        struct telling *next;
    } * tellings;
    // Of one that has ended: a packed Reports, and the SHA-256 of the report in JSON.
    struct mos_buffer report;
    char report_hash[65];
    // All is said and written.
    bool ended;
    struct run *next;
};

struct mos_recovery {
    struct mos_recovery_options options;
    const char *home;
    pthread_mutex_t mutex;
    // Something is to be decided.
    pthread_cond_t work;
    struct run *runs;
    pthread_t thread;
    bool runs_thread;
    bool stopping;
    int64_t beat_at_ns;
    int64_t looked_at_plans_ns;
    int64_t overdue_told_ns;
};

// ---- Transitions (run.c), with the mutex held ----

// A new run in memory, not written yet; NULL past the memory.
struct run *run_create(mos_recovery *recovery, run_state *state, mos_arena *arena);
void run_destroy(struct run *run);
bool run_is_test(const struct run *run);
struct mos_place run_place(const struct run *run, mos_arena *arena);
const char *run_text(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The same bytes as text, whatever they are.
const char *run_clean_text(struct run *run, const void *data, size_t size_bytes);
// Each puts an entry behind what is to be written.
void run_event_status(struct run *run);
void run_event_step(struct run *run, size_t index);
void run_event_progress(struct run *run, size_t index);
void run_log(struct run *run, int level, const char *step_id, const char *details, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
// Writes the state with all that is pending, in one transaction; what is pending stays where it fails.
mos_status run_save(mos_recovery *recovery, struct run *run, struct mos_error *error);
// Brings the counts of machine and waiting time up to now.
void run_count_time(struct run *run, int64_t now_unix_ns);
void run_set_status(struct run *run, int status, const char *message);
// What became of an attempt that did not succeed: another one, or what the plan says. `again`: another attempt is allowed.
void step_failed(mos_recovery *recovery, struct run *run, size_t index, const char *message, bool again);
void step_end(struct run *run, size_t index, int status);
void step_succeeded(struct run *run, size_t index);
void step_wait_for_person(mos_recovery *recovery, struct run *run, size_t index, const char *why);
// The way of the whole run, 0 to 100, and the seconds left or -1.
int run_percent(const struct run *run, int64_t *out_seconds_left);

// ---- Telling people (tell.c) ----

// With the next that is written. "started", "waiting", "failed" and the like.
void run_tell(struct run *run, const char *occasion, const char *text);
// Of a step that waits for a person: the first contact is told again, then the next by priority, and so on, whenever it is time.
void run_remind(mos_recovery *recovery, struct run *run, size_t index, int64_t now_unix_ns);
void run_drop_tellings(struct run *run);
mos_status run_save_tellings(mos_catalog_session *session, const mos_recovery *recovery, const struct run *run, struct mos_error *error);
mos_status run_save_alerts(mos_catalog_session *session, const struct run *run, struct mos_error *error);
void recovery_raise_overdue(mos_recovery *recovery, const mos_plan *plan, int64_t days);

// ---- Deciding (recovery.c, collect.c) ----

void attempt_destroy(struct attempt *attempt);
// Takes what attempts that have ended came to into the run.
void run_collect(mos_recovery *recovery, struct run *run);

struct run *recovery_find(mos_recovery *recovery, const char *id);
void recovery_add(mos_recovery *recovery, struct run *run);
// ---- Beginning and interruption (begin.c) ----
mos_status run_begin_control(mos_recovery *recovery, struct run *test, struct mos_error *error);
mos_status recovery_load(mos_recovery *recovery, struct mos_error *error);
void recovery_look_at_plans(mos_recovery *recovery);

// ---- Work (act*.c), without the mutex ----

void *attempt_main(void *argument);
// The attempt was told to stop, or its time is over: MOS_CANCELLED, MOS_DEADLINE_EXCEEDED.
mos_status attempt_check(struct attempt *attempt, struct mos_error *error);
bool attempt_is_over(const void *attempt);
// Milliseconds until its deadline, `most` at most.
int attempt_left_ms(const struct attempt *attempt, int most);
void attempt_print(struct attempt *attempt, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Each writes what the step has begun into the catalog before it goes on.
mos_status attempt_note_job(struct attempt *attempt, const char *job_id, const struct mos_backup *backup, struct mos_error *error);
mos_status attempt_note_database(struct attempt *attempt, const char *name, const char *url, const char *role, struct mos_error *error);
void attempt_note_percent(struct attempt *attempt, int percent);
mos_status attempt_note_bringing(struct attempt *attempt, bool bringing, struct mos_error *error);
// Into the journal, at once.
void attempt_log(struct attempt *attempt, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
// What a preflight has found; the text lives in the attempt's arena.
void attempt_find(struct attempt *attempt, enum finding_weight weight, const char *format, ...) __attribute__((format(printf, 3, 4)));

mos_status act_preflight(struct attempt *attempt, struct mos_error *error);
mos_status act_clean_up(struct attempt *attempt, struct mos_error *error);
mos_status act_restore(struct attempt *attempt, struct mos_error *error);
mos_status act_verify_backup(struct attempt *attempt, struct mos_error *error);
mos_status act_verify_database(struct attempt *attempt, struct mos_error *error);
mos_status act_sql(struct attempt *attempt, struct mos_error *error);
mos_status act_http(struct attempt *attempt, const char *url, int64_t *out_code, struct mos_error *error);
mos_status act_tcp(struct attempt *attempt, struct mos_error *error);
mos_status act_hook(struct attempt *attempt, const char *name, struct mos_error *error);
// There is such a hook, and it may be run.
mos_status hook_check(const mos_recovery *recovery, const char *name, mos_arena *arena, const char **out_path, struct mos_error *error);
const char *recovery_restart_hook(const mos_recovery *recovery);
// All criteria of the step, into attempt->criteria. MOS_FAILED_PRECONDITION naming the first that does not hold.
mos_status check_criteria(struct attempt *attempt, struct mos_error *error);

// Follows a job to its end; cancels it where the attempt is over first. `from` and `to`: what it adds to the step's way.
struct mos_job;
mos_status wait_for_job(struct attempt *attempt, const char *job_id, int from, int to, struct mos_job *out, struct mos_error *error);

// ---- Which backup (choose.c) ----

// What a step takes of a backup.
struct backup_part {
    // For mos_restore_order; none: everything.
    char **include;
    size_t *include_bytes;
    size_t include_count;
    // Those that it brings back.
    struct Mosaajii__Engine__V1__Database **databases;
    size_t database_count;
};
// What there is of a type in the backup: all of one of that type, the part that the settings name of one of everything. false: nothing.
bool backup_part_of(const mos_recovery *recovery, const struct mos_backup *backup, enum mos_backup_type type, mos_arena *arena,
                    struct backup_part *out);
// The best that a command leads to: the newest that holds what it names, within its bounds and those of the run. MOS_NOT_FOUND.
mos_status choose_backup(mos_recovery *recovery, const run_state *state, const struct mos_command *command, mos_arena *arena,
                         struct mos_backup *out, struct mos_error *error);
// "the FULL backup ID of TIME".
const char *backup_text(const struct mos_backup *backup, mos_arena *arena);

// ---- Backups that lie offsite (act_offsite.c) ----

// Where the backup is not whole here, it is fetched first; MOS_FAILED_PRECONDITION where no location has it.
mos_status bring_first(struct attempt *attempt, const struct mos_backup *backup, struct mos_error *error);
// After content that could not be read: true where what was damaged came back from a location, and the backup is verified.
bool bring_again(struct attempt *attempt, const struct mos_backup *backup);
// What a preflight finds of the locations and of the backups that the plan needs.
void look_offsite(struct attempt *attempt, const struct mos_backup *needed, size_t count);

// ---- Databases (database.c) ----

struct place_database {
    // As backups name it.
    const char *name;
    struct mos_database_url url;
};
// The databases of the place that are there to be asked.
mos_status place_databases(struct attempt *attempt, struct place_database **out, size_t *out_count, struct mos_error *error);
// What a statement answers, as the database's own program prints it: columns with tabs between them, lines for rows.
mos_status database_ask(struct attempt *attempt, const struct mos_database_url *url, const char *statement, bool read_only, char **out,
                        struct mos_error *error);
// A statement of PostgreSQL that reads a secret by current_setting('mosaajii.secret').
mos_status database_tell_secret(struct attempt *attempt, const struct mos_database_url *url, const char *statement, const char *secret,
                                struct mos_error *error);
mos_status database_count_rows(struct attempt *attempt, const struct mos_database_url *url, const char *table, int64_t *out,
                               struct mos_error *error);
// The URL with the password that the settings have for its account.
mos_status database_open_url(const mos_recovery *recovery, const char *url, mos_arena *arena, struct mos_database_url *out,
                             struct mos_error *error);

// ---- Sandbox (sandbox.c) ----

mos_status sandbox_make(const mos_recovery *recovery, const char *folder, struct mos_error *error);
// Whatever is under this path is the sandbox's own: no link leads out. MOS_PERMISSION_DENIED.
mos_status sandbox_guard(const mos_recovery *recovery, const char *folder, struct mos_error *error);
bool sandbox_database_name(const char *name);
// Removes it; *out_left says what could not be removed, NULL where nothing is left.
void sandbox_remove(const mos_recovery *recovery, const char *folder, mos_arena *arena, const char **out_left);
mos_status sandbox_damage(const mos_recovery *recovery, const char *folder, int64_t *out_files, struct mos_error *error);

// ---- Databases of tests (sandbox_database.c) ----

// A new one for a database that a backup holds; out: where it is restored to, with its password. Where it can have no account of its own,
// the run's log says why, and the engine makes it by the server's account.
mos_status sandbox_database_make(struct attempt *attempt, const struct Mosaajii__Engine__V1__Database *database,
                                 struct mos_database_url *out, struct mos_error *error);
// As steps use it: `url` and `role` of what the run has noted.
mos_status sandbox_database_open(const mos_recovery *recovery, const char *url, const char *role, mos_arena *arena,
                                 struct mos_database_url *out, struct mos_error *error);
// Whether databases beside this one can have an account of their own; else why not.
mos_status sandbox_database_may_have_role(struct attempt *attempt, const struct mos_database_url *url, struct mos_error *error);
bool sandbox_database_drop(struct attempt *attempt, const Mosaajii__Recovery__V1__SandboxDatabase *database, const char **out_why);

// ---- The end of a run (measure.c, report.c) ----

// Metrics, status of a test, recommendations.
void run_measure(mos_recovery *recovery, struct run *run);
// Fills run->report and its hash.
void run_write_report(mos_recovery *recovery, struct run *run);

#endif

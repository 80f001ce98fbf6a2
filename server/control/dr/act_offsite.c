// Backups whose data is not whole here: which locations have them and answer, before a run; and bringing them back, within a step.
#include <string.h>
#include <sys/statvfs.h>

#include "common/clock.h"
#include "control/catalog/backups.h"
#include "control/catalog/jobs.h"
#include "control/dr/internal.h"

// Of a step that fetches first.
enum { FETCHED_PERCENT = 50 };

static bool is_over(void *attempt) {
    return attempt_is_over(attempt);
}

// ---- Before a run ----

static const struct mos_offsite_answer *answer_of(const struct mos_offsite_answer *answers, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(answers[i].name, name) == 0) {
            return &answers[i];
        }
    }
    return NULL;
}

static const char *what_is_missing(const struct mos_offsite_whereabouts *found, mos_arena *arena) {
    return found->unreadable ? "its manifest cannot be read here"
                             : mos_arena_printf(arena, "%lld %s of it %s missing here, %lld bytes", (long long)found->missing_objects,
                                                found->missing_objects == 1 ? "object" : "objects",
                                                found->missing_objects == 1 ? "is" : "are", (long long)found->missing_bytes);
}

// The locations that have it, where one of them answers; each that is needed and does not is named.
static void judge_missing(struct attempt *attempt, const struct mos_backup *backup, const struct mos_offsite_whereabouts *found,
                          const struct mos_offsite_answer *answers, size_t count) {
    const char *what = what_is_missing(found, attempt->arena), *why = "", *from = "";
    for (size_t i = 0; i < found->copy_count; i++) {
        const struct mos_offsite_answer *answer = answer_of(answers, count, found->copies[i].name);
        if (answer && !answer->failure && !*from) {
            from = mos_arena_printf(attempt->arena, "%s (%s)", answer->name, answer->url);
        } else if (answer && answer->failure) {
            why = mos_arena_printf(attempt->arena, "%s%s%s (%s): %s", why, *why ? "; " : "", answer->name, answer->url, answer->failure);
        }
    }
    if (*from) {
        attempt_find(attempt, FINDING_WARNING, "the backup %s is not whole here (%s) and is fetched first, from the location %s",
                     backup->id, what, from);
    } else if (found->copy_count > 0) {
        attempt_find(attempt, FINDING_FATAL, "the backup %s is not whole here (%s), and no location that has it answers: %s", backup->id,
                     what, why);
    } else {
        attempt_find(attempt, FINDING_FATAL, "the backup %s is not whole here (%s), and no location has a complete copy of it", backup->id,
                     what);
    }
}

static bool seen_before(const struct mos_backup *backups, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (strcmp(backups[i].id, backups[index].id) == 0) {
            return true;
        }
    }
    return false;
}

static void look_at_room(struct attempt *attempt, int64_t needed_bytes) {
    const char *repository = mos_setting_text(attempt->recovery->options.settings, MOS_SETTING_MOSAAJII_REPOSITORY);
    struct statvfs facts;
    if (needed_bytes == 0 || statvfs(repository, &facts) != 0) {
        return;
    }
    int64_t free_bytes = (int64_t)facts.f_bavail * (int64_t)facts.f_frsize;
    if (free_bytes < needed_bytes) {
        attempt_find(attempt, FINDING_FATAL, "%lld bytes are to be fetched into %s, and %lld are free there", (long long)needed_bytes,
                     repository, (long long)free_bytes);
    }
}

void look_offsite(struct attempt *attempt, const struct mos_backup *needed, size_t count) {
    mos_offsite *offsite = attempt->recovery->options.offsite;
    struct mos_offsite_answer *answers = NULL;
    size_t answer_count = 0;
    int64_t missing_bytes = 0;
    bool depends = false;
    if (count == 0) {
        return;
    }
    mos_offsite_ask(offsite, is_over, attempt, attempt->arena, &answers, &answer_count);
    for (size_t i = 0; i < count && !attempt_is_over(attempt); i++) {
        struct mos_offsite_whereabouts found;
        struct mos_error error;
        if (seen_before(needed, i)) {
            continue;
        }
        if (mos_offsite_find_backup(offsite, needed[i].id, attempt->arena, &found, &error) != MOS_OK) {
            attempt_find(attempt, FINDING_WARNING, "whether the backup %s is whole here cannot be told: %s", needed[i].id, error.message);
            continue;
        }
        if (!found.here) {
            depends = true;
            missing_bytes += found.missing_bytes;
            judge_missing(attempt, &needed[i], &found, answers, answer_count);
        }
    }
    for (size_t i = 0; i < answer_count; i++) {
        if (!answers[i].failure) {
            attempt_find(attempt, FINDING_NOTE, "the location %s (%s) answered within %lld ms", answers[i].name, answers[i].url,
                         (long long)answers[i].latency_ms);
        } else {
            attempt_find(attempt, FINDING_WARNING, "the location %s (%s) does not answer%s: %s", answers[i].name, answers[i].url,
                         depends ? "" : "; what the plan needs is here", answers[i].failure);
        }
    }
    look_at_room(attempt, missing_bytes);
}

// ---- Within a step ----

// Waits for the job that brings it, and breaks that off where the attempt is over first.
static mos_status follow(struct attempt *attempt, const char *job_id, struct mos_job *out, struct mos_error *error) {
    attempt->way_from = 0;
    attempt->way_to = FETCHED_PERCENT;
    mos_status status = wait_for_job(attempt, job_id, 0, 100, out, error);
    attempt->way_from = FETCHED_PERCENT;
    attempt->way_to = 100;
    if (status != MOS_OK) {
        mos_offsite_cancel(attempt->recovery->options.offsite, job_id, NULL);
        return status;
    }
    return out->status == MOS_JOB_SUCCEEDED ? MOS_OK : mos_fail(error, MOS_FAILED_PRECONDITION, "%s", out->message);
}

// The first location that has it and answers; the primary one where none does, so that its reason is told.
static const struct mos_offsite_source_of *choose_source(struct attempt *attempt, const struct mos_offsite_whereabouts *found) {
    struct mos_offsite_answer *answers = NULL;
    size_t count = 0;
    if (found->copy_count > 1) {
        mos_offsite_ask(attempt->recovery->options.offsite, is_over, attempt, attempt->arena, &answers, &count);
    }
    for (size_t i = 0; i < found->copy_count && count > 0; i++) {
        const struct mos_offsite_answer *answer = answer_of(answers, count, found->copies[i].name);
        if (answer && !answer->failure) {
            return &found->copies[i];
        }
    }
    return &found->copies[0];
}

static mos_status bring(struct attempt *attempt, const struct mos_backup *backup, const struct mos_offsite_whereabouts *found, bool whole,
                        struct mos_error *error) {
    mos_offsite *offsite = attempt->recovery->options.offsite;
    const struct mos_offsite_caller caller = {attempt->run->state->execution->triggered_by, ""};
    const struct mos_offsite_source_of *source = choose_source(attempt, found);
    char job_id[MOS_ID_TEXT_BYTES];
    struct mos_job job;
    attempt_log(attempt, LOG_IS(WARNING), "The backup %s is not whole here (%s): it is fetched from the location %s (%s)", backup->id,
                whole ? "content cannot be read" : what_is_missing(found, attempt->arena), source->name, source->url);
    mos_status status = whole || found->unreadable ? mos_offsite_heal(offsite, backup->id, &caller, job_id, error)
                                                   : mos_offsite_fetch(offsite, source->copy_id, &caller, job_id, error);
    status = status ? status : follow(attempt, job_id, &job, error);
    if (status != MOS_OK) {
        return status == MOS_CANCELLED || status == MOS_DEADLINE_EXCEEDED
                   ? status
                   : mos_fail_context(error, "fetching the backup %s from the location %s (%s)", backup->id, source->name, source->url);
    }
    attempt_print(attempt, "Fetched from the location %s (%s): %s\n", source->name, source->url, job.message);
    attempt_log(attempt, LOG_IS(INFO), "Fetched from the location %s (%s): %s", source->name, source->url, job.message);
    return MOS_OK;
}

mos_status bring_first(struct attempt *attempt, const struct mos_backup *backup, struct mos_error *error) {
    struct mos_offsite_whereabouts found;
    struct mos_error unknown;
    if (mos_offsite_find_backup(attempt->recovery->options.offsite, backup->id, attempt->arena, &found, &unknown) != MOS_OK) {
        // The restore itself finds out.
        attempt_log(attempt, LOG_IS(WARNING), "Whether the backup %s is whole here cannot be told: %s", backup->id, unknown.message);
        return MOS_OK;
    }
    if (found.here) {
        return MOS_OK;
    }
    if (found.copy_count == 0) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the backup %s is not whole here (%s), and no location has a complete copy of it",
                        backup->id, what_is_missing(&found, attempt->arena));
    }
    // A server that ends meanwhile has changed nothing.
    mos_status status = attempt_note_bringing(attempt, true, error);
    status = status ? status : bring(attempt, backup, &found, false, error);
    mos_status noted = attempt_note_bringing(attempt, false, status == MOS_OK ? error : NULL);
    return status ? status : noted;
}

bool bring_again(struct attempt *attempt, const struct mos_backup *backup) {
    struct mos_offsite_whereabouts found;
    struct mos_error error = {0};
    if (mos_offsite_find_backup(attempt->recovery->options.offsite, backup->id, attempt->arena, &found, &error) != MOS_OK ||
        found.copy_count == 0) {
        return false;
    }
    if (bring(attempt, backup, &found, true, &error) != MOS_OK) {
        attempt_log(attempt, LOG_IS(WARNING), "It cannot be mended from offsite: %s", error.message);
        return false;
    }
    return true;
}

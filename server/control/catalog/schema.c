// The catalog's tables, as numbered steps from one version to the next. A step that was released is never changed.
#include <string.h>

#include "common/buffer.h"
#include "control/catalog/sql.h"

// "MosB", so that no other program's file is taken for a catalog.
enum { APPLICATION_ID = 0x4d6f7342 };

static const char *const steps[] = {
    // 1
    "CREATE TABLE facts(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE backups("
    "  id TEXT PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, status TEXT NOT NULL,"
    "  created_at_ns INTEGER NOT NULL, completed_at_ns INTEGER NOT NULL, size INTEGER NOT NULL, encrypted_size INTEGER NOT NULL,"
    "  key_id TEXT NOT NULL, checksum TEXT NOT NULL, encrypted_checksum TEXT NOT NULL, location TEXT NOT NULL,"
    "  encrypted_location TEXT NOT NULL, retention_days INTEGER NOT NULL, warnings INTEGER NOT NULL, message TEXT NOT NULL,"
    "  encryption_asked INTEGER NOT NULL, compressed INTEGER NOT NULL, integrity_check INTEGER NOT NULL, parent_id TEXT NOT NULL, "
    "verified_at_ns INTEGER NOT NULL,"
    "  damaged INTEGER NOT NULL, created_by TEXT NOT NULL, facts BLOB NOT NULL);"
    "CREATE INDEX backups_newest ON backups(created_at_ns, id);"
    "CREATE INDEX backups_key ON backups(key_id);"

    "CREATE TABLE backup_tags("
    "  backup_id TEXT NOT NULL REFERENCES backups(id) ON DELETE CASCADE, tag TEXT NOT NULL, position INTEGER NOT NULL,"
    "  PRIMARY KEY(backup_id, tag)) WITHOUT ROWID;"
    "CREATE INDEX backup_tags_tag ON backup_tags(tag, backup_id);"

    "CREATE TABLE jobs("
    "  id TEXT PRIMARY KEY, kind TEXT NOT NULL, status TEXT NOT NULL, backup_id TEXT NOT NULL,"
    "  created_at_ns INTEGER NOT NULL, started_at_ns INTEGER NOT NULL, completed_at_ns INTEGER NOT NULL, created_by TEXT NOT NULL,"
    "  phase TEXT NOT NULL, files_done INTEGER NOT NULL, files_total INTEGER NOT NULL, bytes_done INTEGER NOT NULL,"
    "  bytes_total INTEGER NOT NULL, bytes_per_second INTEGER NOT NULL, seconds_left INTEGER NOT NULL, current TEXT NOT NULL,"
    "  warnings INTEGER NOT NULL, message TEXT NOT NULL, result BLOB NOT NULL);"
    "CREATE INDEX jobs_newest ON jobs(created_at_ns, id);"
    "CREATE INDEX jobs_backup ON jobs(backup_id);"
    "CREATE INDEX jobs_active ON jobs(created_at_ns) WHERE status IN ('PENDING', 'RUNNING');"

    "CREATE TABLE events("
    "  sequence INTEGER PRIMARY KEY AUTOINCREMENT, time_ns INTEGER NOT NULL, kind TEXT NOT NULL, job_id TEXT NOT NULL,"
    "  job_kind TEXT NOT NULL, job_status TEXT NOT NULL, backup_id TEXT NOT NULL, backup_status TEXT NOT NULL,"
    "  phase TEXT NOT NULL, files_done INTEGER NOT NULL, files_total INTEGER NOT NULL, bytes_done INTEGER NOT NULL,"
    "  bytes_total INTEGER NOT NULL, bytes_per_second INTEGER NOT NULL, seconds_left INTEGER NOT NULL, current TEXT NOT NULL,"
    "  message TEXT NOT NULL);"
    "CREATE INDEX events_job ON events(job_id, sequence);"
    "CREATE INDEX events_backup ON events(backup_id, sequence);"

    "CREATE TABLE tokens("
    "  id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, rights TEXT NOT NULL, hash BLOB NOT NULL UNIQUE,"
    "  created_at_ns INTEGER NOT NULL, expires_at_ns INTEGER NOT NULL, last_used_at_ns INTEGER NOT NULL,"
    "  revoked_at_ns INTEGER NOT NULL);"
    "CREATE INDEX tokens_newest ON tokens(created_at_ns, id);",

    // 2
    // The audit trail. Rows are only ever added; that nobody else changed them shows in their hashes, not in a trigger.
    "CREATE TABLE audit_entries("
    "  sequence INTEGER PRIMARY KEY, time TEXT NOT NULL, actor TEXT NOT NULL, ip_address TEXT NOT NULL, action TEXT NOT NULL,"
    "  resource TEXT NOT NULL, result TEXT NOT NULL, details TEXT NOT NULL, previous BLOB NOT NULL, hash BLOB NOT NULL);"
    "CREATE INDEX audit_entries_resource ON audit_entries(resource, sequence);"
    "CREATE TABLE audit_checkpoints("
    "  sequence INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, hash BLOB NOT NULL, public_key BLOB NOT NULL, signature BLOB NOT NULL);"

    "CREATE TABLE confirmations("
    "  id TEXT PRIMARY KEY, action TEXT NOT NULL, resource TEXT NOT NULL, requested_by TEXT NOT NULL, requested_at_ns INTEGER NOT NULL,"
    "  expires_at_ns INTEGER NOT NULL, confirmed_by TEXT NOT NULL, used_at_ns INTEGER NOT NULL);"
    "CREATE INDEX confirmations_newest ON confirmations(requested_at_ns, id);"

    "ALTER TABLE backups ADD COLUMN locked_until_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE backups ADD COLUMN legal_hold INTEGER NOT NULL DEFAULT 0;",

    // 3
    // Schedules, and what became of every run of theirs: a row for one run, or for several in a row with the same fate.
    "CREATE TABLE schedules("
    "  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, cron TEXT NOT NULL, time_zone TEXT NOT NULL, backup_type TEXT NOT NULL,"
    "  backup_name TEXT NOT NULL, retention_days INTEGER NOT NULL, encryption INTEGER NOT NULL, compression INTEGER NOT NULL,"
    "  integrity_check INTEGER NOT NULL, offsite INTEGER NOT NULL, read_all INTEGER NOT NULL, tags TEXT NOT NULL,"
    "  jitter_seconds INTEGER NOT NULL, blackouts TEXT NOT NULL, overlap TEXT NOT NULL, catch_up INTEGER NOT NULL, paused INTEGER NOT NULL,"
    "  learn_timing INTEGER NOT NULL, timing_note TEXT NOT NULL, has_keep INTEGER NOT NULL, keep_last INTEGER NOT NULL,"
    "  keep_hourly INTEGER NOT NULL, keep_daily INTEGER NOT NULL, keep_weekly INTEGER NOT NULL, keep_monthly INTEGER NOT NULL,"
    "  keep_yearly INTEGER NOT NULL, created_at_ns INTEGER NOT NULL, updated_at_ns INTEGER NOT NULL, accounted_until_ns INTEGER NOT NULL);"
    "CREATE INDEX schedules_newest ON schedules(created_at_ns, id);"
    "CREATE TABLE schedule_runs("
    "  schedule_id TEXT NOT NULL, due_at_ns INTEGER NOT NULL, through_ns INTEGER NOT NULL, count INTEGER NOT NULL, state TEXT NOT NULL,"
    "  recorded_at_ns INTEGER NOT NULL, backup_id TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY(schedule_id, due_at_ns)) WITHOUT ROWID;"
    "CREATE INDEX schedule_runs_backup ON schedule_runs(backup_id) WHERE backup_id <> '';"
    "CREATE INDEX schedule_runs_waiting ON schedule_runs(schedule_id) WHERE state = 'WAITING';"
    // How busy the machine is, by hour of the week in UTC from Sunday 0:00 on.
    "CREATE TABLE schedule_load(hour INTEGER PRIMARY KEY, samples INTEGER NOT NULL, mean_milli INTEGER NOT NULL);"
    // Set where a backup is so unlike its kind that those before it must not go; retention leaves it alone.
    "ALTER TABLE backups ADD COLUMN quarantined INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE backups ADD COLUMN quarantine_reason TEXT NOT NULL DEFAULT '';",

    // 4
    // Alerts: one open alert a cause. What happens to them is numbered with the events (mos_catalog_take_sequence).
    "CREATE TABLE alerts("
    "  id TEXT PRIMARY KEY, cause TEXT NOT NULL, type TEXT NOT NULL, severity TEXT NOT NULL, backup_id TEXT NOT NULL,"
    "  message TEXT NOT NULL, details TEXT NOT NULL, created_at_ns INTEGER NOT NULL, last_seen_at_ns INTEGER NOT NULL,"
    "  count INTEGER NOT NULL, acknowledged_at_ns INTEGER NOT NULL, acknowledged_by TEXT NOT NULL, note TEXT NOT NULL,"
    "  resolved_at_ns INTEGER NOT NULL, reminded_at_ns INTEGER NOT NULL, reminders INTEGER NOT NULL,"
    "  escalated_at_ns INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX alerts_open ON alerts(cause) WHERE resolved_at_ns = 0;"
    "CREATE INDEX alerts_newest ON alerts(created_at_ns, id);"
    "CREATE INDEX alerts_type ON alerts(type, created_at_ns, id);"
    "CREATE INDEX alerts_severity ON alerts(severity, created_at_ns, id);"
    "CREATE INDEX alerts_backup ON alerts(backup_id, created_at_ns, id);"
    "CREATE INDEX alerts_acknowledged ON alerts((acknowledged_at_ns <> 0), created_at_ns, id);"
    // For two filters at once, however seldom both are so.
    "CREATE INDEX alerts_type_severity ON alerts(type, severity, created_at_ns, id);"
    "CREATE INDEX alerts_acknowledged_severity ON alerts((acknowledged_at_ns <> 0), severity, created_at_ns, id);"
    "CREATE INDEX alerts_acknowledged_type ON alerts((acknowledged_at_ns <> 0), type, created_at_ns, id);"
    "CREATE INDEX alerts_to_remind ON alerts(reminded_at_ns) WHERE resolved_at_ns = 0 AND acknowledged_at_ns = 0;"
    "CREATE TABLE alert_events("
    "  sequence INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, kind TEXT NOT NULL, severity TEXT NOT NULL, alert_id TEXT NOT NULL);"
    "CREATE INDEX alert_events_alert ON alert_events(alert_id, kind);"
    // Messages to people and programs outside, until they are delivered.
    "CREATE TABLE deliveries("
    "  id TEXT PRIMARY KEY, receiver TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, reference TEXT NOT NULL,"
    "  created_at_ns INTEGER NOT NULL, next_try_at_ns INTEGER NOT NULL, tries INTEGER NOT NULL, delivered_at_ns INTEGER NOT NULL,"
    "  given_up_at_ns INTEGER NOT NULL, message TEXT NOT NULL);"
    "CREATE INDEX deliveries_due ON deliveries(next_try_at_ns) WHERE delivered_at_ns = 0 AND given_up_at_ns = 0;"
    "CREATE INDEX deliveries_reference ON deliveries(reference);"
    // How full the repository's file system was, for the forecast.
    "CREATE TABLE storage_samples(time_ns INTEGER PRIMARY KEY, used_bytes INTEGER NOT NULL, free_bytes INTEGER NOT NULL);"
    // For lists by one filter, the newest good backup of a type, and those to be verified again.
    "CREATE INDEX backups_type ON backups(type, created_at_ns, id);"
    "CREATE INDEX backups_status ON backups(status, created_at_ns, id);"
    "CREATE INDEX backups_verified ON backups(verified_at_ns) WHERE encrypted_checksum <> '' AND damaged = 0;"
    "CREATE INDEX jobs_kind ON jobs(kind, created_at_ns, id);"
    "CREATE INDEX jobs_status ON jobs(status, created_at_ns, id);"
    // For counting without reading the rows themselves.
    "CREATE INDEX backups_figures ON backups(type, status, size, encrypted_size);"
    "CREATE INDEX jobs_figures ON jobs(kind, status, started_at_ns, completed_at_ns);"
    "CREATE INDEX alerts_open_severity ON alerts(severity) WHERE resolved_at_ns = 0;",

    // 5
    // Copies offsite. A place is a location's URL, so that another bucket is another place.
    "ALTER TABLE backups ADD COLUMN local_only INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE backups ADD COLUMN absent INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE offsite_copies("
    "  id TEXT PRIMARY KEY, backup_id TEXT NOT NULL, place TEXT NOT NULL, provider TEXT NOT NULL, status TEXT NOT NULL,"
    "  created_at_ns INTEGER NOT NULL, created_by TEXT NOT NULL, uploaded_at_ns INTEGER NOT NULL, size INTEGER NOT NULL,"
    "  checksum TEXT NOT NULL, retention_days INTEGER NOT NULL, policy TEXT NOT NULL, expires_at_ns INTEGER NOT NULL,"
    "  locked_until_ns INTEGER NOT NULL, message TEXT NOT NULL, objects_total INTEGER NOT NULL, objects_done INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL, next_attempt_ns INTEGER NOT NULL, replicate INTEGER NOT NULL, refused INTEGER NOT NULL,"
    "  objects BLOB NOT NULL);"
    "CREATE INDEX offsite_copies_newest ON offsite_copies(created_at_ns, id);"
    "CREATE INDEX offsite_copies_backup ON offsite_copies(backup_id, place);"
    "CREATE INDEX offsite_copies_place ON offsite_copies(place, status, next_attempt_ns);"
    "CREATE TABLE offsite_access("
    "  id TEXT PRIMARY KEY, copy_id TEXT NOT NULL REFERENCES offsite_copies(id) ON DELETE CASCADE, actor TEXT NOT NULL,"
    "  action TEXT NOT NULL, time_ns INTEGER NOT NULL, ip_address TEXT NOT NULL, success INTEGER NOT NULL, details TEXT NOT NULL);"
    "CREATE INDEX offsite_access_copy ON offsite_access(copy_id, time_ns);"
    "CREATE TABLE offsite_objects("
    "  place TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, sha256 BLOB NOT NULL, locked_until_ns INTEGER NOT NULL,"
    "  PRIMARY KEY(place, name)) WITHOUT ROWID;"
    "CREATE TABLE offsite_policies(name TEXT PRIMARY KEY, retention_days INTEGER NOT NULL, archive_after_days INTEGER NOT NULL) WITHOUT "
    "ROWID;"
    "INSERT INTO offsite_policies VALUES('daily_30', 30, 0), ('weekly_90', 90, 0), ('monthly_365', 365, 0);",

    // 6
    // Recovery plans and their runs. The journal is numbered with the events.
    "CREATE TABLE recovery_plans("
    "  id TEXT PRIMARY KEY, priority INTEGER NOT NULL, status INTEGER NOT NULL, created_at_ns INTEGER NOT NULL, content BLOB NOT NULL);"
    "CREATE INDEX recovery_plans_newest ON recovery_plans(created_at_ns, id);"
    "CREATE TABLE recovery_runs("
    "  id TEXT PRIMARY KEY, plan_id TEXT NOT NULL, test INTEGER NOT NULL, hidden INTEGER NOT NULL, status INTEGER NOT NULL,"
    "  active INTEGER NOT NULL,"
    "  created_at_ns INTEGER NOT NULL, content BLOB NOT NULL, report BLOB NOT NULL);"
    "CREATE INDEX recovery_runs_newest ON recovery_runs(created_at_ns, id);"
    "CREATE INDEX recovery_runs_plan ON recovery_runs(plan_id, created_at_ns);"
    "CREATE INDEX recovery_runs_active ON recovery_runs(created_at_ns) WHERE active = 1;"
    "CREATE TABLE recovery_journal("
    "  sequence INTEGER PRIMARY KEY, run_id TEXT NOT NULL, time_ns INTEGER NOT NULL, kind INTEGER NOT NULL, content BLOB NOT NULL);"
    "CREATE INDEX recovery_journal_run ON recovery_journal(run_id, sequence);",

    // 7
    // For counting messages without reading them.
    "CREATE INDEX deliveries_given_up ON deliveries(given_up_at_ns) WHERE given_up_at_ns <> 0;",

    // 8
    // Which source a copy is of, for when its backup is gone here.
    "ALTER TABLE offsite_copies ADD COLUMN source INTEGER NOT NULL DEFAULT 0;",
};
enum { VERSION = sizeof(steps) / sizeof(steps[0]) };

static mos_status pragma_number(sqlite3 *db, const char *text, int64_t *out, struct mos_error *error) {
    sqlite3_stmt *statement = NULL;
    mos_status status = MOS_OK;
    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW) {
        status = mos_sql_fail(db, error, "be opened");
    } else {
        *out = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return status;
}

static mos_status fail_damaged(const char *path, struct mos_error *error) {
    return mos_fail(error, MOS_CORRUPT,
                    "the catalog %s is damaged; move it away and start with --rebuild-catalog to read the backups back from the repository",
                    path);
}

static mos_status check_whole(sqlite3 *db, const char *path, struct mos_error *error) {
    sqlite3_stmt *statement = NULL;
    mos_status status = MOS_OK;
    if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW) {
        status = mos_sql_fail(db, error, "be checked");
    } else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0) {
        status = MOS_CORRUPT;
    }
    sqlite3_finalize(statement);
    return status == MOS_CORRUPT ? fail_damaged(path, error) : status;
}

mos_status mos_schema_migrate(sqlite3 *db, struct mos_error *error) {
    int64_t version = 0;
    mos_status read = pragma_number(db, "PRAGMA user_version", &version, error);
    if (read != MOS_OK) {
        return read;
    }
    for (; version < VERSION; version++) {
        MOS_CLEANUP_BUFFER struct mos_buffer sql = MOS_BUFFER_INIT(0);
        mos_buffer_printf(&sql, "BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;", steps[version],
                          APPLICATION_ID, (int)version + 1);
        mos_status status = mos_sql_run(db, mos_buffer_text(&sql), error);
        if (status != MOS_OK) {
            sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
            return mos_fail_context(error, "bringing the catalog to version %d", (int)version + 1);
        }
    }
    return MOS_OK;
}

mos_status mos_schema_check(sqlite3 *db, const char *path, struct mos_error *error) {
    mos_status status = check_whole(db, path, error);
    int64_t version = 0, application = 0, tables = 0;
    if (status == MOS_OK) {
        status = pragma_number(db, "PRAGMA user_version", &version, error);
    }
    if (status == MOS_OK) {
        status = pragma_number(db, "PRAGMA application_id", &application, error);
    }
    if (status == MOS_OK) {
        status = pragma_number(db, "SELECT count(*) FROM sqlite_master", &tables, error);
    }
    if (status != MOS_OK) {
        return status;
    }
    if (tables > 0 && application != APPLICATION_ID) {
        return mos_fail(error, MOS_CORRUPT, "%s is a database of another program, not a catalog", path);
    }
    if (version > VERSION) {
        return mos_fail(error, MOS_FAILED_PRECONDITION,
                        "the catalog %s has version %lld, made by a newer mosaajii-server; this one knows versions up to %d", path,
                        (long long)version, VERSION);
    }
    // No step ever ended there.
    return version < 0 || (version > 0) != (tables > 0) ? fail_damaged(path, error) : MOS_OK;
}

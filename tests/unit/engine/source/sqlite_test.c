#include "engine/source/sqlite.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buffer.h"
#include "unit/test.h"

static void execute(const char *path, const char *sql) {
    sqlite3 *connection;
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &connection), SQLITE_OK);
    sqlite3_busy_timeout(connection, 60000);
    char *message = NULL;
    if (sqlite3_exec(connection, sql, NULL, NULL, &message) != SQLITE_OK) {
        fprintf(stderr, "%s\n", message);
        CU_FAIL_FATAL("sql");
    }
    sqlite3_close(connection);
}

static const char *below(const char *base, const char *name) {
    static char paths[8][4096];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, 4096, "%s/%s", base, name);
    return path;
}

static const char *url_of(const char *path) {
    static char url[4096];
    snprintf(url, sizeof(url), "sqlite://%s", path);
    return url;
}

static void save(int descriptor, const char *path) {
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char block[65536];
    off_t offset = 0;
    for (ssize_t got; (got = pread(descriptor, block, sizeof(block), offset)) > 0; offset += got) {
        CU_ASSERT_EQUAL(write(out, block, (size_t)got), got);
    }
    close(out);
}

static int64_t rows(const Mosaajii__Engine__V1__Database *database, const char *table) {
    for (size_t i = 0; i < database->n_tables; i++) {
        if (strcmp(database->tables[i]->name, table) == 0) {
            return database->tables[i]->rows;
        }
    }
    return -1;
}

static bool all_passed(Mosaajii__Engine__V1__Check **checks, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!checks[i]->passed) {
            fprintf(stderr, "\n    %s: %s\n", checks[i]->name, checks[i]->message);
            return false;
        }
    }
    return count == 3;
}

// Sells until it is killed: a sale and its move in one transaction. Says by a byte that it has begun.
static pid_t start_writer(const char *path, int *out_ready) {
    int ready[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
    pid_t writer = fork();
    if (writer == 0) {
        sqlite3 *connection;
        sqlite3_open(path, &connection);
        sqlite3_busy_timeout(connection, 60000);
        for (int64_t i = 0;; i++) {
            if (sqlite3_exec(connection,
                             "BEGIN IMMEDIATE; INSERT INTO sales VALUES(NULL, randomblob(300)); INSERT INTO moves "
                             "VALUES(last_insert_rowid()); COMMIT",
                             NULL, NULL, NULL) != SQLITE_OK) {
                _exit(1);
            }
            if (i == 100 && write(ready[1], "x", 1) != 1) {
                _exit(1);
            }
        }
    }
    close(ready[1]);
    *out_ready = ready[0];
    return writer;
}

static void copy_under_writing(const char *mode) {
    const char *base = mos_test_directory();
    const char *path = below(base, "shop.db");
    char sql[512];
    snprintf(
        sql, sizeof(sql),
        "PRAGMA journal_mode=%s; CREATE TABLE sales(id INTEGER PRIMARY KEY, data BLOB); CREATE TABLE moves(sale INTEGER);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 5000) INSERT INTO sales SELECT i, randomblob(1000) FROM n;"
        "INSERT INTO moves SELECT id FROM sales",
        mode);
    execute(path, sql);
    int ready;
    pid_t writer = start_writer(path, &ready);
    char byte;
    CU_ASSERT_EQUAL(read(ready, &byte, 1), 1);
    close(ready);
    for (int i = 0; i < 3; i++) {
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        struct mos_error error = {0};
        struct mos_database_copy copy;
        MOS_ASSERT_OK(mos_sqlite_copy(url_of(path), base, NULL, NULL, arena, &copy, &error), &error);
        CU_ASSERT_PTR_NULL(copy.warning);
        CU_ASSERT_STRING_EQUAL(copy.database->name, "shop.db");
        CU_ASSERT_STRING_EQUAL(copy.database->engine, "sqlite");
        CU_ASSERT_STRING_EQUAL(copy.database->origin, url_of(path));
        CU_ASSERT_EQUAL(copy.database->n_tables, 2);
        CU_ASSERT_TRUE(rows(copy.database, "sales") >= 5100);
        CU_ASSERT_EQUAL(rows(copy.database, "sales"), rows(copy.database, "moves"));
        struct stat status;
        CU_ASSERT_EQUAL(fstat(copy.descriptor, &status), 0);
        CU_ASSERT_EQUAL(status.st_nlink, 0);
        const char *restored = below(base, "restored.db");
        save(copy.descriptor, restored);
        close(copy.descriptor);
        Mosaajii__Engine__V1__Check **checks;
        size_t count;
        mos_sqlite_check(restored, copy.database, arena, &checks, &count);
        CU_ASSERT_TRUE(all_passed(checks, count));
        CU_ASSERT_NOT_EQUAL(access(below(base, "restored.db-wal"), F_OK), 0);
    }
    // It has been writing all the time.
    CU_ASSERT_EQUAL(waitpid(writer, NULL, WNOHANG), 0);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
}

MOS_TEST(a_database_in_wal_mode_is_copied_consistently_while_it_is_written_to) {
    copy_under_writing("WAL");
}

MOS_TEST(a_database_with_a_rollback_journal_is_copied_consistently_while_it_is_written_to) {
    copy_under_writing("DELETE");
}

MOS_TEST(odd_tables_are_counted_and_odd_names_work) {
    const char *base = mos_test_directory();
    const char *path = below(base, "a b%20?#'\".db");
    char url[4096];
    snprintf(url, sizeof(url), "file:%s/a%%20b%%2520%%3F%%23'%%22.db", base);
    execute(path,
            "CREATE TABLE \"a\"\"b'c\"(x); INSERT INTO \"a\"\"b'c\" VALUES(1),(2); CREATE TABLE w(k PRIMARY KEY) WITHOUT ROWID; INSERT "
            "INTO w VALUES(1);"
            "CREATE VIEW v AS SELECT * FROM w; CREATE TABLE sqlitefoo(x); CREATE VIRTUAL TABLE f USING fts5(t); INSERT INTO f VALUES('x')");
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    struct mos_database_copy copy;
    MOS_ASSERT_OK(mos_sqlite_copy(url, base, NULL, NULL, arena, &copy, &error), &error);
    CU_ASSERT_EQUAL(rows(copy.database, "a\"b'c"), 2);
    CU_ASSERT_EQUAL(rows(copy.database, "w"), 1);
    CU_ASSERT_EQUAL(rows(copy.database, "sqlitefoo"), 0);
    CU_ASSERT_EQUAL(rows(copy.database, "v"), -1);
    CU_ASSERT_EQUAL(rows(copy.database, "f"), -1);
    const char *back;
    MOS_ASSERT_OK(mos_sqlite_path(copy.database->origin, arena, &back, &error), &error);
    CU_ASSERT_STRING_EQUAL(back, path);
    close(copy.descriptor);
}

MOS_TEST(what_is_no_database_is_a_clear_failure) {
    const char *base = mos_test_directory();
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    struct mos_database_copy copy;
    CU_ASSERT_EQUAL(mos_sqlite_copy(url_of(below(base, "none.db")), base, NULL, NULL, arena, &copy, &error), MOS_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "none.db"));
    FILE *file = fopen(below(base, "text.db"), "w");
    for (int i = 0; i < 1000; i++) {
        fputs("this is no database at all\n", file);
    }
    fclose(file);
    CU_ASSERT_EQUAL(mos_sqlite_copy(url_of(below(base, "text.db")), base, NULL, NULL, arena, &copy, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "no SQLite database"));
    CU_ASSERT_EQUAL(mos_sqlite_copy(url_of(base), base, NULL, NULL, arena, &copy, &error), MOS_FAILED_PRECONDITION);
    CU_ASSERT_EQUAL(mos_sqlite_copy("postgresql://u:secret@h/d", base, NULL, NULL, arena, &copy, &error), MOS_INVALID_ARGUMENT);
    CU_ASSERT_PTR_NULL(strstr(error.message, "secret"));
    CU_ASSERT_EQUAL(mos_sqlite_copy("mysql://h/d", base, NULL, NULL, arena, &copy, &error), MOS_INVALID_ARGUMENT);
    static const char *const bad[] = {"", "shop.db", "file:shop.db", "sqlite://shop.db", "file:/%0", "file:/%00", "file:/", "sqlite:///"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_EQUAL(mos_sqlite_copy(bad[i], base, NULL, NULL, arena, &copy, &error), MOS_INVALID_ARGUMENT);
        CU_ASSERT_STRING_EQUAL(error.field, "databases");
    }
}

MOS_TEST(the_check_finds_missing_rows_tables_and_damage) {
    const char *base = mos_test_directory();
    const char *path = below(base, "shop.db");
    execute(path, "CREATE TABLE a(x); INSERT INTO a VALUES(1),(2); CREATE TABLE b(x);"
                  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 500) INSERT INTO b SELECT randomblob(200) FROM "
                  "n; CREATE INDEX i ON b(x)");
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    struct mos_database_copy copy;
    MOS_ASSERT_OK(mos_sqlite_copy(url_of(path), base, NULL, NULL, arena, &copy, &error), &error);
    close(copy.descriptor);
    Mosaajii__Engine__V1__Check **checks;
    size_t count;
    mos_sqlite_check(path, copy.database, arena, &checks, &count);
    CU_ASSERT_TRUE(all_passed(checks, count));

    execute(path, "DELETE FROM a WHERE x = 1");
    mos_sqlite_check(path, copy.database, arena, &checks, &count);
    CU_ASSERT_TRUE(checks[0]->passed && checks[1]->passed && !checks[2]->passed);
    CU_ASSERT_STRING_EQUAL(checks[2]->message, "the table a has 1 rows, it had 2");
    execute(path, "DROP TABLE a");
    mos_sqlite_check(path, copy.database, arena, &checks, &count);
    CU_ASSERT_STRING_EQUAL(checks[2]->message, "the table a is missing");

    int descriptor = open(path, O_RDWR);
    char zeros[4096] = {0};
    struct stat status;
    fstat(descriptor, &status);
    CU_ASSERT_EQUAL(pwrite(descriptor, zeros, sizeof(zeros), status.st_size - 8192), 4096);
    close(descriptor);
    mos_sqlite_check(path, copy.database, arena, &checks, &count);
    CU_ASSERT_TRUE(checks[0]->passed && !checks[1]->passed);
    CU_ASSERT_EQUAL(truncate(path, 50), 0);
    mos_sqlite_check(path, copy.database, arena, &checks, &count);
    CU_ASSERT_TRUE(!checks[0]->passed && !checks[1]->passed && !checks[2]->passed);
    mos_sqlite_check(below(base, "none"), copy.database, arena, &checks, &count);
    CU_ASSERT_EQUAL(count, 3);
    CU_ASSERT_FALSE(checks[0]->passed);
}

// The journal that a killed writer leaves is taken back, not ignored.
MOS_TEST(a_hot_journal_is_played_back) {
    const char *base = mos_test_directory();
    const char *path = below(base, "shop.db");
    execute(path, "CREATE TABLE a(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 2000) INSERT INTO a SELECT "
                  "randomblob(1000) FROM n");
    pid_t writer = fork();
    if (writer == 0) {
        sqlite3 *connection;
        sqlite3_open(path, &connection);
        // A cache too small for the change: pages are written before the commit that never comes.
        sqlite3_exec(connection, "PRAGMA cache_size=5; BEGIN; UPDATE a SET x = 'half'; DELETE FROM a WHERE rowid > 1000", NULL, NULL, NULL);
        kill(getpid(), SIGKILL);
    }
    waitpid(writer, NULL, 0);
    CU_ASSERT_EQUAL(access(below(base, "shop.db-journal"), F_OK), 0);
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    struct mos_database_copy copy;
    MOS_ASSERT_OK(mos_sqlite_copy(url_of(path), base, NULL, NULL, arena, &copy, &error), &error);
    CU_ASSERT_EQUAL(rows(copy.database, "a"), 2000);
    close(copy.descriptor);
}

static bool always(void *context) {
    (void)context;
    return true;
}

MOS_TEST(waiting_for_a_lock_can_be_cancelled) {
    const char *base = mos_test_directory();
    const char *path = below(base, "shop.db");
    execute(path, "CREATE TABLE a(x)");
    sqlite3 *holder;
    CU_ASSERT_EQUAL(sqlite3_open(path, &holder), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(holder, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_error error = {0};
    struct mos_database_copy copy;
    CU_ASSERT_EQUAL(mos_sqlite_copy(url_of(path), base, always, NULL, arena, &copy, &error), MOS_CANCELLED);
    sqlite3_close(holder);
}

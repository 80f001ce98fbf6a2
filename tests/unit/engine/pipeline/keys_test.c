// Operations on keys by several processes at the same time, as a server's engines and one started by hand are.
#include "engine/pipeline/keys.h"

#include <sys/wait.h>

#include "engine/pipeline/operation.h"
#include "engine/repo/rekey.h"
#include "unit/engine/repo/fixture.h"

#define PASSPHRASE "correct horse battery"
#define ESCROW_PASSPHRASE "a passphrase of some length"

static void ignore(void *context, const Mosaajii__Engine__V1__Event *event) {
    (void)context;
    (void)event;
}

// Runs the request on what the fixture has on disk, as a process of its own would. The report lives in the arena.
static mos_status run(const struct fixture *fixture, const char *passphrase, Mosaajii__Engine__V1__Request *request, mos_arena *arena,
                      Mosaajii__Engine__V1__Result *out) {
    mos_job *job = mos_job_create(ignore, NULL, 1);
    request->repository = (char *)fixture->path;
    request->keyring = (char *)fixture->keyring_path;
    request->keyring_passphrase = (char *)passphrase;
    mos_status status = mos_operation_run(job, request, arena, out);
    mos_job_free(job);
    return status;
}

enum act { ROTATE, REWRAP, IMPORT, RETIRE, LIST };

static mos_status act(const struct fixture *fixture, const char *passphrase, enum act what, const struct mos_buffer *escrow,
                      mos_arena *arena, Mosaajii__Engine__V1__Result *out) {
    Mosaajii__Engine__V1__Request request = MOSAAJII__ENGINE__V1__REQUEST__INIT;
    Mosaajii__Engine__V1__RotateKeyRequest rotate = MOSAAJII__ENGINE__V1__ROTATE_KEY_REQUEST__INIT;
    Mosaajii__Engine__V1__RewrapRequest rewrap = MOSAAJII__ENGINE__V1__REWRAP_REQUEST__INIT;
    Mosaajii__Engine__V1__EscrowRequest import = MOSAAJII__ENGINE__V1__ESCROW_REQUEST__INIT;
    Mosaajii__Engine__V1__RetireKeyRequest retire = MOSAAJII__ENGINE__V1__RETIRE_KEY_REQUEST__INIT;
    Mosaajii__Engine__V1__ListKeysRequest list = MOSAAJII__ENGINE__V1__LIST_KEYS_REQUEST__INIT;
    switch (what) {
    case ROTATE:
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_ROTATE_KEY;
        request.rotate_key = &rotate;
        break;
    case REWRAP:
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_REWRAP;
        request.rewrap = &rewrap;
        break;
    case IMPORT:
        import.passphrase = (char *)ESCROW_PASSPHRASE;
        import.content = (ProtobufCBinaryData){.data = escrow->data, .len = escrow->size_bytes};
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_ESCROW;
        request.escrow = &import;
        break;
    case RETIRE:
        retire.version = 2;
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_RETIRE_KEY;
        request.retire_key = &retire;
        break;
    default:
        list.check = true;
        request.operation_case = MOSAAJII__ENGINE__V1__REQUEST__OPERATION_LIST_KEYS;
        request.list_keys = &list;
    }
    return run(fixture, passphrase, &request, arena, out);
}

// One process for each act, all let go at the same time. `out`: what became of each.
static void at_once(const struct fixture *fixture, const char *passphrase, const enum act *acts, size_t count,
                    const struct mos_buffer *escrow, mos_status *out) {
    int gate[2];
    pid_t children[16];
    CU_ASSERT_EQUAL_FATAL(pipe(gate), 0);
    for (size_t i = 0; i < count; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char letter;
            Mosaajii__Engine__V1__Result result;
            mos_arena *arena = mos_arena_create(0);
            close(gate[1]);
            // Its end is the signal.
            while (read(gate[0], &letter, 1) > 0) {
            }
            mos_status status = act(fixture, passphrase, acts[i], escrow, arena, &result);
            if (status != MOS_OK) {
                fprintf(stderr, "act %d: %s\n", (int)acts[i], result.message);
            }
            _exit((int)status);
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (size_t i = 0; i < count; i++) {
        int code = -1;
        waitpid(children[i], &code, 0);
        CU_ASSERT_TRUE(WIFEXITED(code));
        out[i] = (mos_status)WEXITSTATUS(code);
    }
}

static bool good_backup(const struct fixture *fixture, const char *passphrase, const char *id, uint64_t seed) {
    mos_keyring *keyring = NULL;
    mos_repository *repository = NULL;
    mos_reader *reader = NULL;
    struct mos_error error = {0};
    bool good = mos_keyring_load_sealed(fixture->keyring_path, passphrase, &keyring, &error) == MOS_OK &&
                mos_repository_open(fixture->path, keyring, &repository, &error) == MOS_OK &&
                mos_reader_open(repository, id, &reader, &error) == MOS_OK && count_good_files(reader, seed) == 5;
    if (!good) {
        printf("%s: %s\n", id, error.message);
    }
    mos_reader_close(reader);
    mos_repository_close(repository);
    mos_keyring_free(keyring);
    return good;
}

// Rounds of everything at once. After each round all keys open, and the keyring holds what was promised.
static void together(const char *passphrase, int rounds) {
    static const enum act acts[] = {ROTATE, ROTATE, IMPORT, REWRAP, ROTATE, RETIRE, REWRAP};
    enum { ACTS = sizeof(acts) / sizeof(acts[0]) };
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    MOS_CLEANUP_BUFFER struct mos_buffer escrow = {0};
    snprintf(fixture.path, sizeof(fixture.path), "%s/repo", mos_test_directory());
    snprintf(fixture.keyring_path, sizeof(fixture.keyring_path), "%s.keyring", fixture.path);
    MOS_ASSERT_OK(mos_keyring_make(fixture.keyring_path, passphrase, NULL, &fixture.keyring, &error), &error);
    MOS_ASSERT_OK(mos_repository_create(fixture.path, fixture.keyring, &fixture.repository, &error), &error);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 0, 5, &record, &error), &error);
    MOS_ASSERT_OK(make_backup(&fixture, ID_B, 100, 5, &record, &error), &error);
    MOS_ASSERT_OK(mos_keyring_rotate(fixture.keyring, fixture.keyring_path, &error), &error);
    MOS_ASSERT_OK(mos_keyring_seal(fixture.keyring, ESCROW_PASSPHRASE, NULL, &escrow, &error), &error);
    size_t rotated = 0;
    for (int round = 0; round < rounds; round++) {
        mos_status became[ACTS];
        MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
        Mosaajii__Engine__V1__Result result;
        at_once(&fixture, passphrase, acts, ACTS, &escrow, became);
        for (size_t i = 0; i < ACTS; i++) {
            rotated += acts[i] == ROTATE && became[i] == MOS_OK;
            // Whoever does not get its turn says so.
            CU_ASSERT(became[i] == MOS_OK || became[i] == MOS_FAILED_PRECONDITION || became[i] == MOS_UNAVAILABLE ||
                      (acts[i] == RETIRE && became[i] == MOS_NOT_FOUND));
        }
        CU_ASSERT_EQUAL(act(&fixture, passphrase, LIST, NULL, arena, &result), MOS_OK);
        CU_ASSERT(result.result_case == MOSAAJII__ENGINE__V1__RESULT__RESULT_KEYS && result.keys->n_failures == 0 &&
                  result.keys->checked == 3);
        CU_ASSERT_EQUAL(act(&fixture, passphrase, REWRAP, NULL, arena, &result), MOS_OK);
        CU_ASSERT_EQUAL(act(&fixture, passphrase, IMPORT, &escrow, arena, &result), MOS_OK);
        // The two of the beginning and one for each rotation: each number once, none lost.
        CU_ASSERT_EQUAL(result.keys->n_keys, 2 + rotated);
        CU_ASSERT_EQUAL(result.keys->keys[result.keys->n_keys - 1]->version, 2 + rotated);
        CU_ASSERT(good_backup(&fixture, passphrase, ID_A, 0) && good_backup(&fixture, passphrase, ID_B, 100));
    }
    CU_ASSERT(rotated > 0);
    fixture_close(&fixture);
}

MOS_TEST(many_changes_of_an_open_keyring_at_the_same_time) {
    together("", 8);
}

MOS_TEST(many_changes_of_a_sealed_keyring_at_the_same_time) {
    together(PASSPHRASE, 2);
}

// ---- Escrow copies of others ----

static mos_status import(struct fixture *fixture, const mos_keyring *copy, const uint8_t *origin) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    MOS_CLEANUP_BUFFER struct mos_buffer escrow = {0};
    struct mos_error error = {0};
    Mosaajii__Engine__V1__Result result;
    MOS_ASSERT_OK(mos_keyring_seal(copy, ESCROW_PASSPHRASE, origin, &escrow, &error), &error);
    mos_status status = act(fixture, "", IMPORT, &escrow, arena, &result);
    if (status == MOS_OK) {
        CU_ASSERT_EQUAL(result.keys->n_added, 1);
        CU_ASSERT_STRING_EQUAL(result.keys->added[0], "local/1");
    }
    return status;
}

MOS_TEST(keys_of_another_installation_are_refused) {
    struct fixture fixture;
    struct mos_error error = {0};
    struct mos_record record;
    mos_keyring *own = NULL, *other = NULL;
    uint8_t origin[MOS_HASH_BYTES];
    char aside[4400];
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__Result result;
    fixture_open(&fixture);
    MOS_ASSERT_OK(make_backup(&fixture, ID_A, 0, 5, &record, &error), &error);
    MOS_ASSERT_OK(mos_keyring_load(fixture.keyring_path, &own, &error), &error);
    CU_ASSERT(mos_repository_escrow_origin(fixture.repository, own, origin));
    CU_ASSERT_EQUAL(act(&fixture, "", ROTATE, NULL, arena, &result), MOS_OK);
    snprintf(aside, sizeof(aside), "%s.other", fixture.keyring_path);
    MOS_ASSERT_OK(mos_keyring_create(aside, &other, &error), &error);
    // Version 1 is free here; so it would stand as local/1.
    CU_ASSERT_EQUAL(act(&fixture, "", REWRAP, NULL, arena, &result), MOS_OK);
    mos_keyring_free(fixture.keyring);
    MOS_ASSERT_OK(mos_keyring_load(fixture.keyring_path, &fixture.keyring, &error), &error);
    MOS_ASSERT_OK(mos_keyring_retire(fixture.keyring, fixture.keyring_path, 1, &error), &error);
    CU_ASSERT_EQUAL(import(&fixture, other, NULL), MOS_INVALID_ARGUMENT);
    // Not with a word about its origin that was made for another copy either.
    CU_ASSERT_EQUAL(import(&fixture, other, origin), MOS_INVALID_ARGUMENT);
    // One without any that opens nothing any more might be anybody's.
    CU_ASSERT_EQUAL(import(&fixture, own, NULL), MOS_INVALID_ARGUMENT);
    CU_ASSERT_EQUAL(import(&fixture, own, origin), MOS_OK);
    CU_ASSERT(good_backup(&fixture, "", ID_A, 0));
    mos_keyring_free(own);
    mos_keyring_free(other);
    fixture_close(&fixture);
}

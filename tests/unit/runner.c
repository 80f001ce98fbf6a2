#include "unit/test.h"

#include <CUnit/Basic.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TESTS = 256, MAX_DIRECTORIES = 256 };

static struct {
    const char *name;
    void (*function)(void);
} tests[MAX_TESTS];
static size_t test_count;

static char *directories[MAX_DIRECTORIES];
static size_t directory_count;

void mos_test_register(const char *name, void (*function)(void)) {
    if (test_count == MAX_TESTS) {
        fprintf(stderr, "more than %d tests in one file\n", MAX_TESTS);
        abort();
    }
    tests[test_count].name = name;
    tests[test_count].function = function;
    test_count++;
}

void mos_test_complain(const char *call, const char *message) {
    fprintf(stderr, "\n    %s: %s\n", call, message);
}

const char *mos_test_directory(void) {
    const char *base = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof(path), "%s/mosaajii-test-XXXXXX", base ? base : "/tmp");
    if (directory_count == MAX_DIRECTORIES || !mkdtemp(path)) {
        fprintf(stderr, "no test directory can be made in %s\n", base ? base : "/tmp");
        abort();
    }
    directories[directory_count] = strdup(path);
    return directories[directory_count++];
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

int main(int argc, char **argv) {
    if (CU_initialize_registry() != CUE_SUCCESS) {
        return 2;
    }
    const char *slash = strrchr(argv[0], '/');
    CU_pSuite suite = CU_add_suite(slash ? slash + 1 : argv[0], NULL, NULL);
    if (!suite) {
        return 2;
    }
    size_t chosen = 0;
    for (size_t i = 0; i < test_count; i++) {
        // With arguments, only the tests named.
        bool wanted = argc == 1;
        for (int a = 1; a < argc; a++) {
            wanted = wanted || strcmp(argv[a], tests[i].name) == 0;
        }
        if (wanted) {
            if (!CU_add_test(suite, tests[i].name, tests[i].function)) {
                return 2;
            }
            chosen++;
        }
    }
    if (chosen == 0) {
        fprintf(stderr, "no test has such a name\n");
        return 2;
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    for (size_t i = 0; i < directory_count; i++) {
        nftw(directories[i], remove_entry, 32, FTW_DEPTH | FTW_PHYS);
        free(directories[i]);
    }
    return failures == 0 ? 0 : 1;
}

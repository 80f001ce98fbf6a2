// A store offsite from the command line, for tests and measurements. The OFFSITE_ settings say which.
//   put NAME FILE | get NAME FILE | head NAME | delete NAME | list PREFIX | probe | sweep SECONDS | archive NAME | thaw NAME DAYS
//   put-all FOLDER THREADS | get-all FOLDER THREADS    the files of a folder, several at a time
// "--retry" first: with tries again, whose pauses are short. Prints OK or the status and the message; exits with 0 or 1.
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "control/offsite/hash.h"
#include "control/offsite/wrappers.h"

extern char **environ;

static mos_status open_source(const char *path, struct mos_store_source *out, struct mos_error *error) {
    MOS_CLEANUP_HASH mos_store_hash *hash = mos_store_hash_new(MOS_STORE_SHA256);
    MOS_CLEANUP_FREE char *piece = mos_malloc(1 << 20);
    *out = (struct mos_store_source){.descriptor = open(path, O_RDONLY | O_CLOEXEC)};
    if (out->descriptor < 0) {
        return mos_fail(error, MOS_NOT_FOUND, "%s cannot be opened", path);
    }
    ssize_t count;
    while ((count = pread(out->descriptor, piece, 1 << 20, out->size_bytes)) > 0) {
        mos_store_hash_update(hash, piece, (size_t)count);
        out->size_bytes += count;
    }
    mos_store_hash_take(hash, out->sha256);
    return MOS_OK;
}

static mos_status put(mos_store *store, const char *name, const char *path, struct mos_error *error) {
    struct mos_store_source source;
    mos_status status = open_source(path, &source, error);
    if (status == MOS_OK) {
        status = mos_store_put(store, name, &source, NULL, NULL, NULL, error);
        close(source.descriptor);
    }
    return status;
}

static mos_status get(mos_store *store, const char *name, const char *path, struct mos_error *error) {
    MOS_CLEANUP_FD int to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct mos_store_object object;
    mos_status status = mos_store_head(store, name, &object, NULL, error);
    return status == MOS_OK
               ? mos_store_get_file(store, name, to, object.checksum != MOS_STORE_CHECKSUM_NONE ? object.sha256 : NULL, NULL, error)
               : status;
}

// Bytes, state, and the provider's own word for the class.
static mos_status head(mos_store *store, const char *name, struct mos_error *error) {
    static const char *const states[] = {[MOS_STORE_READY] = "ready", [MOS_STORE_ARCHIVED] = "archived", [MOS_STORE_THAWING] = "thawing"};
    struct mos_store_object object;
    mos_status status = mos_store_head(store, name, &object, NULL, error);
    if (status == MOS_OK) {
        printf("%lld %s %s\n", (long long)object.size_bytes, states[object.state], object.storage_class);
    }
    return status;
}

static mos_status list(mos_store *store, const char *prefix, struct mos_error *error) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_store_page page = {0};
    mos_status status;
    do {
        status = mos_store_list(store, prefix, page.next, 1000, arena, &page, NULL, error);
        for (size_t i = 0; status == MOS_OK && i < page.count; i++) {
            printf("%s %lld\n", page.objects[i].name, (long long)page.objects[i].size_bytes);
        }
    } while (status == MOS_OK && page.next);
    return status;
}

static struct {
    mos_store *store;
    const char *folder;
    bool sends;
    char **names;
    int count;
    atomic_int next;
    atomic_int failed;
} all;

static void *work(void *argument) {
    (void)argument;
    for (int i = atomic_fetch_add(&all.next, 1); i < all.count; i = atomic_fetch_add(&all.next, 1)) {
        struct mos_error error = {0};
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", all.folder, all.names[i]);
        mos_status status = all.sends ? put(all.store, all.names[i], path, &error) : get(all.store, all.names[i], path, &error);
        if (status != MOS_OK) {
            fprintf(stderr, "%s: %s\n", mos_status_name(status), error.message);
            atomic_fetch_add(&all.failed, 1);
        }
    }
    return NULL;
}

static void find_names(void) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(0);
    struct mos_store_page page = {0};
    all.names = mos_calloc(4096, sizeof(char *));
    DIR *folder = all.sends ? opendir(all.folder) : NULL;
    for (struct dirent *entry = folder ? readdir(folder) : NULL; entry && all.count < 4096; entry = readdir(folder)) {
        if (entry->d_name[0] != '.') {
            all.names[all.count++] = mos_strdup(entry->d_name);
        }
    }
    if (folder) {
        closedir(folder);
    } else if (mos_store_list(all.store, "", NULL, 1000, arena, &page, NULL, NULL) == MOS_OK) {
        for (size_t i = 0; i < page.count; i++) {
            all.names[all.count++] = mos_strdup(page.objects[i].name);
        }
    }
}

static mos_status transfer_all(mos_store *store, const char *folder, int count, bool sends, struct mos_error *error) {
    pthread_t threads[64];
    all.store = store;
    all.folder = folder;
    all.sends = sends;
    find_names();
    for (int i = 0; i < count; i++) {
        pthread_create(&threads[i], NULL, work, NULL);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%d objects\n", all.count);
    for (int i = 0; i < all.count; i++) {
        free(all.names[i]);
    }
    free(all.names);
    return all.failed == 0 ? MOS_OK : mos_fail(error, MOS_UNKNOWN, "%d failed", all.failed);
}

static mos_status run(mos_store *store, int count, char **words, struct mos_error *error) {
    const char *verb = words[0];
    if (strcmp(verb, "put") == 0 && count == 3) {
        return put(store, words[1], words[2], error);
    }
    if (strcmp(verb, "get") == 0 && count == 3) {
        return get(store, words[1], words[2], error);
    }
    if (strcmp(verb, "put-all") == 0 && count == 3) {
        return transfer_all(store, words[1], atoi(words[2]), true, error);
    }
    if (strcmp(verb, "get-all") == 0 && count == 3) {
        return transfer_all(store, words[1], atoi(words[2]), false, error);
    }
    if (strcmp(verb, "head") == 0 && count == 2) {
        return head(store, words[1], error);
    }
    if (strcmp(verb, "archive") == 0 && count == 2) {
        return mos_store_archive(store, words[1], NULL, error);
    }
    if (strcmp(verb, "thaw") == 0 && count == 3) {
        return mos_store_thaw(store, words[1], atoi(words[2]), NULL, error);
    }
    if (strcmp(verb, "delete") == 0 && count == 2) {
        return mos_store_delete(store, words[1], NULL, error);
    }
    if (strcmp(verb, "list") == 0 && count == 2) {
        return list(store, words[1], error);
    }
    if (strcmp(verb, "sweep") == 0 && count == 2) {
        int removed = 0;
        mos_status status = mos_store_sweep(store, atoi(words[1]), &removed, NULL, error);
        printf("%d removed\n", removed);
        return status;
    }
    return strcmp(verb, "probe") == 0 ? mos_store_probe(store, NULL, error) : mos_fail(error, MOS_INVALID_ARGUMENT, "no such verb");
}

int main(int argc, char **argv) {
    const struct mos_store_retry retry = {.tries = 6, .first_pause_ms = 5, .most_pause_ms = 40};
    struct mos_store_options options;
    struct mos_error error = {0};
    mos_settings *settings = NULL;
    mos_store *store = NULL;
    bool again = argc > 1 && strcmp(argv[1], "--retry") == 0;
    argv += again ? 2 : 1;
    argc -= again ? 2 : 1;
    if (argc < 1 || argc > 3) {
        fprintf(stderr, "usage: mos_store [--retry] VERB [ARGUMENT ...]\n");
        return 2;
    }
    mos_status status = mos_settings_load(&settings, environ, &error);
    status = status == MOS_OK ? mos_store_options_from_settings(settings, false, &options, &error) : status;
    status = status == MOS_OK ? mos_store_open(&store, &options, &error) : status;
    if (status == MOS_OK) {
        store = again ? mos_store_with_retry(store, &retry) : store;
        status = run(store, argc, argv, &error);
    }
    mos_store_close(store);
    mos_settings_free(settings);
    if (status == MOS_OK) {
        printf("OK\n");
        return 0;
    }
    printf("%s: %s\n", mos_status_name(status), error.message);
    return 1;
}

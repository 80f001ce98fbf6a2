#include "engine/repo/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/id.h"

#define HEADER "mosaajii-keyring 1\n"
#define KEY_HEX (2 * MOS_KEY_BYTES)

struct version {
    uint32_t number;
    bool active;
    int64_t created_unix_ns;
};

struct mos_keyring {
    struct version *versions;
    // One for each version, in memory of its own.
    struct mos_key *keys;
    size_t count;
    size_t keys_bytes;
};

static mos_keyring *keyring_create(size_t capacity) {
    mos_keyring *keyring = mos_calloc(1, sizeof(*keyring));
    keyring->versions = mos_calloc(capacity, sizeof(*keyring->versions));
    keyring->keys_bytes = capacity * sizeof(*keyring->keys);
    keyring->keys = mos_secret_alloc(keyring->keys_bytes);
    return keyring;
}

void mos_keyring_free(mos_keyring *keyring) {
    if (keyring) {
        mos_secret_free(keyring->keys, keyring->keys_bytes);
        free(keyring->versions);
        free(keyring);
    }
}

// One line without its end: `2 active 2026-02-28T12:00:00.000Z 64 digits`.
static bool parse_line(const char *line, size_t size_bytes, struct version *version, struct mos_key *key) {
    char text[160];
    char state[16];
    char created[40];
    char digits[KEY_HEX + 1];
    bool valid = false;
    if (size_bytes < sizeof(text) && !memchr(line, 0, size_bytes)) {
        memcpy(text, line, size_bytes);
        text[size_bytes] = 0;
        int end = 0;
        unsigned long number = 0;
        valid = text[0] >= '1' && text[0] <= '9' &&
                sscanf(text, "%9lu %15[a-z-] %39[0-9TZ:.+-] %64[0-9a-f]%n", &number, state, created, digits, &end) == 4 && text[end] == 0 &&
                mos_hex_decode(digits, key->bytes, sizeof(key->bytes)) && mos_time_parse(created, &version->created_unix_ns) &&
                (strcmp(state, "active") == 0 || strcmp(state, "decrypt-only") == 0);
        version->number = (uint32_t)number;
        version->active = valid && strcmp(state, "active") == 0;
    }
    mos_wipe(text, sizeof(text));
    mos_wipe(digits, sizeof(digits));
    return valid;
}

mos_status mos_keyring_parse(const char *text, size_t size_bytes, mos_keyring **out, struct mos_error *error) {
    size_t header = strlen(HEADER);
    if (size_bytes > MOS_KEYRING_LIMIT_BYTES || size_bytes < header || memcmp(text, HEADER, header) != 0) {
        return mos_fail(error, MOS_CORRUPT, "the keyring does not begin with the line 'mosaajii-keyring 1'");
    }
    size_t lines = 0;
    for (size_t i = header; i < size_bytes; i++) {
        lines += text[i] == '\n';
    }
    if (lines == 0 || lines > MOS_KEYRING_MAX_VERSIONS || text[size_bytes - 1] != '\n') {
        return mos_fail(error, MOS_CORRUPT, "the keyring must hold 1 to %d whole lines of keys", MOS_KEYRING_MAX_VERSIONS);
    }
    mos_keyring *keyring = keyring_create(lines);
    size_t active = 0;
    uint32_t last = 0;
    for (const char *line = text + header; line < text + size_bytes;) {
        const char *end = memchr(line, '\n', (size_t)(text + size_bytes - line));
        struct version *version = &keyring->versions[keyring->count];
        if (!parse_line(line, (size_t)(end - line), version, &keyring->keys[keyring->count]) || version->number <= last) {
            size_t number = keyring->count + 2;
            mos_keyring_free(keyring);
            return mos_fail(error, MOS_CORRUPT, "line %zu of the keyring is not 'version state time key' with a rising version", number);
        }
        last = version->number;
        active += version->active;
        keyring->count++;
        line = end + 1;
    }
    if (active != 1) {
        mos_keyring_free(keyring);
        return mos_fail(error, MOS_CORRUPT, "the keyring has %zu active versions instead of one", active);
    }
    *out = keyring;
    return MOS_OK;
}

mos_status mos_keyring_load(const char *path, mos_keyring **out, struct mos_error *error) {
    MOS_CLEANUP_FD int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        return mos_fail_errno(error, errno, "the keyring %s cannot be opened", path);
    }
    if (!S_ISREG(status.st_mode) || status.st_size > (off_t)MOS_KEYRING_LIMIT_BYTES) {
        return mos_fail(error, MOS_CORRUPT, "%s is not a keyring", path);
    }
    if (status.st_mode & 077) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the keyring %s must be accessible to its owner only: chmod 600 it", path);
    }
    size_t capacity = (size_t)status.st_size + 1;
    char *text = mos_secret_alloc(capacity);
    size_t size = 0;
    mos_status result = MOS_OK;
    while (size < capacity) {
        ssize_t got = read(descriptor, text + size, capacity - size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            result = mos_fail_errno(error, errno, "the keyring %s cannot be read", path);
        }
        if (got <= 0) {
            break;
        }
        size += (size_t)got;
    }
    if (result == MOS_OK) {
        result = mos_keyring_parse(text, size, out, error);
    }
    mos_secret_free(text, capacity);
    return result;
}

static void format(const mos_keyring *keyring, struct mos_buffer *buffer) {
    mos_buffer_append_text(buffer, HEADER);
    for (size_t i = 0; i < keyring->count; i++) {
        char created[MOS_TIME_TEXT_BYTES];
        char digits[KEY_HEX + 1];
        mos_time_format(keyring->versions[i].created_unix_ns, created);
        mos_hex_encode(keyring->keys[i].bytes, MOS_KEY_BYTES, digits);
        mos_buffer_printf(buffer, "%u %s %s %s\n", keyring->versions[i].number, keyring->versions[i].active ? "active" : "decrypt-only",
                          created, digits);
        mos_wipe(digits, sizeof(digits));
    }
}

static mos_status write_all(int descriptor, const uint8_t *data, size_t size_bytes) {
    while (size_bytes > 0) {
        ssize_t written = write(descriptor, data, size_bytes);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return MOS_IO;
        }
        data += written;
        size_bytes -= (size_t)written;
    }
    return MOS_OK;
}

// `replace` false: the file must not exist yet, which link() decides, not a look beforehand.
static mos_status save(const mos_keyring *keyring, const char *path, bool replace, struct mos_error *error) {
    MOS_CLEANUP_FREE char *tmp = mos_malloc(strlen(path) + 16);
    sprintf(tmp, "%s.XXXXXX", path);
    MOS_CLEANUP_FREE char *copy = mos_strdup(path);
    const char *parent = dirname(copy);
    // mkostemp makes the file with mode 0600.
    MOS_CLEANUP_FD int descriptor = mkostemp(tmp, O_CLOEXEC);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "the keyring %s cannot be written", path);
    }
    struct mos_buffer text = {0};
    // In one piece, so that growing leaves no copies behind.
    mos_buffer_reserve(&text, strlen(HEADER) + keyring->count * 160 + 1);
    format(keyring, &text);
    bool done = write_all(descriptor, text.data, text.size_bytes) == MOS_OK && fsync(descriptor) == 0;
    mos_wipe(text.data, text.capacity_bytes);
    mos_buffer_free(&text);
    if (done) {
        done = replace ? rename(tmp, path) == 0 : link(tmp, path) == 0;
    }
    int errnum = errno;
    if (!done || !replace) {
        unlink(tmp);
    }
    if (!done) {
        return errnum == EEXIST ? mos_fail(error, MOS_ALREADY_EXISTS, "there is a keyring at %s already", path)
                                : mos_fail_errno(error, errnum, "the keyring %s cannot be written", path);
    }
    MOS_CLEANUP_FD int folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || fsync(folder) != 0) {
        return mos_fail_errno(error, errno, "the folder of the keyring %s cannot be flushed", path);
    }
    return MOS_OK;
}

static void add_version(mos_keyring *keyring, uint32_t number) {
    keyring->versions[keyring->count] = (struct version){.number = number, .active = true, .created_unix_ns = mos_now_unix_ns()};
    mos_random(keyring->keys[keyring->count].bytes, MOS_KEY_BYTES);
    keyring->count++;
}

mos_status mos_keyring_create(const char *path, mos_keyring **out, struct mos_error *error) {
    mos_keyring *keyring = keyring_create(1);
    add_version(keyring, 1);
    mos_status status = save(keyring, path, false, error);
    if (status != MOS_OK) {
        mos_keyring_free(keyring);
        return status;
    }
    *out = keyring;
    return MOS_OK;
}

mos_status mos_keyring_rotate(mos_keyring *keyring, const char *path, struct mos_error *error) {
    if (keyring->count == MOS_KEYRING_MAX_VERSIONS) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the keyring holds %d versions already", MOS_KEYRING_MAX_VERSIONS);
    }
    mos_keyring *next = keyring_create(keyring->count + 1);
    memcpy(next->versions, keyring->versions, keyring->count * sizeof(*keyring->versions));
    memcpy(next->keys, keyring->keys, keyring->count * sizeof(*keyring->keys));
    next->count = keyring->count;
    for (size_t i = 0; i < next->count; i++) {
        next->versions[i].active = false;
    }
    add_version(next, keyring->versions[keyring->count - 1].number + 1);
    mos_status status = save(next, path, true, error);
    if (status == MOS_OK) {
        // On disk first: a key that nobody can find again must never wrap anything.
        mos_keyring old = *keyring;
        *keyring = *next;
        *next = old;
    }
    mos_keyring_free(next);
    return status;
}

uint32_t mos_keyring_active_version(const mos_keyring *keyring) {
    for (size_t i = 0; i < keyring->count; i++) {
        if (keyring->versions[i].active) {
            return keyring->versions[i].number;
        }
    }
    return 0;
}

const struct mos_key *mos_keyring_key(const mos_keyring *keyring, uint32_t version) {
    for (size_t i = 0; i < keyring->count; i++) {
        if (keyring->versions[i].number == version) {
            return &keyring->keys[i];
        }
    }
    return NULL;
}

size_t mos_keyring_count(const mos_keyring *keyring) {
    return keyring->count;
}

#include "engine/repo/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/id.h"
#include "engine/crypto/passphrase.h"

#define HEADER "mosaajii-keyring 1\n"
#define KEY_HEX (2 * MOS_KEY_BYTES)
#define ORIGIN "origin "
#define ORIGIN_BYTES (sizeof(ORIGIN) - 1 + 2 * MOS_HASH_BYTES + 1)

struct version {
    uint32_t number;
    bool active;
    int64_t created_unix_ns;
    // NULL: local, and the key stands beside it.
    char *reference;
};

struct mos_keyring {
    struct version *versions;
    // One for each version, in memory of its own.
    struct mos_key *keys;
    size_t count;
    size_t keys_bytes;
    // In memory for keys; NULL: it lies open.
    char *passphrase;
    bool lay_open;
    const struct mos_key_service *service;
    bool has_origin;
    uint8_t origin[MOS_HASH_BYTES];
    // NULL: it was never in a file. And how the file looked when it was read or written.
    char *path;
    struct stat file;
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
        for (size_t i = 0; i < keyring->count; i++) {
            free(keyring->versions[i].reference);
        }
        if (keyring->passphrase) {
            mos_secret_free(keyring->passphrase, strlen(keyring->passphrase) + 1);
        }
        free(keyring->versions);
        free(keyring->path);
        free(keyring);
    }
}

static void set_file(mos_keyring *keyring, const char *path, const struct stat *file) {
    char *kept = mos_strdup(path);
    free(keyring->path);
    keyring->path = kept;
    keyring->file = *file;
}

mos_status mos_keyring_lock(const char *path, int *out_descriptor, struct mos_error *error) {
    MOS_CLEANUP_FREE char *name = mos_malloc(strlen(path) + 8);
    sprintf(name, "%s.lock", path);
    MOS_CLEANUP_FD int descriptor = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    if (descriptor < 0) {
        return mos_fail_errno(error, errno, "the lock of the keyring %s cannot be opened", path);
    }
    while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return mos_fail(error, MOS_UNAVAILABLE, "the keyring %s is being changed by another process", path);
        }
        if (errno != EINTR) {
            return mos_fail_errno(error, errno, "the keyring %s cannot be locked", path);
        }
    }
    *out_descriptor = descriptor;
    descriptor = -1;
    return MOS_OK;
}

static void set_passphrase(mos_keyring *keyring, const char *passphrase) {
    if (passphrase && *passphrase) {
        keyring->passphrase = mos_secret_alloc(strlen(passphrase) + 1);
        strcpy(keyring->passphrase, passphrase);
    }
}

// `aws:…` or `vault:…`, printable and without spaces.
static bool reference_valid(const char *text) {
    size_t length = strlen(text);
    bool known = (strncmp(text, "aws:", 4) == 0 && length > 4) || (strncmp(text, "vault:", 6) == 0 && length > 6);
    for (const char *c = text; *c; c++) {
        known = known && *c > ' ' && *c < 0x7f;
    }
    return known && length < MOS_KEY_REFERENCE_BYTES;
}

// One line without its end: `2 active 2026-02-28T12:00:00.000Z 64 digits`, or a reference for the digits.
static bool parse_line(const char *line, size_t size_bytes, struct version *version, struct mos_key *key) {
    char text[MOS_KEY_REFERENCE_BYTES + 96];
    char state[16];
    char created[40];
    char last[MOS_KEY_REFERENCE_BYTES + 1] = "";
    bool valid = false;
    if (size_bytes < sizeof(text) && !memchr(line, 0, size_bytes)) {
        memcpy(text, line, size_bytes);
        text[size_bytes] = 0;
        int end = 0;
        unsigned long number = 0;
        valid = text[0] >= '1' && text[0] <= '9' &&
                sscanf(text, "%9lu %15[a-z-] %39[0-9TZ:.+-] %512[!-~]%n", &number, state, created, last, &end) == 4 && text[end] == 0 &&
                (reference_valid(last) || (strlen(last) == KEY_HEX && mos_hex_decode(last, key->bytes, sizeof(key->bytes)))) &&
                mos_time_parse(created, &version->created_unix_ns) && (strcmp(state, "active") == 0 || strcmp(state, "decrypt-only") == 0);
        version->number = (uint32_t)number;
        version->active = valid && strcmp(state, "active") == 0;
        version->reference = valid && reference_valid(last) ? mos_strdup(last) : NULL;
    }
    mos_wipe(text, sizeof(text));
    mos_wipe(last, sizeof(last));
    return valid;
}

// `origin 64 digits`, as a whole line at `text`.
static bool parse_origin(const char *text, size_t size_bytes, uint8_t out[MOS_HASH_BYTES]) {
    char digits[2 * MOS_HASH_BYTES + 1];
    if (size_bytes < ORIGIN_BYTES || memcmp(text, ORIGIN, strlen(ORIGIN)) != 0 || text[ORIGIN_BYTES - 1] != '\n') {
        return false;
    }
    memcpy(digits, text + strlen(ORIGIN), 2 * MOS_HASH_BYTES);
    digits[2 * MOS_HASH_BYTES] = 0;
    return mos_hex_decode(digits, out, MOS_HASH_BYTES);
}

mos_status mos_keyring_parse(const char *text, size_t size_bytes, mos_keyring **out, struct mos_error *error) {
    size_t header = strlen(HEADER);
    uint8_t origin[MOS_HASH_BYTES];
    if (size_bytes > MOS_KEYRING_LIMIT_BYTES || size_bytes < header || memcmp(text, HEADER, header) != 0) {
        return mos_fail(error, MOS_CORRUPT, "the keyring does not begin with the line 'mosaajii-keyring 1'");
    }
    bool has_origin = parse_origin(text + header, size_bytes - header, origin);
    header += has_origin ? ORIGIN_BYTES : 0;
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
            size_t number = keyring->count + 2 + has_origin;
            free(version->reference);
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
    keyring->has_origin = has_origin;
    if (has_origin) {
        memcpy(keyring->origin, origin, sizeof(origin));
    }
    *out = keyring;
    return MOS_OK;
}

static mos_status decode(const uint8_t *data, size_t size_bytes, const char *path, const char *passphrase, mos_keyring **out,
                         struct mos_error *error) {
    if (!mos_passphrase_sealed(data, size_bytes)) {
        mos_status status = mos_keyring_parse((const char *)data, size_bytes, out, error);
        if (status == MOS_OK) {
            set_passphrase(*out, passphrase);
            (*out)->lay_open = true;
        }
        return status;
    }
    if (!passphrase || !*passphrase) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the keyring %s is sealed: MOSAAJII_KEYRING_PASSPHRASE must hold its passphrase",
                        path);
    }
    mos_status status = mos_keyring_unseal(data, size_bytes, passphrase, out, error);
    if (status != MOS_OK) {
        return mos_fail_context(error, "the keyring %s does not open", path);
    }
    set_passphrase(*out, passphrase);
    return MOS_OK;
}

mos_status mos_keyring_unseal(const uint8_t *data, size_t size_bytes, const char *passphrase, mos_keyring **out, struct mos_error *error) {
    uint8_t *plain = NULL;
    size_t plain_bytes = 0;
    mos_status status = mos_passphrase_open(passphrase, data, size_bytes, &plain, &plain_bytes, error);
    if (status == MOS_OK) {
        status = mos_keyring_parse((const char *)plain, plain_bytes, out, error);
        mos_secret_free(plain, plain_bytes);
    }
    return status;
}

mos_status mos_keyring_load(const char *path, mos_keyring **out, struct mos_error *error) {
    return mos_keyring_load_sealed(path, NULL, out, error);
}

bool mos_keyring_should_be_sealed(const mos_keyring *keyring) {
    return keyring->lay_open && keyring->passphrase;
}

mos_status mos_keyring_load_sealed(const char *path, const char *passphrase, mos_keyring **out, struct mos_error *error) {
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
        result = decode((const uint8_t *)text, size, path, passphrase, out, error);
    }
    mos_secret_free(text, capacity);
    if (result == MOS_OK) {
        set_file(*out, path, &status);
    }
    return result;
}

static void format_versions(const mos_keyring *keyring, struct mos_buffer *buffer) {
    for (size_t i = 0; i < keyring->count; i++) {
        char created[MOS_TIME_TEXT_BYTES];
        char digits[KEY_HEX + 1];
        mos_time_format(keyring->versions[i].created_unix_ns, created);
        mos_hex_encode(keyring->keys[i].bytes, MOS_KEY_BYTES, digits);
        mos_buffer_printf(buffer, "%u %s %s %s\n", keyring->versions[i].number, keyring->versions[i].active ? "active" : "decrypt-only",
                          created, keyring->versions[i].reference ? keyring->versions[i].reference : digits);
        mos_wipe(digits, sizeof(digits));
    }
}

// The text in one piece, so that growing leaves no copies behind. Wipe it with wipe_text.
static void make_text(const mos_keyring *keyring, const uint8_t *origin, struct mos_buffer *text) {
    size_t size_bytes = strlen(HEADER) + ORIGIN_BYTES + 1;
    for (size_t i = 0; i < keyring->count; i++) {
        size_bytes += 160 + (keyring->versions[i].reference ? strlen(keyring->versions[i].reference) : 0);
    }
    mos_buffer_reserve(text, size_bytes);
    mos_buffer_append_text(text, HEADER);
    if (origin) {
        char digits[2 * MOS_HASH_BYTES + 1];
        mos_hex_encode(origin, MOS_HASH_BYTES, digits);
        mos_buffer_printf(text, ORIGIN "%s\n", digits);
    }
    format_versions(keyring, text);
}

static void wipe_text(struct mos_buffer *text) {
    mos_wipe(text->data, text->capacity_bytes);
    mos_buffer_free(text);
}

// What could not be read back must not take the place of what can.
static mos_status readable_text(const mos_keyring *keyring, const uint8_t *origin, struct mos_buffer *text, struct mos_error *error) {
    mos_keyring *back = NULL;
    struct mos_error cause = {0};
    make_text(keyring, origin, text);
    if (text->size_bytes + MOS_PASSPHRASE_MORE_BYTES > MOS_KEYRING_LIMIT_BYTES ||
        mos_keyring_parse((const char *)text->data, text->size_bytes, &back, &cause) != MOS_OK) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "a keyring with these versions could not be read back: %s",
                        *cause.message ? cause.message : "it is larger than 1 MiB");
    }
    mos_keyring_free(back);
    return MOS_OK;
}

mos_status mos_keyring_text(const mos_keyring *keyring, struct mos_buffer *out, struct mos_error *error) {
    return readable_text(keyring, keyring->has_origin ? keyring->origin : NULL, out, error);
}

const uint8_t *mos_keyring_origin(const mos_keyring *keyring) {
    return keyring->has_origin ? keyring->origin : NULL;
}

void mos_keyring_digest(const mos_keyring *keyring, uint8_t out_digest[MOS_HASH_BYTES]) {
    struct mos_buffer text = {0};
    make_text(keyring, NULL, &text);
    mos_sha256(text.data, text.size_bytes, out_digest);
    wipe_text(&text);
}

mos_status mos_keyring_seal(const mos_keyring *keyring, const char *passphrase, const uint8_t *origin, struct mos_buffer *out,
                            struct mos_error *error) {
    struct mos_buffer text = {0};
    mos_status status = readable_text(keyring, origin, &text, error);
    status = status == MOS_OK ? mos_passphrase_seal(passphrase, text.data, text.size_bytes, out, error) : status;
    wipe_text(&text);
    return status;
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

// `replace` false: the file must not exist yet, which link() decides, not a look beforehand. `out_file`: how it looks now.
static mos_status save(const mos_keyring *keyring, const char *path, bool replace, struct stat *out_file, struct mos_error *error) {
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
    mos_status status = keyring->passphrase ? mos_keyring_seal(keyring, keyring->passphrase, NULL, &text, error)
                                            : readable_text(keyring, NULL, &text, error);
    if (status != MOS_OK) {
        wipe_text(&text);
        unlink(tmp);
        return status;
    }
    bool done = write_all(descriptor, text.data, text.size_bytes) == MOS_OK && fsync(descriptor) == 0;
    wipe_text(&text);
    if (done) {
        done = replace ? rename(tmp, path) == 0 : link(tmp, path) == 0;
    }
    int errnum = errno;
    if (!done || !replace) {
        unlink(tmp);
    }
    if (done && fstat(descriptor, out_file) != 0) {
        *out_file = (struct stat){0};
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

mos_status mos_keyring_save(const mos_keyring *keyring, const char *path, struct mos_error *error) {
    struct stat file;
    return save(keyring, path, true, &file, error);
}

static void add_version(mos_keyring *keyring, uint32_t number, const char *reference) {
    struct version *version = &keyring->versions[keyring->count];
    *version = (struct version){.number = number, .active = true, .created_unix_ns = mos_now_unix_ns()};
    if (reference && *reference) {
        version->reference = mos_strdup(reference);
    } else {
        mos_random(keyring->keys[keyring->count].bytes, MOS_KEY_BYTES);
    }
    keyring->count++;
}

static mos_status check_reference(const char *reference, struct mos_error *error) {
    return !reference || !*reference || reference_valid(reference)
               ? MOS_OK
               : mos_fail(error, MOS_INVALID_ARGUMENT, "\"%.100s\" names no key of a KMS: allowed is aws:<key> or vault:<key>", reference);
}

mos_status mos_keyring_make(const char *path, const char *passphrase, const char *reference, mos_keyring **out, struct mos_error *error) {
    mos_status status = check_reference(reference, error);
    if (status != MOS_OK) {
        return status;
    }
    mos_keyring *keyring = keyring_create(1);
    set_passphrase(keyring, passphrase);
    add_version(keyring, 1, reference);
    struct stat file;
    status = save(keyring, path, false, &file, error);
    if (status != MOS_OK) {
        mos_keyring_free(keyring);
        return status;
    }
    set_file(keyring, path, &file);
    *out = keyring;
    return MOS_OK;
}

mos_status mos_keyring_create(const char *path, mos_keyring **out, struct mos_error *error) {
    return mos_keyring_make(path, NULL, NULL, out, error);
}

static mos_keyring *copy(const mos_keyring *keyring, size_t more) {
    mos_keyring *next = keyring_create(keyring->count + more);
    memcpy(next->keys, keyring->keys, keyring->count * sizeof(*keyring->keys));
    for (next->count = 0; next->count < keyring->count; next->count++) {
        next->versions[next->count] = keyring->versions[next->count];
        const char *reference = keyring->versions[next->count].reference;
        next->versions[next->count].reference = reference ? mos_strdup(reference) : NULL;
    }
    next->service = keyring->service;
    set_passphrase(next, keyring->passphrase);
    return next;
}

static size_t position_of(const mos_keyring *keyring, uint32_t version) {
    size_t at = 0;
    while (at < keyring->count && keyring->versions[at].number != version) {
        at++;
    }
    return at;
}

// The versions at these positions are the same key under the same number.
static bool same_key(const mos_keyring *ours, size_t our, const mos_keyring *theirs, size_t their) {
    const char *one = ours->versions[our].reference;
    const char *other = theirs->versions[their].reference;
    return ours->versions[our].number == theirs->versions[their].number &&
           (one || other ? one && other && strcmp(one, other) == 0
                         : mos_secret_equal(ours->keys[our].bytes, theirs->keys[their].bytes, MOS_KEY_BYTES));
}

mos_status mos_keyring_reread(const mos_keyring *keyring, uint32_t version, mos_keyring **out, struct mos_error *error) {
    mos_keyring *now = NULL;
    if (!keyring->path) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "the keyring stands in no file");
    }
    mos_status status = mos_keyring_load_sealed(keyring->path, keyring->passphrase, &now, error);
    if (status != MOS_OK) {
        return status;
    }
    size_t our = position_of(keyring, version);
    size_t their = position_of(now, version);
    if (our == keyring->count || their == now->count || !same_key(keyring, our, now, their)) {
        mos_fail(error, MOS_FAILED_PRECONDITION, "the keyring %s holds version %u of the key no longer%s", keyring->path, version,
                 their < now->count ? ", but another key under its number" : "");
        mos_keyring_free(now);
        return MOS_FAILED_PRECONDITION;
    }
    now->service = keyring->service;
    *out = now;
    return MOS_OK;
}

static bool untouched(const mos_keyring *keyring) {
    struct stat now;
    const struct stat *then = &keyring->file;
    return stat(keyring->path, &now) == 0 && now.st_dev == then->st_dev && now.st_ino == then->st_ino && now.st_size == then->st_size &&
           now.st_mtim.tv_sec == then->st_mtim.tv_sec && now.st_mtim.tv_nsec == then->st_mtim.tv_nsec;
}

mos_status mos_keyring_still_holds(const mos_keyring *keyring, uint32_t version, struct mos_error *error) {
    mos_keyring *now = NULL;
    if (!keyring->path || untouched(keyring)) {
        return MOS_OK;
    }
    mos_status status = mos_keyring_reread(keyring, version, &now, error);
    mos_keyring_free(now);
    return status;
}

// The lock keeps others out; this is for whoever does not know of it, and for a lock that somebody removed.
static mos_status check_unchanged(const mos_keyring *keyring, const char *path, struct mos_error *error) {
    mos_keyring *now = NULL;
    mos_status status = mos_keyring_load_sealed(path, keyring->passphrase, &now, error);
    if (status != MOS_OK) {
        return status;
    }
    bool same = now->count == keyring->count;
    for (size_t i = 0; i < keyring->count && same; i++) {
        same = same_key(keyring, i, now, i) && keyring->versions[i].active == now->versions[i].active;
    }
    mos_keyring_free(now);
    return same ? MOS_OK
                : mos_fail(error, MOS_FAILED_PRECONDITION,
                           "the keyring %s was changed by somebody else meanwhile: nothing was written to it", path);
}

// Writes `next` and puts it in the place of `keyring`. On disk first: a key that nobody can find again must never wrap anything.
static mos_status replace(mos_keyring *keyring, mos_keyring *next, const char *path, struct mos_error *error) {
    struct stat file;
    mos_status status = check_unchanged(keyring, path, error);
    status = status == MOS_OK ? save(next, path, true, &file, error) : status;
    if (status == MOS_OK) {
        set_file(next, path, &file);
        mos_keyring old = *keyring;
        *keyring = *next;
        *next = old;
    }
    mos_keyring_free(next);
    return status;
}

mos_status mos_keyring_add(mos_keyring *keyring, const char *path, const char *reference, uint32_t above, struct mos_error *error) {
    if (keyring->count == MOS_KEYRING_MAX_VERSIONS) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "the keyring holds %d versions already", MOS_KEYRING_MAX_VERSIONS);
    }
    mos_status status = check_reference(reference, error);
    if (status != MOS_OK) {
        return status;
    }
    uint32_t last = keyring->versions[keyring->count - 1].number;
    last = last > above ? last : above;
    if (last >= MOS_KEYRING_LARGEST_VERSION) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "no key version can follow version %u: %d is the largest number", last,
                        MOS_KEYRING_LARGEST_VERSION);
    }
    mos_keyring *next = copy(keyring, 1);
    for (size_t i = 0; i < next->count; i++) {
        next->versions[i].active = false;
    }
    add_version(next, last + 1, reference);
    return replace(keyring, next, path, error);
}

mos_status mos_keyring_rotate(mos_keyring *keyring, const char *path, struct mos_error *error) {
    return mos_keyring_add(keyring, path, NULL, 0, error);
}

static void remove_at(mos_keyring *keyring, size_t at) {
    free(keyring->versions[at].reference);
    memmove(&keyring->versions[at], &keyring->versions[at + 1], (keyring->count - at - 1) * sizeof(*keyring->versions));
    memmove(&keyring->keys[at], &keyring->keys[at + 1], (keyring->count - at - 1) * sizeof(*keyring->keys));
    keyring->count--;
    mos_key_wipe(&keyring->keys[keyring->count]);
}

mos_status mos_keyring_retire(mos_keyring *keyring, const char *path, uint32_t version, struct mos_error *error) {
    size_t at = position_of(keyring, version);
    if (at == keyring->count) {
        return mos_fail(error, MOS_NOT_FOUND, "the keyring holds no version %u", version);
    }
    if (keyring->versions[at].active) {
        return mos_fail(error, MOS_FAILED_PRECONDITION, "version %u is the active one; rotate the key first", version);
    }
    if (version > mos_keyring_active_version(keyring) && version <= MOS_KEYRING_LARGEST_VERSION) {
        return mos_fail(error, MOS_FAILED_PRECONDITION,
                        "version %u is newer than the active one, and its number would be given again; rotate the key first", version);
    }
    mos_keyring *next = copy(keyring, 0);
    remove_at(next, at);
    return replace(keyring, next, path, error);
}

// Keeps the versions in order of their numbers.
static void insert(mos_keyring *keyring, const struct version *version, const struct mos_key *key) {
    size_t at = keyring->count;
    while (at > 0 && keyring->versions[at - 1].number > version->number) {
        at--;
    }
    memmove(&keyring->versions[at + 1], &keyring->versions[at], (keyring->count - at) * sizeof(*version));
    memmove(&keyring->keys[at + 1], &keyring->keys[at], (keyring->count - at) * sizeof(*key));
    keyring->versions[at] = *version;
    keyring->versions[at].active = false;
    keyring->versions[at].reference = version->reference ? mos_strdup(version->reference) : NULL;
    keyring->keys[at] = *key;
    keyring->count++;
}

bool mos_keyring_shares(const mos_keyring *keyring, const mos_keyring *other) {
    for (size_t i = 0; i < other->count; i++) {
        size_t at = position_of(keyring, other->versions[i].number);
        if (at < keyring->count && !other->versions[i].reference && same_key(keyring, at, other, i)) {
            return true;
        }
    }
    return false;
}

static mos_status take_over(mos_keyring *next, const mos_keyring *other, size_t i, size_t *inout_added, struct mos_error *error) {
    const struct version *theirs = &other->versions[i];
    size_t at = position_of(next, theirs->number);
    if (theirs->number > MOS_KEYRING_LARGEST_VERSION) {
        return mos_fail(error, MOS_INVALID_ARGUMENT, "the copy holds a version %u: allowed is 1 to %d", theirs->number,
                        MOS_KEYRING_LARGEST_VERSION);
    }
    if (at < next->count) {
        return same_key(next, at, other, i)
                   ? MOS_OK
                   : mos_fail(error, MOS_ALREADY_EXISTS, "version %u of the copy is another key than the one of this keyring",
                              theirs->number);
    }
    if (next->count == MOS_KEYRING_MAX_VERSIONS) {
        return mos_fail(error, MOS_RESOURCE_EXHAUSTED, "with the versions of the copy the keyring would hold more than %d of them",
                        MOS_KEYRING_MAX_VERSIONS);
    }
    insert(next, theirs, &other->keys[i]);
    ++*inout_added;
    return MOS_OK;
}

mos_status mos_keyring_join(const mos_keyring *keyring, const mos_keyring *other, mos_keyring **out, size_t *out_added,
                            struct mos_error *error) {
    mos_keyring *next = copy(keyring, other->count);
    mos_status status = MOS_OK;
    *out_added = 0;
    for (size_t i = 0; i < other->count && status == MOS_OK; i++) {
        status = take_over(next, other, i, out_added, error);
    }
    if (status != MOS_OK) {
        mos_keyring_free(next);
        return status;
    }
    *out = next;
    return MOS_OK;
}

mos_status mos_keyring_merge(mos_keyring *keyring, const mos_keyring *other, const char *path, size_t *out_added, struct mos_error *error) {
    mos_keyring *next = NULL;
    mos_status status = mos_keyring_join(keyring, other, &next, out_added, error);
    return status == MOS_OK ? replace(keyring, next, path, error) : status;
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
        if (keyring->versions[i].number == version && !keyring->versions[i].reference) {
            return &keyring->keys[i];
        }
    }
    return NULL;
}

size_t mos_keyring_count(const mos_keyring *keyring) {
    return keyring->count;
}

bool mos_keyring_has(const mos_keyring *keyring, uint32_t version) {
    return position_of(keyring, version) < keyring->count;
}

const char *mos_keyring_reference(const mos_keyring *keyring, uint32_t version) {
    size_t at = position_of(keyring, version);
    return at < keyring->count ? keyring->versions[at].reference : NULL;
}

struct mos_keyring_version mos_keyring_at(const mos_keyring *keyring, size_t index) {
    const struct version *version = &keyring->versions[index];
    return (struct mos_keyring_version){version->number, version->active, version->created_unix_ns, version->reference};
}

void mos_keyring_key_id(const mos_keyring *keyring, uint32_t version, char out_key_id[32]) {
    const char *reference = mos_keyring_reference(keyring, version);
    const char *provider = !mos_keyring_has(keyring, version) ? "unknown" : !reference ? "local" : reference[0] == 'a' ? "aws" : "vault";
    snprintf(out_key_id, 32, "%s/%u", provider, version);
}

void mos_keyring_set_service(mos_keyring *keyring, const struct mos_key_service *service) {
    keyring->service = service;
}

const struct mos_key_service *mos_keyring_service(const mos_keyring *keyring) {
    return keyring->service;
}

#include "control/audit/chain.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"

#define PURPOSE "mosaajii audit entry 1"
#define CHECKPOINT_PURPOSE "mosaajii audit checkpoint 1"
#define OBJECT_MAGIC "MAUD\1\0"

_Static_assert(MOS_AUDIT_HASH_BYTES == crypto_hash_sha256_BYTES, "entries are bound by their SHA-256");
_Static_assert(MOS_AUDIT_PUBLIC_KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(MOS_AUDIT_SECRET_KEY_BYTES == crypto_sign_SECRETKEYBYTES, "Ed25519");
_Static_assert(MOS_AUDIT_SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519");

static void put_number(uint8_t out[8], uint64_t number) {
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(number >> (8 * i));
    }
}

static uint64_t take_number(const uint8_t data[8]) {
    uint64_t number = 0;
    for (int i = 7; i >= 0; i--) {
        number = number << 8 | data[i];
    }
    return number;
}

// ---- Entries ----

// With its length before it, so that no two lists of texts look alike.
static void hash_text(crypto_hash_sha256_state *state, const char *text) {
    uint8_t length[8];
    put_number(length, strlen(text));
    crypto_hash_sha256_update(state, length, sizeof(length));
    crypto_hash_sha256_update(state, (const unsigned char *)text, strlen(text));
}

void mos_audit_hash(const struct mos_audit_entry *entry, uint8_t out_hash[MOS_AUDIT_HASH_BYTES]) {
    crypto_hash_sha256_state state;
    uint8_t number[8];
    crypto_hash_sha256_init(&state);
    hash_text(&state, PURPOSE);
    crypto_hash_sha256_update(&state, entry->previous, sizeof(entry->previous));
    put_number(number, (uint64_t)entry->sequence);
    crypto_hash_sha256_update(&state, number, sizeof(number));
    const char *const texts[] = {entry->time, entry->actor, entry->ip_address, entry->action, entry->resource, entry->result};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        hash_text(&state, texts[i]);
    }
    put_number(number, entry->detail_count);
    crypto_hash_sha256_update(&state, number, sizeof(number));
    for (size_t i = 0; i < entry->detail_count; i++) {
        hash_text(&state, entry->details[i].name);
        hash_text(&state, entry->details[i].value);
    }
    crypto_hash_sha256_final(&state, out_hash);
}

size_t mos_audit_sort_details(struct mos_audit_detail *details, size_t count) {
    size_t sorted = 0;
    for (size_t i = 0; i < count; i++) {
        struct mos_audit_detail detail = details[i];
        size_t place = sorted;
        while (place > 0 && strcmp(details[place - 1].name, detail.name) > 0) {
            place--;
        }
        if (place > 0 && strcmp(details[place - 1].name, detail.name) == 0) {
            details[place - 1] = detail;
            continue;
        }
        memmove(&details[place + 1], &details[place], (sorted - place) * sizeof(detail));
        details[place] = detail;
        sorted++;
    }
    return sorted;
}

void mos_audit_append_details(struct mos_buffer *out, const struct mos_audit_entry *entry) {
    mos_buffer_append_byte(out, '{');
    for (size_t i = 0; i < entry->detail_count; i++) {
        mos_buffer_append_text(out, i > 0 ? "," : "");
        mos_json_append_text(out, entry->details[i].name);
        mos_buffer_append_byte(out, ':');
        mos_json_append_text(out, entry->details[i].value);
    }
    mos_buffer_append_byte(out, '}');
}

bool mos_audit_take_details(const struct mos_json *json, mos_arena *arena, struct mos_audit_entry *out) {
    size_t count = 0;
    out->details = NULL;
    out->detail_count = 0;
    if (!json || json->kind != MOS_JSON_OBJECT) {
        return false;
    }
    for (const struct mos_json *member = json->first; member; member = member->next) {
        count++;
    }
    struct mos_audit_detail *details = mos_arena_array(arena, struct mos_audit_detail, count + 1);
    if (!details) {
        return false;
    }
    count = 0;
    for (const struct mos_json *member = json->first; member; member = member->next) {
        if (member->kind != MOS_JSON_STRING) {
            return false;
        }
        details[count++] = (struct mos_audit_detail){member->name, member->string};
    }
    out->details = details;
    out->detail_count = mos_audit_sort_details(details, count);
    return true;
}

// ---- Checkpoints ----

bool mos_audit_new_key(uint8_t out_secret[MOS_AUDIT_SECRET_KEY_BYTES]) {
    uint8_t public_key[MOS_AUDIT_PUBLIC_KEY_BYTES];
    return sodium_init() >= 0 && crypto_sign_keypair(public_key, out_secret) == 0;
}

uint8_t *mos_audit_secret_alloc(void) {
    return sodium_init() >= 0 ? sodium_malloc(MOS_AUDIT_SECRET_KEY_BYTES) : NULL;
}

void mos_audit_secret_free(uint8_t *secret) {
    sodium_free(secret);
}

void mos_audit_wipe(void *memory, size_t size_bytes) {
    sodium_memzero(memory, size_bytes);
}

struct signed_part {
    uint8_t bytes[sizeof(CHECKPOINT_PURPOSE) + 8 + 8 + MOS_AUDIT_HASH_BYTES];
};

static struct signed_part signed_part(const struct mos_audit_checkpoint *checkpoint) {
    struct signed_part part;
    memcpy(part.bytes, CHECKPOINT_PURPOSE, sizeof(CHECKPOINT_PURPOSE));
    put_number(part.bytes + sizeof(CHECKPOINT_PURPOSE), (uint64_t)checkpoint->sequence);
    put_number(part.bytes + sizeof(CHECKPOINT_PURPOSE) + 8, (uint64_t)checkpoint->unix_ns);
    memcpy(part.bytes + sizeof(CHECKPOINT_PURPOSE) + 16, checkpoint->hash, sizeof(checkpoint->hash));
    return part;
}

void mos_audit_sign(struct mos_audit_checkpoint *checkpoint, const uint8_t secret[MOS_AUDIT_SECRET_KEY_BYTES]) {
    struct signed_part part = signed_part(checkpoint);
    crypto_sign_ed25519_sk_to_pk(checkpoint->public_key, secret);
    crypto_sign_detached(checkpoint->signature, NULL, part.bytes, sizeof(part.bytes), secret);
}

bool mos_audit_signed(const struct mos_audit_checkpoint *checkpoint) {
    struct signed_part part = signed_part(checkpoint);
    return crypto_sign_verify_detached(checkpoint->signature, part.bytes, sizeof(part.bytes), checkpoint->public_key) == 0;
}

void mos_audit_sign_bytes(const void *data, size_t size_bytes, const uint8_t secret[MOS_AUDIT_SECRET_KEY_BYTES],
                          uint8_t out_signature[MOS_AUDIT_SIGNATURE_BYTES], uint8_t out_public_key[MOS_AUDIT_PUBLIC_KEY_BYTES]) {
    crypto_sign_ed25519_sk_to_pk(out_public_key, secret);
    crypto_sign_detached(out_signature, NULL, data, size_bytes, secret);
}

bool mos_audit_bytes_signed(const void *data, size_t size_bytes, const uint8_t signature[MOS_AUDIT_SIGNATURE_BYTES],
                            const uint8_t public_key[MOS_AUDIT_PUBLIC_KEY_BYTES]) {
    return crypto_sign_verify_detached(signature, data, size_bytes, public_key) == 0;
}

void mos_audit_encode_checkpoint(const struct mos_audit_checkpoint *checkpoint, uint8_t out_object[MOS_AUDIT_OBJECT_BYTES]) {
    uint8_t *next = out_object;
    memcpy(next, OBJECT_MAGIC, 6);
    put_number(next + 6, (uint64_t)checkpoint->sequence);
    put_number(next + 14, (uint64_t)checkpoint->unix_ns);
    next += 22;
    memcpy(next, checkpoint->hash, sizeof(checkpoint->hash));
    next += sizeof(checkpoint->hash);
    memcpy(next, checkpoint->public_key, sizeof(checkpoint->public_key));
    memcpy(next + sizeof(checkpoint->public_key), checkpoint->signature, sizeof(checkpoint->signature));
}

bool mos_audit_decode_checkpoint(const uint8_t *object, size_t size_bytes, struct mos_audit_checkpoint *out) {
    if (size_bytes != MOS_AUDIT_OBJECT_BYTES || memcmp(object, OBJECT_MAGIC, 6) != 0) {
        return false;
    }
    out->sequence = (int64_t)take_number(object + 6);
    out->unix_ns = (int64_t)take_number(object + 14);
    const uint8_t *next = object + 22;
    memcpy(out->hash, next, sizeof(out->hash));
    next += sizeof(out->hash);
    memcpy(out->public_key, next, sizeof(out->public_key));
    memcpy(out->signature, next + sizeof(out->public_key), sizeof(out->signature));
    return out->sequence > 0;
}

// ---- The export ----

static void append_hex(struct mos_buffer *out, const char *name, const uint8_t *data, size_t size_bytes) {
    char text[2 * MOS_AUDIT_SIGNATURE_BYTES + 1];
    mos_hex_encode(data, size_bytes, text);
    mos_buffer_printf(out, ",\"%s\":\"%s\"", name, text);
}

void mos_audit_append_entry(struct mos_buffer *out, const struct mos_audit_entry *entry) {
    const char *const names[] = {"time", "actor", "ipAddress", "action", "resource", "result"};
    const char *const texts[] = {entry->time, entry->actor, entry->ip_address, entry->action, entry->resource, entry->result};
    mos_buffer_printf(out, "{\"entry\":%lld", (long long)entry->sequence);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mos_buffer_printf(out, ",\"%s\":", names[i]);
        mos_json_append_text(out, texts[i]);
    }
    mos_buffer_append_text(out, ",\"details\":");
    mos_audit_append_details(out, entry);
    append_hex(out, "previous", entry->previous, sizeof(entry->previous));
    append_hex(out, "hash", entry->hash, sizeof(entry->hash));
    mos_buffer_append_text(out, "}\n");
}

void mos_audit_append_checkpoint(struct mos_buffer *out, const struct mos_audit_checkpoint *checkpoint) {
    // The time to the nanosecond is part of what is signed, so it stands here as a number, in a text: JSON's own numbers are too coarse.
    mos_buffer_printf(out, "{\"checkpoint\":%lld,\"unixNanoseconds\":\"%lld\"", (long long)checkpoint->sequence,
                      (long long)checkpoint->unix_ns);
    append_hex(out, "hash", checkpoint->hash, sizeof(checkpoint->hash));
    append_hex(out, "publicKey", checkpoint->public_key, sizeof(checkpoint->public_key));
    append_hex(out, "signature", checkpoint->signature, sizeof(checkpoint->signature));
    mos_buffer_append_text(out, "}\n");
}

static bool take_sequence(const struct mos_json *json, const char *name, int64_t *out) {
    const struct mos_json *member = mos_json_member(json, name);
    if (!member || member->kind != MOS_JSON_NUMBER || !(member->number >= 1 && member->number < 9007199254740992.0)) {
        return false;
    }
    *out = (int64_t)member->number;
    return true;
}

static bool take_hex(const struct mos_json *json, const char *name, uint8_t *out, size_t size_bytes) {
    const char *text = mos_json_text(json, name);
    return text && mos_hex_decode(text, out, size_bytes);
}

enum { ENTRY_MEMBERS = 10, CHECKPOINT_MEMBERS = 5 };

static bool take_entry(const struct mos_json *json, mos_arena *arena, struct mos_audit_entry *out) {
    const char *const names[] = {"time", "actor", "ipAddress", "action", "resource", "result"};
    const char **const texts[] = {&out->time, &out->actor, &out->ip_address, &out->action, &out->resource, &out->result};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i] = mos_json_text(json, names[i]);
        if (!*texts[i]) {
            return false;
        }
    }
    return take_sequence(json, "entry", &out->sequence) && mos_audit_take_details(mos_json_member(json, "details"), arena, out) &&
           take_hex(json, "previous", out->previous, sizeof(out->previous)) && take_hex(json, "hash", out->hash, sizeof(out->hash));
}

static bool take_checkpoint(const struct mos_json *json, struct mos_audit_checkpoint *out) {
    const char *time = mos_json_text(json, "unixNanoseconds");
    char *end = NULL;
    out->unix_ns = time && *time ? strtoll(time, &end, 10) : 0;
    return end && *end == 0 && take_sequence(json, "checkpoint", &out->sequence) && take_hex(json, "hash", out->hash, sizeof(out->hash)) &&
           take_hex(json, "publicKey", out->public_key, sizeof(out->public_key)) &&
           take_hex(json, "signature", out->signature, sizeof(out->signature));
}

bool mos_audit_parse_line(const char *line, size_t size_bytes, mos_arena *arena, struct mos_audit_line *out) {
    *out = (struct mos_audit_line){0};
    const struct mos_json *json = mos_json_parse(arena, line, size_bytes);
    out->is_checkpoint = mos_json_member(json, "checkpoint") != NULL;
    if (!(out->is_checkpoint ? take_checkpoint(json, &out->checkpoint) : take_entry(json, arena, &out->entry))) {
        return false;
    }
    // A member more would stand in the trail without being vouched for.
    size_t members = 0;
    for (const struct mos_json *member = json->first; member; member = member->next) {
        members++;
    }
    return members == (out->is_checkpoint ? CHECKPOINT_MEMBERS : ENTRY_MEMBERS);
}

// ---- Verification ----

void mos_audit_verify_begin(struct mos_audit_verifier *verifier, int64_t after_sequence, const uint8_t *after_hash, const uint8_t *key) {
    *verifier = (struct mos_audit_verifier){.sequence = after_sequence, .vouched = after_sequence};
    verifier->open_start = after_sequence > 0 && !after_hash;
    if (after_hash) {
        memcpy(verifier->hash, after_hash, sizeof(verifier->hash));
    }
    if (key) {
        verifier->has_key = true;
        memcpy(verifier->key, key, sizeof(verifier->key));
    }
}

static void complain(struct mos_audit_verifier *verifier, int64_t sequence, const char *what) {
    if (verifier->first_bad == 0) {
        verifier->first_bad = sequence;
        snprintf(verifier->message, sizeof(verifier->message), "entry %lld %s", (long long)sequence, what);
    }
}

void mos_audit_verify_entry(struct mos_audit_verifier *verifier, const struct mos_audit_entry *entry) {
    uint8_t hash[MOS_AUDIT_HASH_BYTES];
    mos_audit_hash(entry, hash);
    bool whole = memcmp(hash, entry->hash, sizeof(hash)) == 0;
    verifier->entries++;
    if (entry->sequence <= verifier->sequence) {
        // Comes late. If it is the one that was missed, it was not removed but moved.
        if (verifier->missing == entry->sequence && verifier->first_bad == entry->sequence && whole &&
            memcmp(entry->previous, verifier->missing_previous, sizeof(hash)) == 0) {
            snprintf(verifier->message, sizeof(verifier->message), "entry %lld was moved", (long long)entry->sequence);
        } else {
            complain(verifier, entry->sequence, "stands in a place that is not its own");
        }
        return;
    }
    if (entry->sequence != verifier->sequence + 1) {
        if (verifier->first_bad == 0) {
            verifier->missing = verifier->sequence + 1;
            memcpy(verifier->missing_previous, verifier->hash, sizeof(verifier->missing_previous));
        }
        complain(verifier, verifier->sequence + 1, "is missing: it was removed or moved");
    } else if (!verifier->open_start && memcmp(entry->previous, verifier->hash, sizeof(hash)) != 0) {
        // Whole in itself, it shows that the one before is not what it was; else it was changed itself.
        complain(verifier, whole && verifier->sequence > 0 ? verifier->sequence : entry->sequence,
                 whole && verifier->sequence > 0 ? "was altered: the one behind it was written behind another one" : "was altered");
    }
    if (!whole) {
        complain(verifier, entry->sequence, "was altered");
    }
    verifier->open_start = false;
    verifier->sequence = entry->sequence;
    memcpy(verifier->hash, entry->hash, sizeof(verifier->hash));
}

void mos_audit_verify_checkpoint(struct mos_audit_verifier *verifier, const struct mos_audit_checkpoint *checkpoint) {
    verifier->checkpoints++;
    int64_t next = verifier->vouched + 1;
    if (!verifier->has_key) {
        verifier->has_key = true;
        memcpy(verifier->key, checkpoint->public_key, sizeof(verifier->key));
    }
    if (memcmp(verifier->key, checkpoint->public_key, sizeof(verifier->key)) != 0) {
        complain(verifier, next, "and those behind it are vouched for with another key");
    } else if (!mos_audit_signed(checkpoint)) {
        complain(verifier, next, "and those behind it have a checkpoint whose signature is false");
    } else if (checkpoint->sequence > verifier->sequence) {
        complain(verifier, verifier->sequence + 1, "is missing: it was signed for and is not there");
    } else if (checkpoint->sequence < verifier->sequence) {
        complain(verifier, next, "or one behind it has a checkpoint that stands in a place that is not its own");
    } else if (!verifier->open_start && memcmp(checkpoint->hash, verifier->hash, sizeof(verifier->hash)) != 0) {
        complain(verifier, next, "or one behind it was rewritten: what was signed had another hash");
    }
    if (checkpoint->sequence > verifier->vouched) {
        verifier->vouched = checkpoint->sequence;
    }
}

void mos_audit_verify_nonsense(struct mos_audit_verifier *verifier) {
    complain(verifier, verifier->sequence + 1, "cannot be read");
}

void mos_audit_verify_end(struct mos_audit_verifier *verifier, bool must_be_signed) {
    if (must_be_signed && verifier->first_bad == 0 && verifier->vouched < verifier->sequence) {
        complain(verifier, verifier->vouched + 1, "and those behind it are not signed for: the end of the trail may be missing");
    }
}

// The audit trail as a chain: each entry holds the hash of the one before, and signed checkpoints say how far the chain had come. What is
// here needs no catalog and no server, so that an export can be checked anywhere. Thread safe.
#ifndef MOS_CONTROL_AUDIT_CHAIN_H
#define MOS_CONTROL_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/json.h"

enum {
    MOS_AUDIT_HASH_BYTES = 32,
    MOS_AUDIT_PUBLIC_KEY_BYTES = 32,
    MOS_AUDIT_SECRET_KEY_BYTES = 64,
    MOS_AUDIT_SIGNATURE_BYTES = 64,
    // Of a checkpoint as an object beside the backups.
    MOS_AUDIT_OBJECT_BYTES = 6 + 8 + 8 + MOS_AUDIT_HASH_BYTES + MOS_AUDIT_PUBLIC_KEY_BYTES + MOS_AUDIT_SIGNATURE_BYTES,
    MOS_AUDIT_MOST_DETAILS = 32,
};

struct mos_audit_detail {
    const char *name;
    const char *value;
};

struct mos_audit_entry {
    // From 1, without a gap.
    int64_t sequence;
    // RFC 3339 with milliseconds; what is hashed is this text.
    const char *time;
    // User id, token name, subject of a certificate, or "system".
    const char *actor;
    const char *ip_address;
    const char *action;
    const char *resource;
    // Name of a status.
    const char *result;
    // In order of their names, none twice.
    const struct mos_audit_detail *details;
    size_t detail_count;
    // Zero in the first entry.
    uint8_t previous[MOS_AUDIT_HASH_BYTES];
    uint8_t hash[MOS_AUDIT_HASH_BYTES];
};

// Over all fields but the hash itself.
void mos_audit_hash(const struct mos_audit_entry *entry, uint8_t out_hash[MOS_AUDIT_HASH_BYTES]);
// Details by name; of two with one name the later goes. Answers how many are left.
size_t mos_audit_sort_details(struct mos_audit_detail *details, size_t count);
// {"a":"b",…}, as the catalog keeps them.
void mos_audit_append_details(struct mos_buffer *out, const struct mos_audit_entry *entry);
// And back, from the JSON object; false where it is none, or the arena's ceiling is reached.
bool mos_audit_take_details(const struct mos_json *json, mos_arena *arena, struct mos_audit_entry *out);

struct mos_audit_checkpoint {
    // The entry it vouches for, and with it all before.
    int64_t sequence;
    int64_t unix_ns;
    uint8_t hash[MOS_AUDIT_HASH_BYTES];
    uint8_t public_key[MOS_AUDIT_PUBLIC_KEY_BYTES];
    uint8_t signature[MOS_AUDIT_SIGNATURE_BYTES];
};

// A new signing key (Ed25519). false where libsodium does not start.
bool mos_audit_new_key(uint8_t out_secret[MOS_AUDIT_SECRET_KEY_BYTES]);
// Fills in the public key and the signature.
void mos_audit_sign(struct mos_audit_checkpoint *checkpoint, const uint8_t secret[MOS_AUDIT_SECRET_KEY_BYTES]);
// Whether the signature is that of the public key in it. Whose key it is, is another question.
bool mos_audit_signed(const struct mos_audit_checkpoint *checkpoint);
// The same for any bytes, as a report.
void mos_audit_sign_bytes(const void *data, size_t size_bytes, const uint8_t secret[MOS_AUDIT_SECRET_KEY_BYTES],
                          uint8_t out_signature[MOS_AUDIT_SIGNATURE_BYTES], uint8_t out_public_key[MOS_AUDIT_PUBLIC_KEY_BYTES]);
bool mos_audit_bytes_signed(const void *data, size_t size_bytes, const uint8_t signature[MOS_AUDIT_SIGNATURE_BYTES],
                            const uint8_t public_key[MOS_AUDIT_PUBLIC_KEY_BYTES]);
// Room for a secret key, kept out of swap and core dumps where the system allows it; wiped when it is freed. NULL where libsodium does not
// start.
uint8_t *mos_audit_secret_alloc(void);
void mos_audit_secret_free(uint8_t *secret);
void mos_audit_wipe(void *memory, size_t size_bytes);
void mos_audit_encode_checkpoint(const struct mos_audit_checkpoint *checkpoint, uint8_t out_object[MOS_AUDIT_OBJECT_BYTES]);
bool mos_audit_decode_checkpoint(const uint8_t *object, size_t size_bytes, struct mos_audit_checkpoint *out);

// ---- The export: one JSON object a line ----

void mos_audit_append_entry(struct mos_buffer *out, const struct mos_audit_entry *entry);
void mos_audit_append_checkpoint(struct mos_buffer *out, const struct mos_audit_checkpoint *checkpoint);

struct mos_audit_line {
    bool is_checkpoint;
    struct mos_audit_entry entry;
    struct mos_audit_checkpoint checkpoint;
};
// false where the line is neither an entry nor a checkpoint. What *out points to lives in the arena.
bool mos_audit_parse_line(const char *line, size_t size_bytes, mos_arena *arena, struct mos_audit_line *out);

// ---- Verification ----

// Takes entries and checkpoints in the order of the trail. Entries may be made in memory that is gone before the next one.
struct mos_audit_verifier {
    // The last entry that was taken.
    int64_t sequence;
    uint8_t hash[MOS_AUDIT_HASH_BYTES];
    // The entry before that is known only by its place: an export that does not begin with the first entry.
    bool open_start;
    // The last that a checkpoint vouched for.
    int64_t vouched;
    // Whose checkpoints count; the first one's where nothing else was asked for.
    bool has_key;
    uint8_t key[MOS_AUDIT_PUBLIC_KEY_BYTES];
    int64_t entries;
    int64_t checkpoints;
    // 0: all fits so far.
    int64_t first_bad;
    char message[256];
    // The entry that was missing when its place came, and what came before it.
    int64_t missing;
    uint8_t missing_previous[MOS_AUDIT_HASH_BYTES];
};

// From the entry behind `after_sequence`, whose hash is not known where `after_hash` is NULL. `key`: NULL where any signer will do.
void mos_audit_verify_begin(struct mos_audit_verifier *verifier, int64_t after_sequence, const uint8_t *after_hash, const uint8_t *key);
void mos_audit_verify_entry(struct mos_audit_verifier *verifier, const struct mos_audit_entry *entry);
void mos_audit_verify_checkpoint(struct mos_audit_verifier *verifier, const struct mos_audit_checkpoint *checkpoint);
// What is no line of a trail at all.
void mos_audit_verify_nonsense(struct mos_audit_verifier *verifier);
// The end: whether what was signed is all there, and what is there is signed.
void mos_audit_verify_end(struct mos_audit_verifier *verifier, bool must_be_signed);

#endif

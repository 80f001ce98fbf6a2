// A line of an audit export: whatever it holds, parsing and verifying end, and what parses comes back the same.
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "control/audit/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    MOS_CLEANUP_ARENA mos_arena *arena = mos_arena_create(1 << 20);
    MOS_CLEANUP_BUFFER struct mos_buffer text = MOS_BUFFER_INIT(0);
    struct mos_audit_line line;
    struct mos_audit_checkpoint checkpoint;
    mos_audit_decode_checkpoint(data, size, &checkpoint);
    if (!mos_audit_parse_line((const char *)data, size, arena, &line)) {
        return 0;
    }
    struct mos_audit_verifier verifier;
    mos_audit_verify_begin(&verifier, 0, NULL, NULL);
    if (line.is_checkpoint) {
        mos_audit_verify_checkpoint(&verifier, &line.checkpoint);
        return 0;
    }
    mos_audit_verify_entry(&verifier, &line.entry);
    struct mos_audit_line again;
    uint8_t hash[MOS_AUDIT_HASH_BYTES], other[MOS_AUDIT_HASH_BYTES];
    mos_audit_append_entry(&text, &line.entry);
    if (!mos_audit_parse_line((const char *)text.data, text.size_bytes - 1, arena, &again)) {
        // The arena's ceiling may be reached by the second time.
        return 0;
    }
    mos_audit_hash(&line.entry, hash);
    mos_audit_hash(&again.entry, other);
    if (memcmp(hash, other, sizeof(hash)) != 0) {
        abort();
    }
    return 0;
}

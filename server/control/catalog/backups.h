// Backups in the catalog.
#ifndef MOS_CONTROL_CATALOG_BACKUPS_H
#define MOS_CONTROL_CATALOG_BACKUPS_H

#include <stddef.h>

#include "control/catalog/catalog.h"
#include "control/catalog/words.h"

struct mos_backup {
    const char *id;
    const char *name;
    enum mos_backup_type type;
    enum mos_backup_status status;
    int64_t created_at_unix_ns;
    // Committed or failed.
    int64_t completed_at_unix_ns;
    int64_t size_bytes;
    int64_t encrypted_size_bytes;
    const char *key_id;
    const char *checksum;
    // "" until the backup is committed.
    const char *encrypted_checksum;
    const char *location;
    const char *encrypted_location;
    int32_t retention_days;
    const char *const *tags;
    size_t tag_count;
    int64_t warnings;
    const char *message;
    // What was asked for; data is encrypted at rest in any case.
    bool encryption_asked;
    bool compressed;
    bool integrity_check;
    const char *parent_id;
    // The last verification that ran to its end, and whether it found damage.
    int64_t verified_at_unix_ns;
    bool damaged;
    const char *created_by;
    // Nobody may delete it before this time, nor while it is held. 0: not locked.
    int64_t locked_until_unix_ns;
    bool legal_hold;
    // What the engine said of it when it was committed.
    struct mos_blob facts;
    // Whoever asked for it wants no copy offsite.
    bool local_only;
    // Its data, or a part of it, lies offsite only: a restore brings it back first.
    bool absent;
    // Read only: a put leaves them as they are (mos_catalog_quarantine_backup). "" where it is not quarantined.
    bool quarantined;
    const char *quarantine_reason;
};

// Inserts the backup or replaces all of it.
mos_status mos_catalog_put_backup(mos_catalog_session *session, const struct mos_backup *backup, struct mos_error *error);
// MOS_NOT_FOUND, with a message that names the id.
mos_status mos_catalog_get_backup(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_backup *out,
                                  struct mos_error *error);
// Its jobs and their events stay. No error where there is none.
mos_status mos_catalog_remove_backup(mos_catalog_session *session, const char *id, struct mos_error *error);

struct mos_backup_filter {
    // 0: any.
    enum mos_backup_type type;
    enum mos_backup_status status;
    // Backups with any of these; none: all.
    char *const *tags;
    size_t tag_count;
    // Later, and earlier, than these; 0: no bound.
    int64_t created_after_unix_ns;
    int64_t created_before_unix_ns;
};
// *out_next_token is "" on the last page.
mos_status mos_catalog_list_backups(mos_catalog_session *session, const struct mos_backup_filter *filter, const struct mos_page *page,
                                    mos_arena *arena, struct mos_backup **out, size_t *out_count, const char **out_next_token,
                                    struct mos_error *error);
mos_status mos_catalog_count_backups(mos_catalog_session *session, int64_t *out_count, struct mos_error *error);
// Committed backups whose data key is wrapped by this key version.
mos_status mos_catalog_count_backups_of_key(mos_catalog_session *session, const char *key_id, int64_t *out_count, struct mos_error *error);
// Calls `visit` for the committed, undamaged backups of a type (0: any), newest first, until it returns false. What it is given lives until
// it returns.
mos_status mos_catalog_good_backups(mos_catalog_session *session, enum mos_backup_type type,
                                    bool (*visit)(const struct mos_backup *backup, void *argument), void *argument,
                                    struct mos_error *error);
// Committed backups whose data key is wrapped by another version than this.
mos_status mos_catalog_count_backups_not_of_key(mos_catalog_session *session, const char *key_id, int64_t *out_count,
                                                struct mos_error *error);
// No error where there is no such backup.
mos_status mos_catalog_set_backup_key(mos_catalog_session *session, const char *id, const char *key_id, struct mos_error *error);
// No error where there is no such backup.
mos_status mos_catalog_set_backup_absent(mos_catalog_session *session, const char *id, bool absent, struct mos_error *error);
// Ids of all that are so; in the arena.
mos_status mos_catalog_absent_backups(mos_catalog_session *session, mos_arena *arena, char ***out, size_t *out_count,
                                      struct mos_error *error);
// The newest committed, undamaged backup of a type. *out_found is false where there is none.
mos_status mos_catalog_newest_backup(mos_catalog_session *session, enum mos_backup_type type, mos_arena *arena, struct mos_backup *out,
                                     bool *out_found, struct mos_error *error);

#endif

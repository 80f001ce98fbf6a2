// Copies of backups at other places, what was done to them, and which objects lie there.
//
// A place is the URL of a location. A copy's list of objects is what a location needs for it, as a packed mosaajii.engine.v1.BackupObjects;
// it is read and written apart from the row, for it may be long.
#ifndef MOS_CONTROL_CATALOG_OFFSITE_H
#define MOS_CONTROL_CATALOG_OFFSITE_H

#include <stddef.h>

#include "control/catalog/backups.h"
#include "control/catalog/catalog.h"

// The numbers are those of the public API.
enum mos_copy_status {
    MOS_COPY_PENDING = 1,
    MOS_COPY_UPLOADING,
    MOS_COPY_COMPLETED,
    MOS_COPY_FAILED,
    MOS_COPY_ARCHIVED,
    MOS_COPY_DELETED,
    MOS_COPY_RETRYING,
};

enum mos_copy_action {
    MOS_COPY_UPLOAD = 1,
    MOS_COPY_DOWNLOAD,
    MOS_COPY_DELETE,
    MOS_COPY_VERIFY,
    MOS_COPY_REPLICATE,
};

const char *mos_copy_status_word(int status);
const char *mos_copy_action_word(int action);
const char *mos_provider_word(int provider);
int mos_copy_status_from_word(const char *word);
int mos_copy_action_from_word(const char *word);
// By the words of OFFSITE_PROVIDER; 0 for another.
int mos_provider_from_word(const char *word);

struct mos_copy {
    const char *id;
    const char *backup_id;
    const char *place;
    // As the public API numbers providers.
    int provider;
    enum mos_copy_status status;
    int64_t created_at_unix_ns;
    const char *created_by;
    int64_t uploaded_at_unix_ns;
    int64_t size_bytes;
    // SHA-256 of the manifest; "" until that is there.
    const char *checksum;
    // Without a policy; 0: as long as the backup's own say.
    int32_t retention_days;
    const char *policy;
    int64_t expires_at_unix_ns;
    int64_t locked_until_unix_ns;
    const char *message;
    int64_t objects_total;
    int64_t objects_done;
    int64_t attempts;
    int64_t next_attempt_unix_ns;
    // The secondary location is to have it too.
    bool replicate;
    // The provider refuses to delete it: told once, and not tried again by itself.
    bool refused;
    // As the facts of its backup say, once that was looked at: it is known when the backup is gone here. 0: not known.
    uint64_t source;
};

// Inserts the copy or replaces all of it but its objects.
mos_status mos_catalog_put_copy(mos_catalog_session *session, const struct mos_copy *copy, struct mos_error *error);
// MOS_NOT_FOUND, with a message that names the id.
mos_status mos_catalog_get_copy(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_copy *out,
                                struct mos_error *error);
// The newest copy of the backup at the place, whatever its status; *out_found is false where there is none.
mos_status mos_catalog_find_copy(mos_catalog_session *session, const char *backup_id, const char *place, mos_arena *arena,
                                 struct mos_copy *out, bool *out_found, struct mos_error *error);
mos_status mos_catalog_put_copy_objects(mos_catalog_session *session, const char *id, struct mos_blob objects, struct mos_error *error);
mos_status mos_catalog_get_copy_objects(mos_catalog_session *session, const char *id, mos_arena *arena, struct mos_blob *out,
                                        struct mos_error *error);

struct mos_copy_filter {
    // 0, NULL and "": any.
    int provider;
    enum mos_copy_status status;
    const char *backup_id;
    int64_t uploaded_after_unix_ns;
};
mos_status mos_catalog_list_copies(mos_catalog_session *session, const struct mos_copy_filter *filter, const struct mos_page *page,
                                   mos_arena *arena, struct mos_copy **out, size_t *out_count, const char **out_next_token,
                                   struct mos_error *error);
// Calls `visit` for all copies at the place (NULL: at all places) that are not deleted, oldest first, until it returns false.
mos_status mos_catalog_each_copy(mos_catalog_session *session, const char *place,
                                 bool (*visit)(const struct mos_copy *copy, void *argument), void *argument, struct mos_error *error);
// The places, comma separated, where a whole copy of the backup lies: with its own wrapped key, so that it can still be opened. "" where
// there is none.
mos_status mos_catalog_places_of(mos_catalog_session *session, const char *backup_id, mos_arena *arena, const char **out,
                                 struct mos_error *error);
// The copy at the place that is to be worked on next: waiting, cut off or begun, and due. *out_found is false where there is none; then
// *out_next_unix_ns is when the next one is, 0 where none waits.
mos_status mos_catalog_due_copy(mos_catalog_session *session, const char *place, int64_t now_unix_ns, mos_arena *arena,
                                struct mos_copy *out, bool *out_found, int64_t *out_next_unix_ns, struct mos_error *error);
// When the oldest backup was made that should be at the place and is not; 0: all are. Without those whose copy at another place (`unless`;
// "": none) is not to be replicated.
mos_status mos_catalog_oldest_missing(mos_catalog_session *session, const char *place, const char *unless, int64_t *out_unix_ns,
                                      struct mos_error *error);
// Committed backups that may leave and never had a copy at the place, `limit` at most, oldest first. Without those whose copy at another
// place (`unless`; "": none) is not to be replicated.
mos_status mos_catalog_backups_without_copy(mos_catalog_session *session, const char *place, const char *unless, int limit,
                                            mos_arena *arena, struct mos_backup **out, size_t *out_count, struct mos_error *error);
// Copies that wait or are being sent at other places than these two ("": none) get the status FAILED and this message: nobody sends them.
mos_status mos_catalog_give_up_copies(mos_catalog_session *session, const char *place, const char *other, const char *message,
                                      struct mos_error *error);
// Copies, complete or to be made complete again, whose backup the catalog knows no more, and whose data key is wrapped by this version.
mos_status mos_catalog_count_lone_copies(mos_catalog_session *session, uint32_t key_version, int64_t *out_count, struct mos_error *error);

struct mos_copy_access {
    const char *id;
    const char *copy_id;
    const char *actor;
    enum mos_copy_action action;
    int64_t time_unix_ns;
    const char *ip_address;
    bool success;
    const char *details;
};
mos_status mos_catalog_add_access(mos_catalog_session *session, const struct mos_copy_access *access, struct mos_error *error);
// Newest last, `limit` of the newest at most.
mos_status mos_catalog_list_access(mos_catalog_session *session, const char *copy_id, int limit, mos_arena *arena,
                                   struct mos_copy_access **out, size_t *out_count, struct mos_error *error);

struct mos_offsite_policy {
    const char *name;
    int32_t retention_days;
    int32_t archive_after_days;
};
mos_status mos_catalog_list_policies(mos_catalog_session *session, mos_arena *arena, struct mos_offsite_policy **out, size_t *out_count,
                                     struct mos_error *error);
// MOS_NOT_FOUND for a name that is none.
mos_status mos_catalog_update_policy(mos_catalog_session *session, const struct mos_offsite_policy *policy, struct mos_error *error);

// An object that is at the place, whole, as its checksum said.
struct mos_place_object {
    const char *name;
    int64_t size_bytes;
    uint8_t sha256[32];
    int64_t locked_until_unix_ns;
};
mos_status mos_catalog_put_place_object(mos_catalog_session *session, const char *place, const struct mos_place_object *object,
                                        struct mos_error *error);
mos_status mos_catalog_remove_place_object(mos_catalog_session *session, const char *place, const char *name, struct mos_error *error);
// *out_found is false where it is not known to be there.
mos_status mos_catalog_get_place_object(mos_catalog_session *session, const char *place, const char *name, mos_arena *arena,
                                        struct mos_place_object *out, bool *out_found, struct mos_error *error);
mos_status mos_catalog_count_place_objects(mos_catalog_session *session, const char *place, int64_t *out_count, int64_t *out_bytes,
                                           struct mos_error *error);

// A copy of the whole catalog as a file of its own, which must not be there. Blocks; others read and write meanwhile.
mos_status mos_catalog_copy_to(mos_catalog *catalog, const char *path, struct mos_error *error);

#endif

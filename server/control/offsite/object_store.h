// Where copies offsite lie: objects with a name each, written once, in a bucket, a container or a folder.
//
// A store is safe for several threads: every call may run beside every other, also on one store. Calls block until they are done, fail or
// are called off. Names are relative to the store's prefix. A name is 1 to 512 characters of a-z, A-Z, 0-9, '.', '_' and '-', in parts
// that '/' separates; no part is empty, "." or "..", and no name may be a folder of another one. What else lies under the prefix is never
// touched, and no list shows it.
//
// Whether the same call may succeed later, is said by the status:
//   UNAVAILABLE         no connection, cut, a fault of the server (5xx)     again, after a pause
//   DEADLINE_EXCEEDED   nothing moved for options.timeout_ms                again
//   RESOURCE_EXHAUSTED  the server asks to be called more slowly            again, after a longer pause
//   ABORTED             another call was changing the same object           again
//   NO_SPACE            quota or disk full                                  when somebody has made room
//   CORRUPT             bytes changed on the way, or are not those that their checksum tells                  once more at most
//   NOT_FOUND           no such object                                      no
//   ALREADY_EXISTS      put: other bytes lie there under the name           no
//   UNAUTHENTICATED     credentials that the server does not know, or a host that is not whom we know         no
//   PERMISSION_DENIED   known, but not allowed                              no
//   FAILED_PRECONDITION no such bucket, wrong settings; object is locked, or archived and must be thawed first  no
//   UNIMPLEMENTED       the store has no such capability                    no
//   CANCELLED           call->over said so                                  no
// A missing bucket is never NOT_FOUND, so that nobody takes it for a missing object. No error holds a credential.
//
// A call that failed may have been done all the same (the answer was cut): every call may be repeated. What was half written is never
// seen by get, head and list, and is removed by the store itself or by mos_store_sweep.
#ifndef MOS_CONTROL_OFFSITE_OBJECT_STORE_H
#define MOS_CONTROL_OFFSITE_OBJECT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/settings.h"
#include "common/status.h"

enum { MOS_STORE_NAME_LIMIT = 512, MOS_STORE_HASH_BYTES = 32 };

typedef struct mos_store mos_store;

enum mos_store_provider {
    MOS_STORE_LOCAL_REMOTE,
    MOS_STORE_S3,
    MOS_STORE_AZURE_BLOB,
    MOS_STORE_GOOGLE_CLOUD,
    MOS_STORE_SFTP,
    // In this process alone; for tests.
    MOS_STORE_MEMORY,
    MOS_STORE_PROVIDERS,
};

// "S3" and the like, as in OFFSITE_PROVIDER.
const char *mos_store_provider_name(enum mos_store_provider provider);
bool mos_store_provider_from_name(const char *name, enum mos_store_provider *out);

// What a store is opened with. All text is borrowed during mos_store_open only; NULL and "" mean the default. Secrets are wiped when the
// store is closed.
struct mos_store_options {
    enum mos_store_provider provider;
    // Container for AZURE_BLOB, absolute path for LOCAL_REMOTE and SFTP.
    const char *bucket;
    const char *region;
    // https://host[:port], where the provider's own is not meant; http:// only on loopback. SFTP: host[:port].
    const char *endpoint;
    const char *prefix;
    // Authorities that certificates are checked against, PEM; default: those of the system.
    const char *ca_file;

    // S3
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token;
    // The bucket stands in the host's name also where an endpoint is given; without an endpoint it always does.
    bool virtual_host;
    // Class that objects are written with; default: the bucket's own. Also AZURE_BLOB (access tier) and GOOGLE_CLOUD.
    const char *storage_class;
    // Class that mos_store_archive moves to; default GLACIER, Archive, ARCHIVE.
    const char *archive_class;
    // Locks may be lifted by those whom the bucket's owner allows to. S3: GOVERNANCE in place of COMPLIANCE; Azure: Unlocked for Locked.
    bool soft_lock;

    // AZURE_BLOB: the account with its key or with a shared access signature.
    const char *account;
    const char *account_key;
    const char *sas_token;

    // GOOGLE_CLOUD: file of a service account. Without one nothing is signed, which only emulators take.
    const char *credentials_file;

    // SFTP
    const char *user;
    const char *private_key_file;
    const char *password;
    const char *known_hosts_file;

    // How long nothing may move before a call fails; default 30000.
    int timeout_ms;
    // Objects beyond this go in parts of this size; default 8 MiB. LOCAL_REMOTE and SFTP know no parts.
    int64_t part_bytes;
    // Parts of one object at a time; default 4.
    int parallel_parts;
    // MEMORY: stores with the same name share their objects while one of them is open.
    const char *memory_name;
};

// The options of the default location (OFFSITE_*) or of the secondary one (OFFSITE_REPLICA_*). They borrow from the settings.
// MOS_FAILED_PRECONDITION where the provider is not set; the error's field names a setting that is missing or wrong.
mos_status mos_store_options_from_settings(const mos_settings *settings, bool replica, struct mos_store_options *out,
                                           struct mos_error *error);
// From a location as mos_store_location says it, with credentials from the settings:
//   file:///path[/prefix…]   the whole is the path
//   s3://bucket[/prefix][?region=…&endpoint=https://…]
//   azure://container[/prefix][?account=…&endpoint=…]
//   gs://bucket[/prefix][?endpoint=…]
//   sftp://[user@]host[:port]/path   the whole is the path
// A password in the location is refused. What is made lives in the arena.
mos_status mos_store_options_from_location(const mos_settings *settings, const char *location, mos_arena *arena,
                                           struct mos_store_options *out, struct mos_error *error);

// Checks the options and makes the store; talks to nobody yet (see mos_store_probe). *out is the caller's, to be closed.
mos_status mos_store_open(mos_store **out, const struct mos_store_options *options, struct mos_error *error);
// No call may be running. NULL is allowed.
void mos_store_close(mos_store *store);

static inline void mos_store_cleanup(mos_store **store) {
    mos_store_close(*store);
}
#define MOS_CLEANUP_STORE __attribute__((cleanup(mos_store_cleanup)))

enum mos_store_provider mos_store_provider_of(const mos_store *store);
// Without credentials. Borrowed.
const char *mos_store_location(const mos_store *store);

struct mos_store_capabilities {
    // head tells a SHA-256 that the server vouches for, so that a copy is verified without reading it.
    bool server_checksum;
    // mos_store_retain, and put's retain_until_unix_ns. The bucket must be set up for it; that shows with the first put.
    bool retention;
    // mos_store_archive and mos_store_thaw.
    bool archive;
    // Of two puts of one name at the same time, with different bytes, one is refused; else the later one may win.
    bool exclusive_put;
    int64_t largest_object_bytes;
};
const struct mos_store_capabilities *mos_store_capabilities_of(const mos_store *store);

// What goes with a call. NULL for none of it.
struct mos_store_call {
    // Asked often, from any thread that works for the call; once true, the call ends soon with MOS_CANCELLED and leaves nothing behind.
    bool (*over)(void *argument);
    // Told of bytes as they move, from any such thread; what is sent again counts again.
    void (*moved)(void *argument, int64_t bytes);
    void *argument;
};

// What put sends: `size_bytes` from `offset_bytes` of a descriptor that can be read at any place (pread), or, where `data` is not NULL,
// memory. Both stay the caller's.
struct mos_store_source {
    const void *data;
    int descriptor;
    int64_t offset_bytes;
    int64_t size_bytes;
    uint8_t sha256[MOS_STORE_HASH_BYTES];
};

struct mos_store_put_options {
    // Nobody may delete or change the object before; 0: no lock.
    int64_t retain_until_unix_ns;
};

struct mos_store_put_result {
    // The same bytes were there already, and nothing was written; they were left with the retention that they have.
    bool existed;
    // How sure it is that what lies there has the SHA-256 of the source.
    enum mos_store_checksum {
        // Nothing tells: of an object that existed, only its size was compared.
        MOS_STORE_CHECKSUM_NONE,
        // The writer of the object said so, and the bytes were protected on the way.
        MOS_STORE_CHECKSUM_WRITER,
        // The server has computed it, or one that stands for it, from the bytes that it has.
        MOS_STORE_CHECKSUM_SERVER,
    } checksum;
};

// Writes an object that is not there yet, whole or not at all. MOS_OK with `existed` where an object of that name, size and (where one
// is told) SHA-256 is there; MOS_ALREADY_EXISTS where another one is. MOS_CORRUPT, and nothing written, where the source does not have the
// SHA-256 that is given. A lock that was asked for is looked at before put says MOS_OK: where the server has not set it, the object is
// deleted again, with MOS_FAILED_PRECONDITION. `options`, `out` and `call` may be NULL.
mos_status mos_store_put(mos_store *store, const char *name, const struct mos_store_source *source,
                         const struct mos_store_put_options *options, struct mos_store_put_result *out, const struct mos_store_call *call,
                         struct mos_error *error);

// Takes what get brings, in order. Anything but MOS_OK ends the get with that status.
typedef mos_status (*mos_store_sink)(void *argument, const void *data, size_t size_bytes, struct mos_error *error);

// `size_bytes` from `offset_bytes`; -1: to the end. MOS_OUT_OF_RANGE where the object is shorter than that, or ends at an `offset_bytes`
// that is not 0. The bytes are as they came: who needs to be sure compares their SHA-256.
mos_status mos_store_get(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, mos_store_sink sink,
                         void *sink_argument, const struct mos_store_call *call, struct mos_error *error);
// Into a descriptor, from its beginning on (pwrite); the whole object, whose SHA-256 must be `sha256` where that is not NULL
// (MOS_CORRUPT otherwise).
mos_status mos_store_get_file(mos_store *store, const char *name, int descriptor, const uint8_t *sha256, const struct mos_store_call *call,
                              struct mos_error *error);
// Appended to a buffer, whose limit holds (MOS_RESOURCE_EXHAUSTED).
struct mos_buffer;
mos_status mos_store_get_buffer(mos_store *store, const char *name, int64_t offset_bytes, int64_t size_bytes, struct mos_buffer *out,
                                const struct mos_store_call *call, struct mos_error *error);

struct mos_store_object {
    char name[MOS_STORE_NAME_LIMIT + 1];
    int64_t size_bytes;
    // 0: unknown.
    int64_t modified_unix_ns;
    // From here on told by head only.
    enum mos_store_checksum checksum;
    uint8_t sha256[MOS_STORE_HASH_BYTES];
    // 0: not locked.
    int64_t retained_until_unix_ns;
    // get works on READY alone; one that is THAWING will be READY by and by.
    enum mos_store_state { MOS_STORE_READY, MOS_STORE_ARCHIVED, MOS_STORE_THAWING } state;
    // The provider's own word; empty where there is none.
    char storage_class[32];
};

mos_status mos_store_head(mos_store *store, const char *name, struct mos_store_object *out, const struct mos_store_call *call,
                          struct mos_error *error);

struct mos_store_page {
    // Ascending by name, byte by byte. Live in the arena.
    struct mos_store_object *objects;
    size_t count;
    // Pass it to get the next page; NULL: this was the last. A page may be empty and yet not be the last.
    const char *next;
};

// Objects whose name begins with `prefix` ("" for all), at most `limit` (1 to 1000) of them. `after` is the `next` of the page before, NULL
// for the first. Objects that come or go meanwhile may be seen or not; all others are seen exactly once.
mos_status mos_store_list(mos_store *store, const char *prefix, const char *after, int limit, mos_arena *arena, struct mos_store_page *out,
                          const struct mos_store_call *call, struct mos_error *error);

// MOS_OK where there is none, too. MOS_FAILED_PRECONDITION where a lock holds it.
mos_status mos_store_delete(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error);

// Locks an object until then, or longer where it is locked for longer already: locks only grow.
mos_status mos_store_retain(mos_store *store, const char *name, int64_t until_unix_ns, const struct mos_store_call *call,
                            struct mos_error *error);

// Moves an object to the archive class, and looks whether it is there. MOS_OK where it was before. MOS_FAILED_PRECONDITION where the server
// knows no such class, or takes the request and does not move it.
mos_status mos_store_archive(mos_store *store, const char *name, const struct mos_store_call *call, struct mos_error *error);
// Asks for an archived object to be made READY for some days. MOS_OK where it is READY or THAWING.
mos_status mos_store_thaw(mos_store *store, const char *name, int days, const struct mos_store_call *call, struct mos_error *error);

// The bucket is there and may be listed with these credentials.
mos_status mos_store_probe(mos_store *store, const struct mos_store_call *call, struct mos_error *error);

// Removes what puts that died have left behind (parts and temporary files) and is older than `age_seconds`; never an object.
mos_status mos_store_sweep(mos_store *store, int64_t age_seconds, int *out_removed, const struct mos_store_call *call,
                           struct mos_error *error);

bool mos_store_name_valid(const char *name);

#endif

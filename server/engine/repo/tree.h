// The tree of a backup: one entry a path, in path order, with all metadata and where the content lies.
//
// Path order compares byte by byte with '/' below every other byte: a folder comes right before its content. Paths of files are absolute;
// an entry without a slash is a database by its name, and comes after all files.
#ifndef MOS_ENGINE_REPO_TREE_H
#define MOS_ENGINE_REPO_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "engine/repo/repository.h"

#define MOS_TREE_PATH_LIMIT_BYTES (64u << 10)
#define MOS_TREE_NAME_LIMIT_BYTES 255u
#define MOS_TREE_OWNER_LIMIT_BYTES 255u
#define MOS_TREE_XATTRS_LIMIT_BYTES (1u << 20)
#define MOS_TREE_XATTR_VALUE_LIMIT_BYTES (64u << 10)
#define MOS_TREE_RANGES_LIMIT (1u << 16)
// Extents that stand in the entry itself; longer lists are stored apart.
#define MOS_TREE_INLINE_EXTENTS 4096u
// The same numbers as mosaajii.engine.v1.Entry.Type.
enum mos_entry_type {
    MOS_ENTRY_FILE = 1,
    MOS_ENTRY_DIRECTORY = 2,
    MOS_ENTRY_SYMLINK = 3,
    MOS_ENTRY_HARDLINK = 4,
    MOS_ENTRY_CHARACTER_DEVICE = 5,
    MOS_ENTRY_BLOCK_DEVICE = 6,
    MOS_ENTRY_FIFO = 7,
    MOS_ENTRY_SOCKET = 8,
    MOS_ENTRY_DATABASE = 9,
};

// `length_bytes` bytes from `offset_bytes` of a chunk's plaintext.
struct mos_extent {
    struct mos_chunk_id chunk;
    uint32_t offset_bytes;
    uint32_t length_bytes;
};

struct mos_range {
    uint64_t offset_bytes;
    uint64_t length_bytes;
};

struct mos_xattr {
    // Ends with a zero that is not counted anywhere.
    const char *name;
    const uint8_t *value;
    size_t value_bytes;
};

struct mos_entry {
    // Ends with a zero that is not part of path_bytes.
    const char *path;
    size_t path_bytes;
    enum mos_entry_type type;
    // Permission bits with setuid, setgid and sticky: 07777.
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    // Names of owner and group where they had one, else "".
    const char *user;
    const char *group;
    int64_t modified_unix_ns;
    int64_t changed_unix_ns;
    uint64_t inode;
    uint64_t device;
    // Of FILE and DATABASE: logical size, holes included; 0 for the others.
    uint64_t size_bytes;
    // Of SYMLINK: what it holds, any bytes. Of HARDLINK: the path of the name that has the content, which stands earlier in the tree.
    const char *link_target;
    size_t link_target_bytes;
    // Of the devices.
    uint32_t device_major;
    uint32_t device_minor;
    // ACLs stand here as their system.posix_acl_* attributes. In order of name.
    const struct mos_xattr *xattrs;
    size_t xattr_count;
    // A sparse file: where its data lies, ascending, not touching; everything else is a hole. The content is then these ranges one after
    // the other. Not sparse: the content is size_bytes long.
    bool sparse;
    const struct mos_range *ranges;
    size_t range_count;
    // The content, in order. When read: only where the list is short; mos_tree_extents gives any. Their lengths add up to the content's.
    const struct mos_extent *extents;
    size_t extent_count;
    // Reading only: chunks that hold a long list of extents. Zero otherwise.
    const struct mos_chunk_id *lists;
    size_t list_count;
};

// Below, at or above zero, as memcmp.
int mos_path_compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes);
// A file's path ("/", or absolute without empty, "." and ".." components, names of at most 255 bytes) or a database's name (no slash, not
// "." or ".."); no zero byte, at most MOS_TREE_PATH_LIMIT_BYTES.
bool mos_path_valid(const char *path, size_t path_bytes);
// Everything the format asks of an entry. MOS_INVALID_ARGUMENT with one sentence.
mos_status mos_entry_check(const struct mos_entry *entry, struct mos_error *error);

// A copy with everything it points to, in one allocation: the caller's, to be freed with free. *out_bytes (may be NULL): what it takes.
struct mos_entry *mos_entry_copy(const struct mos_entry *entry, size_t *out_bytes);

#endif

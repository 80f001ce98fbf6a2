// Makes repositories that no writer of ours would make, with the real keys: mos_hostile DIR. Below DIR stand `keyring`, and for each kind
// of hostility a repository of its name with one backup. Links lead to DIR/outside.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "engine/repo/files.h"
#include "engine/repo/manifest.h"
#include "engine/repo/moved.h"
#include "engine/repo/repository_internal.h"
#include "engine/repo/tree.h"

#define BACKUP "01890a5d-ac96-774b-bcce-b302099a8057"

enum { FLAG_SAME_OWNER = 1, FLAG_SPARSE = 2, FLAG_XATTRS = 4, FLAG_LISTS = 8 };

static char top[3000];

static void must(mos_status status, const struct mos_error *error) {
    if (status != MOS_OK) {
        fprintf(stderr, "mos_hostile: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
}

// One repository in the making: a pack, the chunks in it, and the tree that the manifest will name.
struct repo {
    mos_repository *repository;
    struct mos_key key;
    mos_pack_writer *writer;
    struct mos_pack pack;
    // Of the tree chunk at hand.
    struct mos_buffer ids;
    size_t id_count;
    struct mos_buffer entries;
    size_t entry_count;
    // What the chunk says of itself where it lies; -1: the truth.
    int64_t told_ids;
    int64_t told_entries;
    struct mos_chunk_id tree;
};

static void begin(struct repo *repo, const char *name, mos_keyring *keyring) {
    struct mos_error error = {0};
    char path[4096];
    *repo = (struct repo){.told_ids = -1, .told_entries = -1};
    snprintf(path, sizeof(path), "%s/%s", top, name);
    must(mos_repository_create(path, keyring, &repo->repository, &error), &error);
    mos_random(repo->key.bytes, sizeof(repo->key.bytes));
    must(mos_pack_writer_begin(repo->repository->root, &repo->writer, &error), &error);
}

static struct mos_chunk_id put(struct repo *repo, uint8_t flags, const void *data, size_t size_bytes, size_t plain_bytes) {
    struct mos_error error = {0};
    struct mos_chunk_id id;
    mos_chunk_id_of(repo->repository->keys, data, size_bytes, &id);
    must(mos_pack_writer_append(repo->writer, &id, flags, data, size_bytes, plain_bytes, &error), &error);
    return id;
}

static void refer(struct repo *repo, const struct mos_chunk_id *id) {
    mos_buffer_append(&repo->ids, id->bytes, sizeof(id->bytes));
    repo->id_count++;
}

// The part of an entry that all have.
static void entry(struct repo *repo, const char *path, uint8_t type, uint64_t flags) {
    struct mos_buffer *out = &repo->entries;
    mos_append_varint(out, 0);
    mos_append_string(out, path, strlen(path));
    mos_buffer_append_byte(out, type);
    mos_append_varint(out, flags);
    mos_append_varint(out, type == MOS_ENTRY_DIRECTORY ? 0755 : 0644);
    if (!(flags & FLAG_SAME_OWNER)) {
        mos_append_varint(out, 0);
        mos_append_varint(out, 0);
        mos_append_string(out, "root", 4);
        mos_append_string(out, "root", 4);
    }
    for (int i = 0; i < 2; i++) {
        mos_append_svarint(out, 1000000000);
        mos_append_varint(out, 0);
    }
    mos_append_varint(out, repo->entry_count + 1);
    mos_append_varint(out, 1);
    repo->entry_count++;
}

static void directory(struct repo *repo, const char *path) {
    entry(repo, path, MOS_ENTRY_DIRECTORY, 0);
}

static void link_to(struct repo *repo, const char *path, uint8_t type, const char *target) {
    entry(repo, path, type, 0);
    mos_append_string(&repo->entries, target, strlen(target));
}

static const char evil[] = "written where it should not be";

// A file whose content is `evil`.
static void file(struct repo *repo, const char *path) {
    struct mos_chunk_id id = put(repo, 0, evil, sizeof(evil), sizeof(evil));
    refer(repo, &id);
    entry(repo, path, MOS_ENTRY_FILE, 0);
    mos_append_varint(&repo->entries, sizeof(evil));
    mos_append_varint(&repo->entries, 1);
    // The next chunk; offset and length told.
    mos_append_varint(&repo->entries, 1 << 2);
    mos_append_varint(&repo->entries, 0);
    mos_append_varint(&repo->entries, sizeof(evil));
}

static void put_tree(struct repo *repo) {
    MOS_CLEANUP_BUFFER struct mos_buffer chunk = {0};
    mos_buffer_append_byte(&chunk, 1);
    mos_append_varint(&chunk, repo->told_ids < 0 ? repo->id_count : (uint64_t)repo->told_ids);
    mos_buffer_append(&chunk, repo->ids.data, repo->ids.size_bytes);
    mos_append_varint(&chunk, repo->told_entries < 0 ? repo->entry_count : (uint64_t)repo->told_entries);
    mos_buffer_append(&chunk, repo->entries.data, repo->entries.size_bytes);
    repo->tree = put(repo, MOS_FRAME_TREE, chunk.data, chunk.size_bytes, chunk.size_bytes);
}

// Seals key and manifest: these packs, and the one tree chunk `parts` times.
static void commit(struct repo *repo, const struct mos_pack *packs, size_t pack_count, size_t parts) {
    struct mos_error error = {0};
    mos_arena *arena = mos_arena_create(0);
    Mosaajii__Engine__V1__Manifest manifest = MOSAAJII__ENGINE__V1__MANIFEST__INIT;
    Mosaajii__Engine__V1__BackupInfo info = MOSAAJII__ENGINE__V1__BACKUP_INFO__INIT;
    info.id = (char *)BACKUP;
    info.type = (char *)"FILES";
    info.created_at_unix_ns = 1;
    manifest.info = &info;
    manifest.repository_id = (ProtobufCBinaryData){.len = 16, .data = repo->repository->id};
    manifest.tree = mos_arena_array(arena, Mosaajii__Engine__V1__TreeChunk *, parts);
    mos_hasher *hasher = mos_hasher_create();
    uint8_t digest[MOS_HASH_BYTES];
    for (size_t i = 0; i < parts; i++) {
        Mosaajii__Engine__V1__TreeChunk *part = mos_arena_alloc(arena, sizeof(*part));
        mosaajii__engine__v1__tree_chunk__init(part);
        part->chunk_id = (ProtobufCBinaryData){.len = MOS_CHUNK_ID_BYTES, .data = repo->tree.bytes};
        char *path = i ? mos_arena_printf(arena, "/%09zu", i) : (char *)"/";
        part->first_path = (ProtobufCBinaryData){.len = strlen(path), .data = (uint8_t *)path};
        manifest.tree[manifest.n_tree++] = part;
        mos_hasher_update(hasher, repo->tree.bytes, MOS_CHUNK_ID_BYTES);
    }
    mos_hasher_finish(hasher, digest);
    mos_hasher_destroy(hasher);
    manifest.content_checksum = (ProtobufCBinaryData){.len = sizeof(digest), .data = digest};
    manifest.packs = mos_arena_array(arena, Mosaajii__Engine__V1__Pack *, pack_count);
    for (size_t i = 0; i < pack_count; i++) {
        Mosaajii__Engine__V1__Pack *pack = mos_arena_alloc(arena, sizeof(*pack));
        mosaajii__engine__v1__pack__init(pack);
        pack->id = (ProtobufCBinaryData){.len = MOS_PACK_ID_BYTES, .data = (uint8_t *)packs[i].id};
        pack->size = packs[i].size_bytes;
        pack->sha256 = (ProtobufCBinaryData){.len = MOS_HASH_BYTES, .data = (uint8_t *)packs[i].sha256};
        pack->key = (ProtobufCBinaryData){.len = MOS_KEY_BYTES, .data = (uint8_t *)packs[i].key.bytes};
        pack->frames = packs[i].frame_count;
        pack->footer_size = packs[i].footer_bytes;
        manifest.packs[manifest.n_packs++] = pack;
    }
    MOS_CLEANUP_BUFFER struct mos_buffer object = {0};
    uint8_t wrapped[MOS_KEY_OBJECT_BYTES];
    const mos_keyring *keyring = repo->repository->keyring;
    struct mos_key_binding binding = mos_backup_key_binding(repo->repository, BACKUP);
    mos_key_object_seal(mos_keyring_key(keyring, 1), 1, &binding, &repo->key, wrapped);
    must(mos_file_write(repo->repository->root, "keys/" BACKUP "/1", wrapped, sizeof(wrapped), &error), &error);
    must(mos_manifest_seal(&manifest, BACKUP, &repo->key, &object, &error), &error);
    must(mos_file_write(repo->repository->root, "backups/" BACKUP, object.data, object.size_bytes, &error), &error);
    mos_arena_destroy(arena);
}

static void finish_pack(struct repo *repo) {
    struct mos_error error = {0};
    must(mos_pack_writer_finish(repo->writer, &repo->pack, &error), &error);
}

static void end(struct repo *repo) {
    mos_pack_writer_destroy(repo->writer);
    mos_buffer_free(&repo->ids);
    mos_buffer_free(&repo->entries);
    mos_repository_close(repo->repository);
}

static void commit_usual(struct repo *repo) {
    put_tree(repo);
    finish_pack(repo);
    commit(repo, &repo->pack, 1, 1);
}

// ---- Paths and links ----

static char outside[3100];

static void path_upwards(struct repo *repo) {
    directory(repo, "/");
    file(repo, "/../../outside/upwards");
    commit_usual(repo);
}

static void path_upwards_inside(struct repo *repo) {
    directory(repo, "/a");
    file(repo, "/a/../../../outside/inside");
    file(repo, "/b/./c");
    commit_usual(repo);
}

static void path_odd(struct repo *repo) {
    file(repo, "");
    file(repo, "//");
    file(repo, "/a//b");
    file(repo, "..");
    commit_usual(repo);
}

static void through_a_link(struct repo *repo) {
    char up[3200];
    directory(repo, "/");
    link_to(repo, "/absolute", MOS_ENTRY_SYMLINK, outside);
    file(repo, "/absolute/evil");
    snprintf(up, sizeof(up), "../../../../../../../../../../../..%s", outside);
    link_to(repo, "/relative", MOS_ENTRY_SYMLINK, up);
    file(repo, "/relative/evil");
    directory(repo, "/relative/folder");
    commit_usual(repo);
}

static void over_a_link(struct repo *repo) {
    char name[3200];
    directory(repo, "/");
    snprintf(name, sizeof(name), "%s/over", outside);
    link_to(repo, "/f", MOS_ENTRY_SYMLINK, name);
    file(repo, "/f");
    commit_usual(repo);
}

static void over_a_link_of_an_earlier_part(struct repo *repo) {
    char name[3200];
    directory(repo, "/");
    snprintf(name, sizeof(name), "%s/over", outside);
    link_to(repo, "/000000001", MOS_ENTRY_SYMLINK, name);
    file(repo, "/000000002");
    put_tree(repo);
    finish_pack(repo);
    // The same part again and again.
    commit(repo, &repo->pack, 1, 3);
}

static void hard_links_outside(struct repo *repo) {
    char name[3200];
    directory(repo, "/");
    link_to(repo, "/a", MOS_ENTRY_SYMLINK, outside);
    link_to(repo, "/b", MOS_ENTRY_HARDLINK, "/a/secret");
    link_to(repo, "/c", MOS_ENTRY_HARDLINK, "/a");
    snprintf(name, sizeof(name), "%s/secret", outside);
    link_to(repo, "/zz", MOS_ENTRY_HARDLINK, name);
    link_to(repo, "/zz1", MOS_ENTRY_HARDLINK, "/../../outside/secret");
    link_to(repo, "/zz2", MOS_ENTRY_HARDLINK, "/zz2");
    commit_usual(repo);
}

static void long_path(struct repo *repo) {
    MOS_CLEANUP_BUFFER struct mos_buffer path = {0};
    // One that may be, and one that may not.
    for (int i = 0; i < 40000; i++) {
        mos_buffer_append(&path, "/a", 2);
        if (i == 200) {
            char *deep = strndup((const char *)path.data, path.size_bytes);
            file(repo, deep);
            free(deep);
        }
    }
    mos_buffer_append_byte(&path, 0);
    file(repo, (const char *)path.data);
    commit_usual(repo);
}

// ---- Lengths ----

static void many_ids(struct repo *repo) {
    directory(repo, "/");
    repo->told_ids = INT64_MAX;
    commit_usual(repo);
}

static void many_entries(struct repo *repo) {
    directory(repo, "/");
    repo->told_entries = INT64_MAX;
    commit_usual(repo);
}

static void long_file(struct repo *repo) {
    struct mos_chunk_id id = put(repo, 0, evil, sizeof(evil), sizeof(evil));
    refer(repo, &id);
    entry(repo, "/a", MOS_ENTRY_FILE, 0);
    mos_append_varint(&repo->entries, UINT64_C(1) << 62);
    mos_append_varint(&repo->entries, 1);
    // The next chunk, from its beginning, for all the rest.
    mos_append_varint(&repo->entries, 1 << 2 | 2);
    mos_append_varint(&repo->entries, 0);
    entry(repo, "/b", MOS_ENTRY_FILE, FLAG_SAME_OWNER);
    mos_append_varint(&repo->entries, sizeof(evil));
    mos_append_varint(&repo->entries, UINT64_C(1) << 60);
    commit_usual(repo);
}

static void holes(struct repo *repo) {
    struct mos_chunk_id id = put(repo, 0, evil, sizeof(evil), sizeof(evil));
    refer(repo, &id);
    entry(repo, "/a", MOS_ENTRY_FILE, FLAG_SPARSE);
    mos_append_varint(&repo->entries, INT64_MAX);
    mos_append_varint(&repo->entries, 1);
    mos_append_varint(&repo->entries, INT64_MAX - (int64_t)sizeof(evil));
    mos_append_varint(&repo->entries, sizeof(evil));
    mos_append_varint(&repo->entries, 1);
    mos_append_varint(&repo->entries, 1 << 2 | 2);
    mos_append_varint(&repo->entries, 0);
    entry(repo, "/b", MOS_ENTRY_FILE, FLAG_SPARSE | FLAG_SAME_OWNER);
    mos_append_varint(&repo->entries, UINT64_MAX);
    mos_append_varint(&repo->entries, UINT64_MAX);
    commit_usual(repo);
}

static void lists_of_themselves(struct repo *repo) {
    // A list whose extents lie in a list, and an entry whose lists are a file's content and that list.
    MOS_CLEANUP_BUFFER struct mos_buffer list = {0};
    struct mos_chunk_id content = put(repo, 0, evil, sizeof(evil), sizeof(evil));
    mos_buffer_append_byte(&list, 2);
    mos_append_varint(&list, UINT64_C(1) << 50);
    mos_buffer_append(&list, content.bytes, sizeof(content.bytes));
    mos_append_varint(&list, UINT64_C(1) << 50);
    struct mos_chunk_id id = put(repo, MOS_FRAME_TREE, list.data, list.size_bytes, list.size_bytes);
    entry(repo, "/a", MOS_ENTRY_FILE, FLAG_LISTS);
    mos_append_varint(&repo->entries, UINT64_C(1) << 50);
    mos_append_varint(&repo->entries, 3);
    mos_buffer_append(&repo->entries, content.bytes, sizeof(content.bytes));
    mos_buffer_append(&repo->entries, id.bytes, sizeof(id.bytes));
    mos_buffer_append(&repo->entries, id.bytes, sizeof(id.bytes));
    entry(repo, "/b", MOS_ENTRY_FILE, FLAG_LISTS | FLAG_SAME_OWNER);
    mos_append_varint(&repo->entries, UINT64_C(1) << 50);
    mos_append_varint(&repo->entries, UINT64_C(1) << 50);
    commit_usual(repo);
}

static void attributes(struct repo *repo) {
    entry(repo, "/a", MOS_ENTRY_DIRECTORY, FLAG_XATTRS);
    mos_append_varint(&repo->entries, UINT64_C(1) << 40);
    mos_append_varint(&repo->entries, UINT64_C(1) << 40);
    commit_usual(repo);
}

// A frame that says it is sixteen times what it holds, and one that says it is less.
static void frames_that_lie(struct repo *repo) {
    directory(repo, "/");
    struct mos_chunk_id id = put(repo, MOS_FRAME_COMPRESSED, evil, sizeof(evil), MOS_CHUNK_LIMIT_BYTES);
    refer(repo, &id);
    entry(repo, "/a", MOS_ENTRY_FILE, 0);
    mos_append_varint(&repo->entries, MOS_CHUNK_LIMIT_BYTES);
    mos_append_varint(&repo->entries, 1);
    mos_append_varint(&repo->entries, 1 << 2 | 2);
    mos_append_varint(&repo->entries, 0);
    commit_usual(repo);
}

static void extents_behind_the_end(struct repo *repo) {
    struct mos_chunk_id id = put(repo, 0, evil, sizeof(evil), sizeof(evil));
    refer(repo, &id);
    entry(repo, "/a", MOS_ENTRY_FILE, 0);
    mos_append_varint(&repo->entries, 100000);
    mos_append_varint(&repo->entries, 1);
    mos_append_varint(&repo->entries, 1 << 2);
    mos_append_varint(&repo->entries, UINT32_MAX - 10);
    mos_append_varint(&repo->entries, 100000);
    commit_usual(repo);
}

// ---- Packs ----

static void packs_that_lie(struct repo *repo) {
    directory(repo, "/");
    file(repo, "/a");
    put_tree(repo);
    finish_pack(repo);
    struct mos_pack packs[3];
    for (size_t i = 0; i < 3; i++) {
        packs[i] = repo->pack;
        packs[i].id[0] ^= (uint8_t)(i == 2);
    }
    packs[0].frame_count = MOS_PACK_MAX_FRAMES;
    packs[1].footer_bytes = MOS_PACK_FOOTER_LIMIT_BYTES;
    packs[1].size_bytes = MOS_PACK_LIMIT_BYTES;
    commit(repo, packs, 3, 1);
}

// So many packs whose ids look alike where a hash might look.
static void packs_that_collide(struct repo *repo) {
    enum { COUNT = 50000 };
    directory(repo, "/");
    file(repo, "/a");
    put_tree(repo);
    finish_pack(repo);
    struct mos_pack *packs = mos_calloc(COUNT, sizeof(*packs));
    for (size_t i = 0; i < COUNT; i++) {
        packs[i] = repo->pack;
        if (i > 0) {
            memset(packs[i].id, 0, sizeof(packs[i].id));
            mos_put_u32(packs[i].id, (uint32_t)i);
        }
    }
    commit(repo, packs, COUNT, 1);
    free(packs);
}

// Chunk ids that look alike in the same way.
static void chunks_that_collide(struct repo *repo) {
    struct mos_error error = {0};
    directory(repo, "/");
    for (uint32_t i = 0; i < 300000; i++) {
        struct mos_chunk_id id = {0};
        mos_put_u32(id.bytes + 20, i);
        must(mos_pack_writer_append(repo->writer, &id, 0, "x", 1, 1, &error), &error);
    }
    file(repo, "/a");
    commit_usual(repo);
}

// Packs that are gone and lead to one another, and one that leads to very many.
static void moves_in_a_circle(struct repo *repo) {
    struct mos_error error = {0};
    directory(repo, "/");
    file(repo, "/a");
    put_tree(repo);
    finish_pack(repo);
    enum { MANY = 20000 };
    int root = repo->repository->root;
    struct mos_pack packs[3];
    for (size_t i = 0; i < 3; i++) {
        packs[i] = repo->pack;
        memset(packs[i].id, (int)(i + 1), sizeof(packs[i].id));
    }
    must(mos_moved_write(root, &packs[0], &packs[1], 1, &error), &error);
    must(mos_moved_write(root, &packs[1], &packs[0], 1, &error), &error);
    struct mos_pack *many = mos_calloc(MANY, sizeof(*many));
    for (size_t i = 0; i < MANY; i++) {
        many[i] = packs[2];
        mos_random(many[i].id, sizeof(many[i].id));
    }
    must(mos_moved_write(root, &packs[2], many, MANY, &error), &error);
    free(many);
    // A pack that leads to itself is still found, because it is there.
    must(mos_moved_write(root, &repo->pack, &repo->pack, 1, &error), &error);
    struct mos_pack all[4] = {packs[0], packs[1], packs[2], repo->pack};
    commit(repo, all, 4, 1);
}

static const struct {
    const char *name;
    void (*make)(struct repo *repo);
} kinds[] = {
    {"path-upwards", path_upwards},
    {"path-upwards-inside", path_upwards_inside},
    {"path-odd", path_odd},
    {"through-a-link", through_a_link},
    {"over-a-link", over_a_link},
    {"over-a-link-of-an-earlier-part", over_a_link_of_an_earlier_part},
    {"hard-links-outside", hard_links_outside},
    {"long-path", long_path},
    {"many-ids", many_ids},
    {"many-entries", many_entries},
    {"long-file", long_file},
    {"holes", holes},
    {"lists-of-themselves", lists_of_themselves},
    {"attributes", attributes},
    {"frames-that-lie", frames_that_lie},
    {"extents-behind-the-end", extents_behind_the_end},
    {"packs-that-lie", packs_that_lie},
    {"packs-that-collide", packs_that_collide},
    {"chunks-that-collide", chunks_that_collide},
    {"moves-in-a-circle", moves_in_a_circle},
};

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("Usage: mos_hostile DIR\n", stderr);
        return 2;
    }
    snprintf(top, sizeof(top), "%s", argv[1]);
    snprintf(outside, sizeof(outside), "%s/outside", top);
    char path[4096];
    struct mos_error error = {0};
    mos_keyring *keyring = NULL;
    snprintf(path, sizeof(path), "%s/keyring", top);
    must(mos_keyring_create(path, &keyring, &error), &error);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct repo repo;
        begin(&repo, kinds[i].name, keyring);
        kinds[i].make(&repo);
        end(&repo);
        puts(kinds[i].name);
    }
    mos_keyring_free(keyring);
    return EXIT_SUCCESS;
}

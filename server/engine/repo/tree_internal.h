// What the two halves of the tree's codec share.
#ifndef MOS_ENGINE_REPO_TREE_INTERNAL_H
#define MOS_ENGINE_REPO_TREE_INTERNAL_H

#define MOS_TREE_LAYOUT 1
#define MOS_LIST_LAYOUT 2
// The first byte of a copy, which is so a chunk of its own: nothing that knows chunks by their ids has to know of copies.
#define MOS_TREE_COPY_LAYOUT 3
#define MOS_TREE_MAX_XATTRS 4096
#define MOS_LIST_MAX_EXTENTS 16384u

enum {
    FLAG_SAME_OWNER = 1,
    FLAG_SPARSE = 2,
    FLAG_XATTRS = 4,
    FLAG_LISTS = 8,
    FLAGS_ALL = 15,
};

enum {
    EXTENT_OFFSET_FOLLOWS_ON = 1,
    EXTENT_REST = 2,
    EXTENT_CHUNK_SHIFT = 2,
};

// Values of an extent's chunk; from CHUNK_NUMBERED on, the id's number in the table is added.
enum {
    CHUNK_SAME = 0,
    CHUNK_NEXT = 1,
    CHUNK_NUMBERED = 2,
};

#endif

#include "engine/source/links.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

struct link {
    struct link *next;
    uint64_t device;
    uint64_t inode;
    uint64_t others;
    size_t path_bytes;
    char path[];
};

struct mos_links {
    struct link **buckets;
    // A power of two.
    size_t bucket_count;
    size_t count;
};

mos_links *mos_links_create(void) {
    mos_links *links = mos_calloc(1, sizeof(*links));
    links->bucket_count = 64;
    links->buckets = mos_calloc(links->bucket_count, sizeof(*links->buckets));
    return links;
}

void mos_links_free(mos_links *links) {
    for (size_t i = 0; links && i < links->bucket_count; i++) {
        for (struct link *link = links->buckets[i]; link;) {
            struct link *next = link->next;
            free(link);
            link = next;
        }
    }
    if (links) {
        free(links->buckets);
    }
    free(links);
}

static struct link **bucket(const mos_links *links, uint64_t device, uint64_t inode) {
    uint64_t hash = (inode ^ (device << 32)) * UINT64_C(0x9e3779b97f4a7c15);
    return &links->buckets[(hash >> 20) & (links->bucket_count - 1)];
}

static struct link **find(const mos_links *links, uint64_t device, uint64_t inode) {
    struct link **at = bucket(links, device, inode);
    while (*at && ((*at)->inode != inode || (*at)->device != device)) {
        at = &(*at)->next;
    }
    return at;
}

const char *mos_links_find(mos_links *links, uint64_t device, uint64_t inode, size_t *out_bytes) {
    struct link *link = *find(links, device, inode);
    if (link) {
        *out_bytes = link->path_bytes;
    }
    return link ? link->path : NULL;
}

static void grow(mos_links *links) {
    struct link **old = links->buckets;
    size_t old_count = links->bucket_count;
    links->bucket_count *= 4;
    links->buckets = mos_calloc(links->bucket_count, sizeof(*links->buckets));
    for (size_t i = 0; i < old_count; i++) {
        for (struct link *link = old[i]; link;) {
            struct link *next = link->next;
            struct link **at = bucket(links, link->device, link->inode);
            link->next = *at;
            *at = link;
            link = next;
        }
    }
    free(old);
}

void mos_links_add(mos_links *links, uint64_t device, uint64_t inode, uint64_t others, const char *path, size_t path_bytes) {
    if (others == 0 || *find(links, device, inode)) {
        return;
    }
    if (links->count == links->bucket_count * 2) {
        grow(links);
    }
    struct link *link = mos_malloc(sizeof(*link) + path_bytes + 1);
    struct link **at = bucket(links, device, inode);
    *link = (struct link){.next = *at, .device = device, .inode = inode, .others = others, .path_bytes = path_bytes};
    memcpy(link->path, path, path_bytes);
    link->path[path_bytes] = 0;
    *at = link;
    links->count++;
}

void mos_links_seen(mos_links *links, uint64_t device, uint64_t inode) {
    struct link **at = find(links, device, inode);
    struct link *link = *at;
    if (link && --link->others == 0) {
        *at = link->next;
        free(link);
        links->count--;
    }
}

size_t mos_links_count(const mos_links *links) {
    return links->count;
}

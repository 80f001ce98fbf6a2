// Brings content and entries into the writer: content is cut into chunks that the pool stores, entries wait until their chunks have ids,
// and go into the tree in the order in which they came. Memory: the pool's chunks, and at most some ten thousand waiting entries. One
// thread.
//
//     for each entry: mos_assembler_begin(assembler, content size); mos_assembler_content(…)*; mos_assembler_add(assembler, &entry);
//     mos_assembler_finish(assembler, error);
//     mos_assembler_free(assembler);
//
// Content smaller than the least chunk goes into one stream with its neighbours and is cut wherever the bytes say; larger content has a
// stream of its own.
#ifndef MOS_ENGINE_PIPELINE_ASSEMBLER_H
#define MOS_ENGINE_PIPELINE_ASSEMBLER_H

#include "engine/pipeline/job.h"
#include "engine/repo/writer.h"

typedef struct mos_assembler mos_assembler;

// Workers that store chunks: one more than the job has threads, because one of them often waits for the disk; a single one stays alone.
unsigned mos_assembler_workers(const mos_job *job);

// `repository` and `writer` are borrowed; the writer has mos_assembler_workers workers.
mos_assembler *mos_assembler_create(mos_job *job, const mos_repository *repository, mos_writer *writer);
void mos_assembler_free(mos_assembler *assembler);

// Calls `written` for every entry that goes into the tree, with its extents.
void mos_assembler_watch(mos_assembler *assembler, void (*written)(void *context, const struct mos_entry *entry), void *context);

// `expected_bytes`: how much content there will be, 0 for none; only decides about the stream.
void mos_assembler_begin(mos_assembler *assembler, uint64_t expected_bytes);
// Blocks while the workers have enough to do. Fails when the backup cannot go on.
mos_status mos_assembler_content(mos_assembler *assembler, const void *data, size_t size_bytes, struct mos_error *error);
// The entry with the content since begin, whose length must be what the entry says; entry->extents are those of content known already and
// stand instead of it. Everything is copied. An entry that the format cannot hold is left out with a warning.
mos_status mos_assembler_add(mos_assembler *assembler, const struct mos_entry *entry, struct mos_error *error);
// All content is stored and all entries are in the tree.
mos_status mos_assembler_finish(mos_assembler *assembler, struct mos_error *error);

#endif

// Worker threads that write the files of a backup into a target. One thread hands them in, in the order of the tree, which is about the
// order of the packs; neighbours go to the same worker, and a large file to several.
//
// What goes wrong with one file is a warning and counts as failed; only what concerns all of them fails a call.
#ifndef MOS_ENGINE_PIPELINE_RESTORER_H
#define MOS_ENGINE_PIPELINE_RESTORER_H

#include "engine/pipeline/job.h"
#include "engine/repo/reader.h"
#include "engine/source/target.h"

typedef struct mos_restorer mos_restorer;

struct mos_restorer_options {
    mos_job *job;
    mos_reader *reader;
    // The calling thread's; workers use clones.
    mos_target *target;
    // Called for each DATABASE when it is written and not committed yet, one call at a time. NULL: nobody looks.
    void (*database)(void *context, const struct mos_entry *entry, const mos_target_file *file);
    void *context;
};
// All borrowed.
mos_restorer *mos_restorer_create(const struct mos_restorer_options *options);
// Waits for the work under way and gives up the rest.
void mos_restorer_free(mos_restorer *restorer);

// A FILE or DATABASE, which is copied. Blocks while the workers have enough to do. `tree` is where the entry came from.
mos_status mos_restorer_add(mos_restorer *restorer, mos_tree_reader *tree, const struct mos_entry *entry, struct mos_error *error);
// Blocks until all files are written, or failed.
mos_status mos_restorer_finish(mos_restorer *restorer, struct mos_error *error);

struct mos_restorer_totals {
    int64_t restored;
    int64_t skipped;
    int64_t failed;
    int64_t bytes_written;
};
// After finish.
void mos_restorer_totals(const mos_restorer *restorer, struct mos_restorer_totals *out);

#endif

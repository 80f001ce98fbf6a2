// Removes what no backup needs. docs/design/repository-format.md, "Prune", says in which order, and why nothing can be lost.
#ifndef MOS_ENGINE_REPO_PRUNE_H
#define MOS_ENGINE_REPO_PRUNE_H

#include "engine/repo/repository.h"

#define MOS_PRUNE_GRACE_SECONDS (24 * 3600)

struct mos_prune_options {
    // What nobody needs and is younger stays for a backup that was broken off; 0: nothing stays.
    int64_t grace_seconds;
    // Says what would be done, changes nothing.
    bool dry_run;
    // Both may be NULL. `progress` is called with what a phase (a constant) has done of its bytes.
    bool (*cancelled)(void *context);
    void (*progress)(void *context, const char *phase, int64_t bytes_done, int64_t bytes_total);
    void *context;
};

struct mos_pruning {
    // Packs that no backup named.
    int64_t packs_removed;
    // Packs whose needed chunks lie in other packs now.
    int64_t packs_rewritten;
    // What the repository is smaller by; in a dry run, what it would be.
    int64_t bytes_freed;
    // What nobody needs and is still there: it is too young, or somebody who might want it is at work. The next prune looks again.
    int64_t bytes_pending;
    // One sentence, or empty.
    char notice[512];
};

// Runs beside backups and everything else, and holds none of them up. MOS_UNAVAILABLE while another prune runs, MOS_CANCELLED. After a
// failure `out` says what was done before.
mos_status mos_repository_prune(mos_repository *repository, const struct mos_prune_options *options, struct mos_pruning *out,
                                struct mos_error *error);

#endif

// The engine by hand: what brings data back when nothing of the server is left.
#ifndef MOS_ENGINE_ALONE_H
#define MOS_ENGINE_ALONE_H

#include <stdbool.h>

#include "engine/pipeline/job.h"

// The job that is running, for whoever catches signals; NULL while there is none.
extern mos_job *volatile mos_running_job;

void mos_alone_help(void);
// Runs a command line and answers the exit code: 0 done, 1 failed or not valid, 2 wrong usage, 3 done with warnings, 4 not found. Needs
// at least one argument.
int mos_alone(int argc, char **argv);

// The commands that look after a whole repository: prune and check.
bool mos_alone_is_repository(const char *command);
int mos_alone_repository(int argc, char **argv);

#endif

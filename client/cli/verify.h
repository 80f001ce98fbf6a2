// A verification under way: the call answers when it is done, and its job's progress is shown meanwhile.
#ifndef MOS_CLIENT_CLI_VERIFY_H
#define MOS_CLIENT_CLI_VERIFY_H

#include "cli/cli.h"

// Blocks until the verification is done. On MOS_OK *out lives in the command's arena, or is NULL where Ctrl-C stopped it.
mos_status mos_verify_run(struct mos_cli *cli, const char *backup_id, api_verification **out, struct mos_error *error);

#endif

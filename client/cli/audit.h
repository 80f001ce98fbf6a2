// Commands on the audit trail.
#ifndef MOS_CLIENT_CLI_AUDIT_H
#define MOS_CLIENT_CLI_AUDIT_H

struct mos_cli;

int mos_audit_list(struct mos_cli *cli);
int mos_audit_export(struct mos_cli *cli);
// With a file it needs no server.
int mos_audit_verify(struct mos_cli *cli);

#endif

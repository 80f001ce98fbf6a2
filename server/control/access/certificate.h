// Callers known by their client certificate (mTLS): which subject has which role.
#ifndef MOS_CONTROL_ACCESS_CERTIFICATE_H
#define MOS_CONTROL_ACCESS_CERTIFICATE_H

#include "common/status.h"
#include "control/catalog/words.h"

// Immutable.
typedef struct mos_certificates mos_certificates;

// `text` as MOSAAJII_CLIENT_ROLES: SUBJECT=ROLE or SUBJECT=ROLE+RIGHT+RIGHT, separated by semicolons. MOS_INVALID_ARGUMENT naming the part
// that is wrong. On MOS_OK *out is the caller's.
mos_status mos_certificates_parse(const char *text, mos_certificates **out, struct mos_error *error);
void mos_certificates_free(mos_certificates *certificates);
// Whether the name (a subject, or an alternative name) is one of them. What *out_rights points to lives as long as the certificates.
bool mos_certificates_find(const mos_certificates *certificates, const char *name, enum mos_role *out_role, const char **out_rights);

#endif

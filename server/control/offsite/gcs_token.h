// Access tokens of a Google service account: a JWT that the account's key signs (RS256, by OpenSSL) is changed for one that holds an hour.
#ifndef MOS_CONTROL_OFFSITE_GCS_TOKEN_H
#define MOS_CONTROL_OFFSITE_GCS_TOKEN_H

#include "control/offsite/http.h"

typedef struct mos_gcs_account mos_gcs_account;

// Reads the account's file. MOS_INVALID_ARGUMENT names GOOGLE_APPLICATION_CREDENTIALS. Thread safe from then on.
mos_status mos_gcs_account_open(mos_gcs_account **out, const char *file, struct mos_error *error);
void mos_gcs_account_close(mos_gcs_account *account);
// "Authorization: Bearer …" is appended to `out`, which the caller wipes. Asks for a new token where the last one is about to end.
mos_status mos_gcs_authorize(mos_gcs_account *account, mos_store_http *http, struct mos_buffer *out, const struct mos_store_call *call,
                             struct mos_error *error);
// The server did not take the token.
void mos_gcs_forget(mos_gcs_account *account);

#endif

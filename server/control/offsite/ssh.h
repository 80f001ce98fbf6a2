// Connections to an SFTP server, by libssh2 itself: libcurl tells no size without fetching and cannot flush what it has written. A host
// whose key is not in the file of known hosts is refused before anything is said to it.
#ifndef MOS_CONTROL_OFFSITE_SSH_H
#define MOS_CONTROL_OFFSITE_SSH_H

#include <libssh2.h>
#include <libssh2_sftp.h>

#include "control/offsite/store_internal.h"

typedef struct mos_ssh_pool mos_ssh_pool;

struct mos_ssh {
    mos_ssh_pool *pool;
    int socket;
    LIBSSH2_SESSION *session;
    LIBSSH2_SFTP *sftp;
    // Not to be used again.
    bool broken;
};

// Thread safe. Checks the options, and connects to nobody yet.
mos_status mos_ssh_pool_create(mos_ssh_pool **out, const struct mos_store_options *options, struct mos_error *error);
void mos_ssh_pool_destroy(mos_ssh_pool *pool);
// A connection for one call; waits where too many are in use.
mos_status mos_ssh_take(mos_ssh_pool *pool, struct mos_ssh **out, const struct mos_store_call *call, struct mos_error *error);
void mos_ssh_give(struct mos_ssh *ssh);

static inline void mos_ssh_cleanup(struct mos_ssh **ssh) {
    if (*ssh) {
        mos_ssh_give(*ssh);
    }
}
#define MOS_CLEANUP_SSH __attribute__((cleanup(mos_ssh_cleanup)))

// Until the socket can go on, as libssh2 wants it. The connection is broken where it cannot.
mos_status mos_ssh_wait(struct mos_ssh *ssh, const struct mos_store_call *call, struct mos_error *error);
// Of the last call, which answered `code`; `what` begins the sentence.
mos_status mos_ssh_fail(struct mos_ssh *ssh, int code, const char *what, struct mos_error *error);

// For calls that answer a number: `code` is the answer, and `status` is not MOS_OK where waiting for it failed.
#define MOS_SSH_AWAIT(ssh, call, error, status, code, expression)                                                                          \
    do {                                                                                                                                   \
        (status) = MOS_OK;                                                                                                                 \
        while (((code) = (expression)) == LIBSSH2_ERROR_EAGAIN && ((status) = mos_ssh_wait((ssh), (call), (error))) == MOS_OK) {           \
        }                                                                                                                                  \
    } while (0)
// For calls that answer a pointer.
#define MOS_SSH_AWAIT_POINTER(ssh, call, error, status, pointer, expression)                                                               \
    do {                                                                                                                                   \
        (status) = MOS_OK;                                                                                                                 \
        while (!((pointer) = (expression)) && libssh2_session_last_errno((ssh)->session) == LIBSSH2_ERROR_EAGAIN &&                        \
               ((status) = mos_ssh_wait((ssh), (call), (error))) == MOS_OK) {                                                              \
        }                                                                                                                                  \
    } while (0)

#endif

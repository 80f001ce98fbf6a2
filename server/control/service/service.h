// The public API's services: each checks its request, calls the rest of the control plane, and maps what comes back. No rule about
// backups lives here that the catalog and the queue do not keep by themselves.
#ifndef MOS_CONTROL_SERVICE_SERVICE_H
#define MOS_CONTROL_SERVICE_SERVICE_H

#include "common/settings.h"
#include "control/access/access.h"
#include "control/alert/watch.h"
#include "control/catalog/catalog.h"
#include "control/dr/recovery.h"
#include "control/job/queue.h"
#include "control/key/kms.h"
#include "control/offsite/offsite.h"
#include "control/rpc/rpc.h"
#include "control/schedule/scheduler.h"
#include "control/service/broadcast.h"

// All borrowed; must outlive the server they are added to.
struct mos_services {
    const mos_settings *settings;
    mos_catalog *catalog;
    mos_queue *queue;
    mos_offsite *offsite;
    mos_access *access;
    mos_trail *trail;
    mos_kms *kms;
    mos_watch *watch;
    mos_scheduler *scheduler;
    mos_recovery *recovery;
    mos_broadcast *broadcast;
    int64_t started_at_unix_ns;
    // Filled in by mos_services_add.
    mos_rpc_server *server;
};

// Adds all services of the public API. Before the server starts.
mos_status mos_services_add(mos_rpc_server *server, struct mos_services *services, struct mos_error *error);

// DATABASE_URL holds nothing that this program has never heard of: MOS_INVALID_ARGUMENT naming the setting.
mos_status mos_sources_check(const mos_settings *settings, struct mos_error *error);

// BACKUP_KEEP_TAGS says what it should: MOS_INVALID_ARGUMENT naming the setting.
mos_status mos_keep_tags_check(const mos_settings *settings, struct mos_error *error);
// What schedules do to the rest of the server. `services` is borrowed and need only be filled when the scheduler starts.
struct mos_scheduler_options mos_scheduler_options_of(struct mos_services *services, mos_catalog *catalog, const mos_settings *settings);

#endif

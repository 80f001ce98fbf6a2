// Client of the Mosaajii Backup server: gRPC over HTTP/2, every service with the token in its calls.
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { AdminService } from "./mosaajii/backup/v1/admin_pb.js";
import { AlertService } from "./mosaajii/backup/v1/alert_pb.js";
import { BackupService } from "./mosaajii/backup/v1/backup_pb.js";
import { OffsiteService } from "./mosaajii/backup/v1/offsite_pb.js";
import { DisasterRecoveryService } from "./mosaajii/backup/v1/recovery_pb.js";

export { Code, ConnectError } from "@connectrpc/connect";
export * from "./mosaajii/backup/v1/backup_pb.js";

export function connect(address, token, tls) {
  const carryToken = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const transport = createGrpcTransport({
    baseUrl: `${tls ? "https" : "http"}://${address}`,
    nodeOptions: tls,
    interceptors: [carryToken],
  });
  return {
    backups: createClient(BackupService, transport),
    offsite: createClient(OffsiteService, transport),
    alerts: createClient(AlertService, transport),
    recovery: createClient(DisasterRecoveryService, transport),
    admin: createClient(AdminService, transport),
  };
}

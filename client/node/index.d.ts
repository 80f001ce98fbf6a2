import type { SecureClientSessionOptions } from "node:http2";
import type { Client } from "@connectrpc/connect";

import type { AdminService } from "./mosaajii/backup/v1/admin_pb.js";
import type { AlertService } from "./mosaajii/backup/v1/alert_pb.js";
import type { BackupService } from "./mosaajii/backup/v1/backup_pb.js";
import type { OffsiteService } from "./mosaajii/backup/v1/offsite_pb.js";
import type { DisasterRecoveryService } from "./mosaajii/backup/v1/recovery_pb.js";

export { Code, ConnectError } from "@connectrpc/connect";
export * from "./mosaajii/backup/v1/backup_pb.js";

export interface Server {
  backups: Client<typeof BackupService>;
  offsite: Client<typeof OffsiteService>;
  alerts: Client<typeof AlertService>;
  recovery: Client<typeof DisasterRecoveryService>;
  admin: Client<typeof AdminService>;
}

/** `tls`: as for node:http2's connect (`ca`, `cert`, `key`); without, the connection is not encrypted, which fits loopback alone. */
export function connect(address: string, token: string, tls?: SecureClientSessionOptions): Server;

import assert from "node:assert/strict";
import test from "node:test";

import { Backup_Status, Backup_Type, Code, ConnectError, JobEvent_Kind, connect } from "@mosaajii/backup-client";

const address = process.env.MOSAAJII_SERVER;
const server = connect(address, process.env.MOSAAJII_TOKEN);

const codeOf = (call) =>
  call.then(
    () => assert.fail("the call was not refused"),
    (error) => ConnectError.from(error).code,
  );

test("unary and stream", async () => {
  const backup = await server.backups.createBackup({ type: Backup_Type.CONFIGURATION, name: "by Node" });
  const events = [];
  for await (const event of server.backups.watchBackup({ backupId: backup.id })) events.push(event);
  assert.equal(events[0].kind, JobEvent_Kind.QUEUED);
  assert.equal(events.at(-1).kind, JobEvent_Kind.FINISHED);
  const done = await server.backups.getBackup({ backupId: backup.id });
  assert.equal(done.name, "by Node");
  assert.equal(done.status, Backup_Status.VERIFIED);
});

test("errors", async () => {
  const absent = "01890000-0000-7000-8000-000000000000";
  assert.equal(await codeOf(server.backups.getBackup({ backupId: absent })), Code.NotFound);
  assert.equal(await codeOf(server.backups.createBackup({})), Code.InvalidArgument);
  assert.equal(await codeOf(connect(address, "wrong").backups.listBackups({})), Code.Unauthenticated);
});

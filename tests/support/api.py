"""The gRPC API as a Python client sees it, with the few words that tests say often."""

import os
import sys

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from support.program import CEILING, GEN

sys.path.insert(0, str(GEN))

from mosaajii.backup.v1 import admin_pb2 as admin  # noqa: E402
from mosaajii.backup.v1 import admin_pb2_grpc, alert_pb2_grpc, backup_pb2_grpc, offsite_pb2_grpc, recovery_pb2_grpc  # noqa: E402
from mosaajii.backup.v1 import alert_pb2 as alert  # noqa: E402
from mosaajii.backup.v1 import backup_pb2 as pb  # noqa: E402
from mosaajii.backup.v1 import offsite_pb2 as offsite  # noqa: E402
from mosaajii.backup.v1 import recovery_pb2 as recovery  # noqa: E402

GOOD = (pb.Backup.COMPLETED, pb.Backup.VERIFIED)


class Client:
    def __init__(self, address, token, credentials=None, options=()):
        options = [("grpc.max_receive_message_length", 64 << 20), *options]
        self.channel = (
            grpc.secure_channel(address, credentials, options) if credentials else grpc.insecure_channel(address, options)
        )
        self.metadata = [("authorization", f"Bearer {token}")] if token else []
        self.backups = backup_pb2_grpc.BackupServiceStub(self.channel)
        self.offsite = offsite_pb2_grpc.OffsiteServiceStub(self.channel)
        self.alerts = alert_pb2_grpc.AlertServiceStub(self.channel)
        self.recovery = recovery_pb2_grpc.DisasterRecoveryServiceStub(self.channel)
        self.admin = admin_pb2_grpc.AdminServiceStub(self.channel)

    def close(self):
        self.channel.close()

    def call(self, method, request, timeout=CEILING):
        return method(request, metadata=self.metadata, timeout=timeout)

    def create(self, type, **fields):
        """Starts a backup of the type, given by its word."""
        return self.call(self.backups.CreateBackup, pb.CreateBackupRequest(type=pb.Backup.Type.Value(type), **fields))

    def get(self, backup_id):
        return self.call(self.backups.GetBackup, pb.GetBackupRequest(backup_id=backup_id))

    def watch(self, backup_id, after=0, timeout=CEILING):
        return self.call(self.backups.WatchBackup, pb.WatchBackupRequest(backup_id=backup_id, after_sequence=after), timeout)

    def watch_job(self, job_id, after=0, timeout=CEILING):
        return self.call(self.backups.WatchJob, pb.WatchJobRequest(job_id=job_id, after_sequence=after), timeout)

    def list(self, **fields):
        return list(self.call(self.backups.ListBackups, pb.ListBackupsRequest(**fields)).backups)

    def backup(self, type, good=True, **fields):
        """Takes a backup and waits for its end."""
        record = self.create(type, **fields)
        events = list(self.watch(record.id))
        record = self.get(record.id)
        if good:
            assert record.status in GOOD, f"{record}\n{events[-3:]}"
        return record

    def verify(self, backup_id):
        return self.call(self.backups.VerifyBackup, pb.VerifyBackupRequest(backup_id=backup_id))

    def get_job(self, job_id):
        return self.call(self.backups.GetJob, pb.GetJobRequest(job_id=job_id))

    def finish(self, job):
        """Waits for the job's end and answers how it ended."""
        for _ in self.watch_job(job.id):
            pass
        return self.get_job(job.id)

    def restore(self, backup_id, target="", good=True, **fields):
        """Restores and waits for the end."""
        job = self.finish(
            self.call(
                self.backups.RestoreBackup, pb.RestoreBackupRequest(backup_id=backup_id, target=str(target), **fields)
            )
        )
        if good:
            assert job.status == pb.Job.SUCCEEDED, job
        return job

    def delete(self, backup_id):
        return self.call(self.backups.DeleteBackup, pb.DeleteBackupRequest(backup_id=backup_id))


def refused(call, *arguments, **options):
    """Makes a call that must fail; answers (code name, message, names of the fields at fault)."""
    try:
        answer = call(*arguments, **options)
        if hasattr(answer, "__next__"):
            answer = list(answer)
    except grpc.RpcError as error:
        fields = []
        status = rpc_status.from_call(error)
        for detail in status.details if status else []:
            bad = error_details_pb2.BadRequest()
            if detail.Unpack(bad):
                fields += [violation.field for violation in bad.field_violations]
        return error.code().name, error.details(), fields
    raise AssertionError(f"the call was not refused: {answer}")

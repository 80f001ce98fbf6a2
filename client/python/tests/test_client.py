import os
import unittest

import grpc

from mosaajii.backup import connect
from mosaajii.backup.v1 import backup_pb2 as pb


class AgainstALiveServer(unittest.TestCase):
    def setUp(self):
        self.server = connect(os.environ["MOSAAJII_SERVER"], os.environ["MOSAAJII_TOKEN"])
        self.addCleanup(self.server.close)

    def test_unary_and_stream(self):
        backup = self.server.backups.CreateBackup(pb.CreateBackupRequest(type=pb.Backup.CONFIGURATION, name="by Python"))
        events = list(self.server.backups.WatchBackup(pb.WatchBackupRequest(backup_id=backup.id)))
        self.assertEqual(events[0].kind, pb.JobEvent.QUEUED)
        self.assertEqual(events[-1].kind, pb.JobEvent.FINISHED)
        done = self.server.backups.GetBackup(pb.GetBackupRequest(backup_id=backup.id))
        self.assertEqual((done.name, done.status), ("by Python", pb.Backup.VERIFIED))

    def test_errors(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.server.backups.GetBackup(pb.GetBackupRequest(backup_id="01890000-0000-7000-8000-000000000000"))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        with self.assertRaises(grpc.RpcError) as caught:
            self.server.backups.CreateBackup(pb.CreateBackupRequest())
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        with connect(os.environ["MOSAAJII_SERVER"], "wrong") as stranger, self.assertRaises(grpc.RpcError) as caught:
            stranger.backups.ListBackups(pb.ListBackupsRequest())
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAUTHENTICATED)


if __name__ == "__main__":
    unittest.main()

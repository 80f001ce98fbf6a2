"""Client of the Mosaajii Backup server: a channel that carries the token, and a stub for every service.

    from mosaajii.backup import connect
    from mosaajii.backup.v1 import backup_pb2 as pb

    with connect("127.0.0.1:50051", token) as server:
        backup = server.backups.CreateBackup(pb.CreateBackupRequest(type=pb.Backup.FULL))
        for event in server.backups.WatchBackup(pb.WatchBackupRequest(backup_id=backup.id)):
            print(event.progress.bytes_done)
"""

import grpc

from mosaajii.backup.v1 import admin_pb2_grpc, alert_pb2_grpc, backup_pb2_grpc, offsite_pb2_grpc, recovery_pb2_grpc

__all__ = ["Server", "connect"]


class _Token(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    def __init__(self, token):
        self._entry = ("authorization", f"Bearer {token}")

    def _call(self, continuation, details, request):
        metadata = [*(details.metadata or ()), self._entry]
        return continuation(details._replace(metadata=metadata), request)

    intercept_unary_unary = _call
    intercept_unary_stream = _call


class Server:
    """The services, as grpcio's stubs: `backups`, `offsite`, `alerts`, `recovery` and `admin`."""

    def __init__(self, channel, token):
        self._channel = channel
        carrying = grpc.intercept_channel(channel, _Token(token))
        self.backups = backup_pb2_grpc.BackupServiceStub(carrying)
        self.offsite = offsite_pb2_grpc.OffsiteServiceStub(carrying)
        self.alerts = alert_pb2_grpc.AlertServiceStub(carrying)
        self.recovery = recovery_pb2_grpc.DisasterRecoveryServiceStub(carrying)
        self.admin = admin_pb2_grpc.AdminServiceStub(carrying)

    def close(self):
        self._channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def connect(address, token, credentials=None):
    """`credentials`: as of grpc.ssl_channel_credentials; without, the connection is not encrypted, which fits loopback alone."""
    options = [("grpc.max_receive_message_length", 64 << 20)]
    if credentials is None:
        channel = grpc.insecure_channel(address, options)
    else:
        channel = grpc.secure_channel(address, credentials, options)
    return Server(channel, token)

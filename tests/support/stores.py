"""Real servers of every protocol that a store offsite may speak, each on loopback with a state of its own."""

import contextlib
import http.client
import os
import socket
import subprocess
import tempfile
from pathlib import Path

from support.program import CEILING, TOOLS, environment, wait_until

REGION = "eu-central-1"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(port, path="/"):
    """Whether something speaks HTTP there."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        connection.getresponse().read()
        return True
    except OSError:
        return False


class Program:
    """A server that is a program: started with its state in a folder of its own, and stopped by its pid."""

    def start(self, command, ready, **variables):
        self.log = open(self.home / "log", "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, env=environment(**variables))
        wait_until(lambda: self.process.poll() is not None or ready(), f"{command[0]} listens", CEILING)
        assert self.process.poll() is None, (self.home / "log").read_text()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(CEILING)
        self.log.close()


class S3(Program):
    """versitygw: checks signatures and checksums, keeps versions and locks."""

    ACCESS, SECRET = "AKIABACKUP", "a-secret-of-the-tests"
    BUCKETS = ("backups", "locked")

    def __init__(self, home):
        self.home = Path(home)
        self.port = free_port()
        for name in ("data", "versions"):
            (self.home / name).mkdir()
        self.run()
        client = self.client()
        client.create_bucket(Bucket="backups")
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)

    def run(self, *options):
        self.start(
            [TOOLS / "versitygw", "--access", self.ACCESS, "--secret", self.SECRET, "--region", REGION, "--port", f"127.0.0.1:{self.port}",
             "--keep-alive", "--quiet", *options, "posix", "--versioning-dir", self.home / "versions", self.home / "data"],
            lambda: answers(self.port),
        )  # fmt: skip

    def client(self):
        import boto3

        return boto3.client(
            "s3", region_name=REGION, endpoint_url=f"http://127.0.0.1:{self.port}", aws_access_key_id=self.ACCESS, aws_secret_access_key=self.SECRET
        )

    def settings(self, bucket="backups", port=None):
        return {
            "OFFSITE_PROVIDER": "S3", "OFFSITE_BUCKET": bucket, "OFFSITE_REGION": REGION, "OFFSITE_PREFIX": "shop/one",
            "OFFSITE_ENDPOINT": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": self.ACCESS, "AWS_SECRET_ACCESS_KEY": self.SECRET,
        }  # fmt: skip


def contract(settings, *tests, **more):
    """Runs the suite that all stores pass, on this one."""
    from support.program import BIN

    result = subprocess.run(
        [BIN.parent / "test/unit.control.offsite.contract", *tests], env=environment(**settings, **more), capture_output=True, text=True, timeout=CEILING
    )
    assert result.returncode == 0, result.stdout + result.stderr


@contextlib.contextmanager
def running(kind):
    with tempfile.TemporaryDirectory() as home:
        server = kind(home)
        try:
            yield server
        finally:
            server.stop()

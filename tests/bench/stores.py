"""Throughput of the drivers of offsite stores beside what else speaks to the same server: rclone, and for a folder cp and rsync too. The same
files, the same server on loopback, in the same run, in turns, several at a time.

Prints medians: MiB/s by the clock, seconds of processor time a GiB that the client and the server took, and the ratios; the one by the clock
should be 0.80 or more. On a machine that does other things beside, the processor time says more than the clock. Ours also computes the
SHA-256 of every file in the measured time, when it sends and when it fetches.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.program import CEILING, ROOT, TOOLS, descendants, environment  # noqa: E402
from support.stores import S3, Azure, Program, Sftp, answers, free_port, running  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
SHELL = ["sh", "-ceu"]


class OpenGcs(Program):
    """The emulator without the door that asks for tokens, which is no server that anybody's speed should be measured at."""

    def __init__(self, home):
        self.home = Path(home)
        self.port = free_port()
        url = f"http://127.0.0.1:{self.port}"
        (self.home / "data/backups").mkdir(parents=True)
        self.start(
            [TOOLS / "fake-gcs-server", "-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port), "-backend", "memory", "-data",
             self.home / "data", "-external-url", url],
            lambda: answers(self.port, "/_internal/healthcheck"),
        )  # fmt: skip

    def settings(self):
        return {"OFFSITE_PROVIDER": "GOOGLE_CLOUD", "OFFSITE_BUCKET": "backups", "OFFSITE_ENDPOINT": f"http://127.0.0.1:{self.port}"}


class Folder:
    """Another disk: a folder, without any server."""

    process = None

    def __init__(self, home):
        self.folder = Path(home)

    def settings(self):
        return {"OFFSITE_PROVIDER": "LOCAL_REMOTE", "OFFSITE_BUCKET": self.folder}

    def stop(self):
        pass


def rclone_s3(server):
    return "backups/", {
        "TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": f"http://127.0.0.1:{server.port}", "ACCESS_KEY_ID": server.ACCESS,
        "SECRET_ACCESS_KEY": server.SECRET, "REGION": "eu-central-1", "UPLOAD_CONCURRENCY": "4", "CHUNK_SIZE": "8M", "NO_CHECK_BUCKET": "true",
    }  # fmt: skip


def rclone_azure(server):
    # Debian's makes a host's name of the account, which a server on loopback has none for; a signed address it takes as it is.
    return "backups/", {
        "TYPE": "azureblob", "SAS_URL": f"http://127.0.0.1:{server.port}/{server.ACCOUNT}/?{server.sas()}",
        "CHUNK_SIZE": "8M", "UPLOAD_CONCURRENCY": "4", "NO_CHECK_CONTAINER": "true",
    }  # fmt: skip


def rclone_gcs(server):
    return "backups/", {
        "TYPE": "google cloud storage", "ENDPOINT": f"http://127.0.0.1:{server.port}/storage/v1/", "ANONYMOUS": "true", "NO_CHECK_BUCKET": "true",
    }  # fmt: skip


def rclone_sftp(server):
    return f"{server.folder}/", {
        "TYPE": "sftp", "HOST": "127.0.0.1", "PORT": str(server.port), "USER": server.user, "KEY_FILE": str(server.key),
        "KNOWN_HOSTS_FILE": str(server.known_hosts), "SHELL_TYPE": "none", "MD5SUM_COMMAND": "none", "SHA1SUM_COMMAND": "none",
    }  # fmt: skip


def rclone_folder(server):
    return f"{server.folder}/", {"TYPE": "local"}


# Name, server, where rclone finds it, and whether the peers of a folder take part.
KINDS = {
    "s3": ("S3", S3, rclone_s3, False),
    "azure": ("AZURE_BLOB", Azure, rclone_azure, False),
    "gcs": ("GOOGLE_CLOUD", OpenGcs, rclone_gcs, False),
    "sftp": ("SFTP", Sftp, rclone_sftp, False),
    "local": ("LOCAL_REMOTE", Folder, rclone_folder, True),
}


def server_seconds(server):
    """Processor time of the server and of those that it has started, the ended ones among them."""
    total = 0
    if server.process is not None:
        for pid in [server.process.pid, *descendants(server.process.pid)]:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def client_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(server, command, variables):
    """Seconds by the clock, of the client's and of the server's processor time."""
    client, behind, begun = client_seconds(), server_seconds(server), time.monotonic()
    result = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, timeout=10 * CEILING)
    passed = time.monotonic() - begun
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return passed, client_seconds() - client, server_seconds(server) - behind


class Peers:
    """What each of them runs to put the files of a folder, and to get them back, in round `i`."""

    def __init__(self, server, rclone, folder_too, at_once):
        self.where, options = rclone(server)
        self.rclone = {f"RCLONE_CONFIG_PEER_{key}": value for key, value in options.items()} | {"RCLONE_CONFIG": "/dev/null"}
        self.server, self.at_once = server, at_once
        self.names = ["ours", "rclone"] + (["cp", "rsync"] if folder_too else [])
        # Ours leaves what it puts in a folder on the disk, not only in memory; then the others have to.
        self.flush = ' && sync "$2"/*' if folder_too else ""

    def command(self, who, verb, near, i):
        far = f"{self.where}{who}-{i}"
        if who == "ours":
            binary = ROOT / "build/test/mos_store"
            return [binary, f"{verb}-all", near, str(self.at_once)], self.server.settings() | {"OFFSITE_PREFIX": f"ours-{i}"}
        if who == "rclone":
            source, target = (near, f"peer:{far}") if verb == "put" else (f"peer:{far}", near)
            words = f'rclone copy --transfers={self.at_once} --checkers={self.at_once} "$1" "$2"'
            if verb == "put" and self.flush:
                words = f'rclone copy --transfers={self.at_once} "$1" "$2" && sync "{far}"/*'
            return [*SHELL, words, "sh", source, target], self.rclone
        source, target = (near, far) if verb == "put" else (far, near)
        words = 'mkdir -p "$2" && cp -R "$1"/. "$2"' if who == "cp" else 'rsync -a "$1"/ "$2"'
        return [*SHELL, words + (self.flush if verb == "put" else ""), "sh", source, target], {}


def measure(name, kind, rclone, folder_too, given):
    taken = {}
    # The files that are sent and fetched lie in memory, so that the disk is not what is measured.
    near_home = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with running(kind) as server, tempfile.TemporaryDirectory(dir=near_home) as folder:
        source = Path(folder, "source")
        source.mkdir()
        for i in range(given.files):
            (source / f"object-{i:04d}").write_bytes(os.urandom(given.size_kib << 10))
        peers = Peers(server, rclone, folder_too, given.at_once)
        for i in range(given.rounds):
            # Whoever is first in one round is last in the next.
            order = peers.names if i % 2 == 0 else peers.names[::-1]
            for verb in ("put", "get"):
                for who in order:
                    back = Path(folder, f"{who}-back")
                    if verb == "get":
                        back.mkdir()
                    command, variables = peers.command(who, verb, source if verb == "put" else back, i)
                    taken.setdefault((verb, who), []).append(timed(server, command, variables))
                    if verb == "get":
                        for path in source.iterdir():
                            assert (back / path.name).read_bytes() == path.read_bytes(), f"{who}: {path.name} came back changed"
                        shutil.rmtree(back)
    size_mib = given.files * given.size_kib / 1024
    below = []
    for verb in ("put", "get"):
        clock, client, behind = ({who: statistics.median(run[k] for run in taken[verb, who]) for who in peers.names} for k in range(3))
        for who in peers.names:
            print(
                f"{name:12} {verb} {who:6} {size_mib / clock[who]:7.0f} MiB/s; processor {client[who] * 1024 / size_mib:6.2f} s/GiB, "
                f"server {behind[who] * 1024 / size_mib:6.2f} s/GiB"
                + ("" if who == "ours" else f"; ours by the clock {clock[who] / clock['ours']:.2f}, by processor {client[who] / client['ours']:.2f}"),
                flush=True,
            )
        fastest = clock["rclone"]
        if fastest / clock["ours"] < 0.8:
            below.append(f"{name} {verb} {fastest / clock['ours']:.2f}")
    return below


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--files", type=int, default=8)
    arguments.add_argument("--size-kib", type=int, default=16 * 1024, help="of each file")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--at-once", type=int, default=4, help="files that move at a time")
    arguments.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    given = arguments.parse_args()
    print(f"{given.files} files of {given.size_kib} KiB, {given.at_once} at a time, medians of {given.rounds} rounds", flush=True)
    below = [line for kind in given.only for line in measure(*KINDS[kind], given)]
    print("below 0.80 of rclone by the clock: " + (", ".join(below) or "none"))


if __name__ == "__main__":
    main()

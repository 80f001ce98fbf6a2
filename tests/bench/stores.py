"""Throughput of the drivers of offsite stores against rclone: the same files, the same server on loopback, in the same run, several at a time.
Prints MiB/s of both, the better of two rounds, and the ratio, which should be 0.80 or more. Ours also computes the SHA-256 of every file in
the measured time, when it sends and when it fetches."""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from support.program import CEILING, ROOT, environment
from support.stores import S3, Azure, Sftp, running

AT_ONCE = 4


def timed(command, variables):
    begun = time.monotonic()
    subprocess.run(command, env=environment(**variables), check=True, capture_output=True, timeout=10 * CEILING)
    return time.monotonic() - begun


def rclone_s3(server):
    return "backups/rclone", {
        "TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": f"http://127.0.0.1:{server.port}", "ACCESS_KEY_ID": server.ACCESS,
        "SECRET_ACCESS_KEY": server.SECRET, "REGION": "eu-central-1", "UPLOAD_CONCURRENCY": "4", "CHUNK_SIZE": "8M", "NO_CHECK_BUCKET": "true",
    }  # fmt: skip


def rclone_azure(server):
    return "backups/rclone", {
        "TYPE": "azureblob", "ACCOUNT": server.ACCOUNT, "KEY": server.KEY, "ENDPOINT": f"http://127.0.0.1:{server.port}/{server.ACCOUNT}",
        "CHUNK_SIZE": "8M", "UPLOAD_CONCURRENCY": "4",
    }  # fmt: skip


def rclone_sftp(server):
    return f"{server.folder}/rclone", {
        "TYPE": "sftp", "HOST": "127.0.0.1", "PORT": str(server.port), "USER": server.user, "KEY_FILE": str(server.key),
        "KNOWN_HOSTS_FILE": str(server.known_hosts), "SHELL_TYPE": "none", "MD5SUM_COMMAND": "none", "SHA1SUM_COMMAND": "none",
    }  # fmt: skip


def measure(name, kind, rclone, files, size_mib, rounds):
    binary = ROOT / "build/test/mos_store"
    best = {}
    with running(kind) as server, tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        source.mkdir()
        for i in range(files):
            (source / f"object-{i:04d}").write_bytes(os.urandom(size_mib << 20))
        for i in range(rounds):
            where, options = rclone(server)
            variables = {f"RCLONE_CONFIG_PEER_{key}": value for key, value in options.items()} | {"RCLONE_CONFIG": "/dev/null"}
            settings = server.settings() | {"OFFSITE_PREFIX": f"ours/{i}"}
            back = {who: Path(folder, f"{who}-{i}") for who in ("ours", "theirs")}
            back["ours"].mkdir()
            remote = f"peer:{where}-{i}"
            runs = {
                ("put", "theirs"): (["rclone", "copy", f"--transfers={AT_ONCE}", source, remote], variables),
                ("put", "ours"): ([binary, "put-all", source, str(AT_ONCE)], settings),
                ("get", "theirs"): (["rclone", "copy", f"--transfers={AT_ONCE}", remote, back["theirs"]], variables),
                ("get", "ours"): ([binary, "get-all", back["ours"], str(AT_ONCE)], settings),
            }
            for what, (command, given) in runs.items():
                best[what] = min(best.get(what, float("inf")), timed(command, given))
            for who in back:
                for path in source.iterdir():
                    assert (back[who] / path.name).read_bytes() == path.read_bytes(), f"{who}: {path.name} came back changed"
                shutil.rmtree(back[who])
    for verb in ("put", "get"):
        ours, theirs = (files * size_mib / best[(verb, who)] for who in ("ours", "theirs"))
        print(f"{name} {verb}: {ours:7.0f} MiB/s, rclone {theirs:7.0f} MiB/s, ratio {ours / theirs:.2f}", flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--files", type=int, default=16)
    arguments.add_argument("--size-mib", type=int, default=24)
    arguments.add_argument("--rounds", type=int, default=2)
    given = arguments.parse_args()
    for name, kind, rclone in (("S3        ", S3, rclone_s3), ("SFTP      ", Sftp, rclone_sftp), ("AZURE_BLOB", Azure, rclone_azure)):
        measure(name, kind, rclone, given.files, given.size_mib, given.rounds)


if __name__ == "__main__":
    main()

"""Nothing of what is backed up, and no secret, can be read where it does not belong."""

import os
import random
from pathlib import Path

import pytest

from support.api import pb, refused
from support.data import make_files
from support.program import BIN, Server, descendants, environment

MARK = "Zanzibar-Quokka-4711"
NAME = "unmistakable-filename-Xylophon"


def contents(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path):
    folder = make_files(tmp_path / "source" / NAME, 30, 60_000, seed=31)
    (folder / f"{NAME}.txt").write_text(f"{MARK} repeated\n" * 2000)
    (folder / "short").write_text(MARK)
    generator = random.Random(32)
    (folder / "incompressible").write_bytes(b"".join(generator.randbytes(500) + MARK.encode() for _ in range(3000)))
    os.symlink(f"/{MARK}/{NAME}", folder / "link")
    os.setxattr(folder / "short", f"user.{NAME}", MARK.encode())
    return folder


def test_repository_and_catalog_hold_no_plaintext(start, source):
    server = start(BACKUP_FILES_PATHS=source)
    client = server.client()
    client.backup("FILES", compression_enabled=False)
    client.backup("FILES", compression_enabled=True)
    pieces = [MARK.encode(), *(content[1000:1032] for content in contents(source).values() if len(content) > 2000)]
    for path, content in contents(server.repository).items():
        for piece in [*pieces, NAME.encode(), b"file-00003", b"part-3"]:
            assert piece not in content, f"{piece} in {path}"
    for path, content in contents(server.home).items():
        if "restore" not in path.parts:
            for piece in pieces:
                assert piece not in content, f"{piece} in {path}"


def test_two_repositories_from_the_same_input_share_nothing(start, source):
    stores = []
    for name in ("one", "two"):
        server = start(name, BACKUP_FILES_PATHS=source)
        server.client().backup("FILES", name="same name", compression_enabled=name == "one")
        stores.append(contents(server.repository))
    # A common run of 32 bytes covers an aligned block of 16 of the first wherever it begins.
    blocks = {}
    for path, content in stores[0].items():
        for start_at in range(0, len(content) - 15, 16):
            blocks.setdefault(content[start_at : start_at + 16], (path, start_at))
    common = []
    for path, content in stores[1].items():
        for start_at in range(len(content) - 15):
            found = blocks.get(content[start_at : start_at + 16])
            if found:
                other = stores[0][found[0]]
                before = 0
                while before < min(start_at, found[1]) and other[found[1] - before - 1] == content[start_at - before - 1]:
                    before += 1
                after = 16
                while other[found[1] + after : found[1] + after + 1] == content[start_at + after : start_at + after + 1] != b"":
                    after += 1
                if before + after >= 32:
                    common.append((found[0].name, path.name, content[start_at - before : start_at + after][:64]))
    assert not common, common[:5]
    assert sum(map(len, stores[1].values())) > 1_500_000


def test_token_is_seen_nowhere(start, source):
    server = start(BACKUP_FILES_PATHS=source, MOSAAJII_LOG_LEVEL="debug")
    token = server.token
    assert len(token) >= 32
    assert (server.home / "admin.token").stat().st_mode & 0o777 == 0o600
    client = server.client()
    seen = set()
    record = client.create("FILES")
    for _ in client.watch(record.id):
        for pid in [server.process.pid, *descendants(server.process.pid)]:
            try:
                seen.add(Path(f"/proc/{pid}/cmdline").read_bytes())
            except OSError:
                pass
    refused(server.client("wrong" + token).backups.ListBackups, pb.ListBackupsRequest(), metadata=[("authorization", "Bearer x" + token)])
    server.cli("backup", "list")
    server.stop()
    assert token not in server.log_text()
    assert not any(token.encode() in line for line in seen)
    for path, content in contents(server.home).items():
        assert path.name == "admin.token" or token.encode() not in content, path


def test_database_password_is_seen_nowhere(start, tmp_path):
    import subprocess

    password = "Tr0ub4dor-and-3"
    url = f"postgresql://shop:{password}@127.0.0.1:1/shop"
    printed = subprocess.run(
        [BIN / "mosaajii-server", "--print-config"],
        env=environment(MOSAAJII_HOME=tmp_path, DATABASE_URL=url, JWT_SECRET="jwt-" + password),
        capture_output=True,
        text=True,
    )
    assert printed.returncode == 0 and "shop" in printed.stdout and password not in printed.stdout + printed.stderr
    server = start(DATABASE_URL=url, JWT_SECRET="jwt-" + password, MOSAAJII_LOG_LEVEL="debug")
    client = server.client()
    try:
        record = client.backup("DATABASE", good=False)
        assert record.status == pb.Backup.FAILED and password not in str(record)
    except Exception as error:  # a server that knows at once that it cannot may say so at once
        assert password not in str(error)
    finally:
        server.stop()
    assert password not in server.log_text()
    for path, content in contents(server.home).items():
        assert password.encode() not in content, path


def test_what_is_written_is_for_its_owner_alone(start, source):
    server = start(BACKUP_FILES_PATHS=source)
    server.client().backup("FILES")
    assert server.keyring.stat().st_mode & 0o777 == 0o600
    for path in (server.home / "catalog.db", server.home / "admin.token"):
        assert path.stat().st_mode & 0o077 == 0, path
    for path in (server.home / "keys").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path

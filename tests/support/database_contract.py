"""What every database on a server must do, as a source and as a target. A test file of one kind imports all of it and has the fixture
`database`: a running server of that kind, and `database_of_its_own`: one that no other test uses."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from support.api import GOOD, pb, refused
from support.data import size_of
from support.program import Server, descendants, gone, wait_until

REPLACE = pb.RestoreBackupRequest.REPLACE
REFUSE = pb.RestoreBackupRequest.REFUSE


class Writer:
    """Sells until it is stopped: each sale and its move in one transaction."""

    def __init__(self, database, name):
        self.process = database.session(name)
        self.stopping = False
        self.thread = threading.Thread(target=self.write)

    def write(self):
        while not self.stopping:
            self.process.stdin.write(b"BEGIN; INSERT INTO sales(note) VALUES ('a sale'); INSERT INTO moves(note) VALUES ('its move'); COMMIT;\n")
            self.process.stdin.flush()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        self.process.stdin.close()
        assert self.process.wait() == 0


class Blocked:
    """A lock that stops a dump of the database in its middle."""

    def __init__(self, database, name, table):
        self.database = database
        self.process = database.session(name)
        self.process.stdin.write(database.lock(table).encode())
        self.process.stdin.flush()
        wait_until(lambda: database.is_locked(name, table), "the lock is held")

    def __enter__(self):
        return self

    def wait(self):
        wait_until(self.database.waits_for_lock, "the dump waits for the lock")

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture
def shop(database, request):
    """A database with two tables and the name of the test; answers its name."""
    name = request.node.name[:40]
    database.create(name)
    database.sql(
        f"CREATE TABLE sales(id {database.serial}, note TEXT); CREATE TABLE moves(id {database.serial}, note TEXT);"
        + "".join("INSERT INTO sales(note) VALUES ('s'); INSERT INTO moves(note) VALUES ('m');" for _ in range(20)),
        name,
    )
    yield name
    for left in database.databases():
        if left.startswith(name):
            database.drop(left)


def rows(database, name, table="sales"):
    return int(database.sql(f"SELECT COUNT(*) FROM {table}", name)[0][0])


def recorded(backup):
    return {table.table.split(".")[-1]: table.rows for table in backup.databases[0].tables}


def passed(job):
    return len(job.restore.checks) == 2 and all(check.passed for check in job.restore.checks)


def secret_in(folder, secret):
    return [path for path in Path(folder).rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_backup_under_live_writes_is_of_one_moment(start, database, shop):
    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    with Writer(database, shop):
        wait_until(lambda: rows(database, shop) > 100, "the writer writes")
        before = rows(database, shop)
        backup = client.backup("DATABASE")
        after = rows(database, shop)
    assert before < after, "the writer wrote nothing meanwhile"
    found = recorded(backup)
    assert found["sales"] == found["moves"] and before <= found["sales"] <= after
    assert backup.warnings == 0 and backup.databases[0].name == shop
    assert backup.databases[0].origin == database.url(shop, password="")
    job = client.restore(backup.id, database.url(f"{shop}-copy"))
    assert passed(job) and job.restore.files_restored == 1
    assert job.restore.target == database.url(f"{shop}-copy", password="")
    assert rows(database, f"{shop}-copy") == rows(database, f"{shop}-copy", "moves") == found["sales"]


def test_nothing_is_replaced_unless_asked(start, database, shop):
    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    backup = client.backup("DATABASE")
    copy = f"{shop}-copy"
    # An empty database is filled, one that holds something is not.
    database.create(copy)
    assert passed(client.restore(backup.id, database.url(copy)))
    database.sql("DELETE FROM sales; CREATE TABLE later(x INT)", copy)
    there = database.databases()
    for existing in (pb.RestoreBackupRequest.KEEP, REFUSE):
        job = client.restore(backup.id, database.url(copy), good=False, existing=existing)
        assert job.status == pb.Job.FAILED and "not empty" in job.message, job
        preview = client.restore(backup.id, database.url(copy), good=False, existing=existing, preview=True)
        assert preview.status == pb.Job.FAILED and "not empty" in preview.message
    assert rows(database, copy) == 0 and rows(database, copy, "later") == 0
    preview = client.restore(backup.id, database.url(copy), existing=REPLACE, preview=True)
    assert list(preview.restore.preview) == [shop] and rows(database, copy) == 0
    assert passed(client.restore(backup.id, database.url(copy), existing=REPLACE))
    assert rows(database, copy) == 20
    assert "later" not in database.tables(copy)
    assert database.databases() == there, "nothing is left over"


def test_in_place(start, database, shop):
    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    backup = client.backup("DATABASE")
    database.sql("DELETE FROM sales", shop)
    kept = client.restore(backup.id, in_place=True)
    assert kept.restore.files_skipped == 1 and rows(database, shop) == 0
    replaced = client.restore(backup.id, in_place=True, existing=REPLACE)
    assert passed(replaced) and rows(database, shop) == 20
    database.drop(shop)
    assert passed(client.restore(backup.id, in_place=True)) and rows(database, shop) == 20


def test_unchanged_data_is_written_once(start, database, shop):
    database.sql(database.fill("sales", 300_000), shop)
    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    first = client.backup("DATABASE")
    size = size_of(server.repository)
    second = client.backup("DATABASE")
    assert first.size > 25_000_000
    assert second.statistics.bytes_written < first.statistics.bytes_written / 100
    assert size_of(server.repository) - size < size / 100
    # Rows that go and change in the middle cost about as much as their neighbourhood.
    database.sql("DELETE FROM sales WHERE id IN (31, 32); UPDATE sales SET note = 'x' WHERE id = 30000", shop)
    third = client.backup("DATABASE")
    assert third.statistics.bytes_new < first.statistics.bytes_new / 2
    assert recorded(third)["sales"] == recorded(first)["sales"] - 2
    copy = f"{shop}-copy"
    assert passed(client.restore(third.id, database.url(copy)))
    assert database.content("sales", copy) == database.content("sales", shop)


def test_wrong_password_and_missing_database(start, database, shop):
    server = start(DATABASE_URL=database.url(shop, password="Tr0ub4dor"))
    backup = server.client().backup("DATABASE", good=False)
    assert backup.status == pb.Backup.FAILED
    assert f"{database.url(shop, password='')}: " in backup.message
    assert "authentication failed" in backup.message or "Access denied" in backup.message
    assert "Tr0ub4dor" not in str(backup) + server.log_text() and not secret_in(server.home, "Tr0ub4dor")
    missing = start("second", DATABASE_URL=database.url("nowhere"))
    backup = missing.client().backup("DATABASE", good=False)
    assert backup.status == pb.Backup.FAILED and "nowhere" in backup.message
    with socket_that_is_closed() as port:
        away = start("third", DATABASE_URL=f"{database.scheme}://u@127.0.0.1:{port}/x")
        backup = away.client().backup("DATABASE", good=False)
        assert backup.status == pb.Backup.FAILED and f"127.0.0.1:{port}/x" in backup.message


class socket_that_is_closed:
    """A port on which nobody listens, and on which nobody begins to."""

    def __enter__(self):
        import socket

        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        return self.socket.getsockname()[1]

    def __exit__(self, *_):
        self.socket.close()


def test_cancelling_ends_the_dump_and_shows_no_password(start, database, shop):
    server = start(DATABASE_URL=database.url(shop), MOSAAJII_LOG_LEVEL="debug")
    client = server.client()
    with Blocked(database, shop, "sales") as blocked:
        record = client.create("DATABASE")
        blocked.wait()
        below = descendants(server.process.pid)
        programs = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in below}
        assert any(database.dump_program in line for line in programs.values()), programs
        for pid in below:
            told = Path(f"/proc/{pid}/cmdline").read_bytes() + (b"" if pid in server.engines() else Path(f"/proc/{pid}/environ").read_bytes())
            assert database.password.encode() not in told
        client.call(client.backups.CancelBackup, pb.CancelBackupRequest(backup_id=record.id))
        for _ in client.watch(record.id):
            pass
        wait_until(lambda: all(gone(pid) for pid in below), "the programs are gone")
        wait_until(lambda: database.connections() == 0, "the sessions are closed")
    cancelled = client.get(record.id)
    assert cancelled.status == pb.Backup.CANCELLED, cancelled
    assert client.backup("DATABASE").status in GOOD
    server.stop()
    assert database.password not in server.log_text() and not secret_in(server.home, database.password)


def test_killed_engine_takes_its_programs_along(start, database, shop):
    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    with Blocked(database, shop, "sales") as blocked:
        record = client.create("DATABASE")
        blocked.wait()
        below = descendants(server.process.pid)
        for pid in server.engines():
            os.kill(pid, 9)
        wait_until(lambda: all(gone(pid) for pid in below), "the programs are gone")
    for _ in client.watch(record.id):
        pass
    assert client.get(record.id).status == pb.Backup.FAILED


def test_server_that_goes_away_in_the_middle(start, database_of_its_own, request):
    database = database_of_its_own
    database.create("shop")
    database.sql(f"CREATE TABLE a(id {database.serial}, note TEXT); CREATE TABLE b(id {database.serial}, note TEXT)", "shop")
    server = start(DATABASE_URL=database.url("shop"))
    client = server.client()
    with Blocked(database, "shop", "b") as blocked:
        record = client.create("DATABASE")
        blocked.wait()
        database.kill()
        for _ in client.watch(record.id):
            pass
    backup = client.get(record.id)
    assert backup.status == pb.Backup.FAILED and "shop" in backup.message and database.password not in str(backup), backup
    database.start()
    assert client.backup("DATABASE").status in GOOD


def test_odd_names(start, database, shop):
    name, table = f"{shop} {database.odd}", "t \"`' | tab\\x ünï 表"
    database.create(name)
    quoted = database.quote(table)
    database.sql(f"CREATE TABLE {quoted}(x INT); INSERT INTO {quoted} VALUES (1), (2), (3)", name)
    server = start(DATABASE_URL=database.url(name, socket=True))
    client = server.client()
    backup = client.backup("DATABASE")
    assert [entry.rows for entry in backup.databases[0].tables] == [3]
    assert backup.databases[0].tables[0].table.endswith(table)
    copy = f"{name} copy"
    assert passed(client.restore(backup.id, database.url(copy)))
    assert rows(database, copy, quoted) == 3
    # As a file too, under a name that a file may have.
    client.restore(backup.id, server.restore_root / "files", include=[backup.databases[0].name.replace("\\", "\\x5c")])
    assert [path.name for path in (server.restore_root / "files").iterdir()] == [name.replace("/", "_")]


def test_who_may_restore_where(start, database, shop):
    from support.api import admin

    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    backup = client.backup("DATABASE")
    token = client.call(client.admin.CreateToken, admin.CreateTokenRequest(name="op", role=admin.Token.OPERATOR)).secret
    operator = server.client(token)
    request = pb.RestoreBackupRequest(backup_id=backup.id, target=database.url(f"{shop}-copy"))
    code, message, _ = refused(operator.call, operator.backups.RestoreBackup, request)
    assert code == "PERMISSION_DENIED" and "admin" in message
    for target in ("postgresql://u:geheim@h", "mysql://u:geh/eim@h/d", "postgres://h/d?password=geheim"):
        code, message, fields = refused(
            client.call, client.backups.RestoreBackup, pb.RestoreBackupRequest(backup_id=backup.id, target=target)
        )
        assert (code, fields) == ("INVALID_ARGUMENT", ["target"]) and "geh" not in message
    other = "mysql" if database.scheme == "postgresql" else "postgresql"
    job = client.restore(backup.id, f"{other}://u:geheim@127.0.0.1/x", good=False)
    assert job.status == pb.Job.FAILED and f"no {other} database" in job.message and "geheim" not in str(job)
    # The server knows the password of its own account.
    assert passed(client.restore(backup.id, database.url(f"{shop}-copy", password="")))


def test_missing_program_is_named(start, database, shop):
    server = start(DATABASE_URL=database.url(shop), PATH="/nonexistent")
    backup = server.client().backup("DATABASE", good=False)
    assert backup.status == pb.Backup.FAILED and "is not installed" in backup.message, backup

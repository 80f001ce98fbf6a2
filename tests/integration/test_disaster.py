"""A real disaster, end to end: a PostgreSQL server with a shop's database and a tree of uploads, backed up and copied to an S3 server. The
database is dropped, the tree deleted, the backup server's state wiped. Another machine with nothing but the escrow copy of the keys and its
passphrase comes back from the bucket, and executes the plan."""

import datetime
import json
import os
import shutil
import time

import pytest

from integration.test_offsite import rebuild, wait_for_copy
from support.api import recovery as dr
from support.data import make_files
from support.databases import HOSTILE_PASSWORD, Postgres
from support.program import wait_until
from support.recovery import Recovery, Run, Step, states, step
from support.stores import S3, running

PASSPHRASE = "a passphrase that lies in a safe"
TABLES = ("products", "customers", "sales", "sale_lines", "payments")

SCHEMA = """
CREATE TABLE products(id SERIAL PRIMARY KEY, sku TEXT UNIQUE NOT NULL, name TEXT NOT NULL, price NUMERIC(10, 2) NOT NULL CHECK (price >= 0));
CREATE TABLE customers(id SERIAL PRIMARY KEY, name TEXT NOT NULL, since TIMESTAMPTZ NOT NULL, notes JSONB);
CREATE TABLE sales(id SERIAL PRIMARY KEY, customer INT REFERENCES customers(id), sold_at TIMESTAMPTZ NOT NULL, total NUMERIC(12, 2));
CREATE TABLE sale_lines(id SERIAL PRIMARY KEY, sale INT NOT NULL REFERENCES sales(id), product INT NOT NULL REFERENCES products(id), count INT);
CREATE TABLE payments(id SERIAL PRIMARY KEY, sale INT NOT NULL REFERENCES sales(id), method TEXT, amount NUMERIC(12, 2), receipt BYTEA);
CREATE INDEX sales_by_time ON sales(sold_at);
CREATE VIEW takings AS SELECT method, sum(amount) AS amount FROM payments GROUP BY method;
INSERT INTO products(sku, name, price) SELECT 'SKU-' || i, 'Product "' || i || '" äöü', i * 1.25 FROM generate_series(1, 200) i;
INSERT INTO customers(name, since, notes) SELECT 'Customer ' || i, '2020-01-01'::timestamptz + i * '1 hour'::interval,
  jsonb_build_object('vip', i % 7 = 0, 'text', repeat('n', i)) FROM generate_series(1, 100) i;
INSERT INTO sales(customer, sold_at, total) SELECT 1 + i % 100, '2024-01-01'::timestamptz + i * '1 minute'::interval, i FROM generate_series(1, 3000) i;
INSERT INTO sale_lines(sale, product, count) SELECT 1 + i % 3000, 1 + i % 200, 1 + i % 5 FROM generate_series(1, 9000) i;
INSERT INTO payments(sale, method, amount, receipt) SELECT i, CASE i % 3 WHEN 0 THEN 'cash' ELSE 'card' END, i, sha256(i::text::bytea)
  FROM generate_series(1, 3000) i;
"""


@pytest.fixture
def postgres():
    with Postgres(HOSTILE_PASSWORD) as server:
        yield server


@pytest.fixture
def s3():
    with running(S3) as server:
        yield server


def content(database):
    """What the shop would see: every row of every table, and what a view says."""
    rows = {table: database.content(table, "shop") for table in TABLES}
    return rows | {"view": database.sql("SELECT method, amount FROM takings ORDER BY method", "shop")}


def tree(top):
    """Everything below a folder, with what makes it what it is."""
    found = {}
    for path in sorted(top.rglob("*")):
        facts = path.lstat()
        what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[path.relative_to(top).as_posix()] = (facts.st_mode, facts.st_mtime_ns if path.is_file() else None, what)
    return found


def make_uploads(top):
    make_files(top, 60, 20_000)
    make_files(top / "receipts", 40, 3_000, seed=5, compressible=True)
    (top / "logo.png").symlink_to("part-0/file-00000.dat")
    (top / "empty").mkdir()
    (top / "part-1/file-00001.dat").chmod(0o640)
    (top / "Übersicht 2024.txt").write_text("sums")
    return top


def plan_for(uploads):
    return [
        step("database", "restore_backup:DATABASE", estimated_duration=10, validation_criteria=["rows(sales) = 3000", "rows(payments) >= 3000"]),
        step("verify", "verify_database", dependencies=["database"]),
        step("sum", "sql_check:SELECT sum(amount) = 4501500 FROM payments", dependencies=["database"]),
        step("uploads", "restore_backup:FILES", estimated_duration=10, validation_criteria=[f"file exists {uploads}/receipts"]),
        step("confirm", dependencies=["verify", "sum", "uploads"], assignee="the manager", validation_criteria=["a sale can be made"]),
    ]  # fmt: skip


def sealed(s3):
    listed = s3.client().list_objects_v2(Bucket="backups", Prefix="shop/one/catalog/").get("Contents", [])
    return max((int(item["Key"].rsplit("/", 1)[1]) for item in listed), default=0)


def seconds(timestamp):
    return timestamp.seconds + timestamp.nanos / 1e9


def iso(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def test_everything_is_lost_and_comes_back(postgres, s3, start, tmp_path):
    postgres.create("shop")
    postgres.sql(SCHEMA, "shop")
    uploads = make_uploads(tmp_path / "uploads")
    rows, files = content(postgres), tree(uploads)
    settings = s3.settings() | {"DATABASE_URL": postgres.url("shop"), "BACKUP_FILES_PATHS": uploads}
    server = start(**settings)
    client = server.client()
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    escrow = tmp_path / "keys.escrow"
    server.cli("key", "export", str(escrow), "--passphrase-file", str(tmp_path / "passphrase"))
    taken = [client.backup(kind) for kind in ("DATABASE", "FILES")]
    for record in taken:
        wait_for_copy(client, record.id)
    plan = Recovery(client).create(
        *plan_for(uploads), priority=dr.Plan.CRITICAL,
        contacts=[dr.Contact(name="The manager", role="manager", email="manager@example.com", priority=1)],
    )  # fmt: skip
    saved_ns = time.time_ns()
    wait_until(lambda: sealed(s3) > saved_ns, "the plan is in the bucket")
    # What happens after the last backup is lost with the machine.
    postgres.sql("INSERT INTO sales(customer, sold_at, total) VALUES (1, now(), 99)", "shop")

    # ---- The disaster ----
    postgres.drop("shop")
    shutil.rmtree(uploads)
    server.kill()
    shutil.rmtree(server.home)
    dropped = time.time()
    assert "shop" not in postgres.databases()

    # ---- A new machine: the escrow copy, its passphrase, the bucket ----
    settings["MOSAAJII_KEYRING_PASSPHRASE"] = PASSPHRASE
    home = tmp_path / "new"
    (home / "keys").mkdir(parents=True, mode=0o700)
    shutil.copy(escrow, home / "keys/keyring")
    said = rebuild(home, "s3://backups/shop/one", **settings)
    assert "2 backups were found" in said and "from its sealed copy" in said and "it can be restored" in said, said
    server = start("new", **settings)
    recovery = Recovery(server.client())
    (known,) = recovery.call("ListPlans").plans
    assert known == plan
    incident = dr.ExecutePlanRequest().incident_at
    incident.FromNanoseconds(int(dropped * 1e9))
    run = recovery.execute(known, reason="the shop has burnt down", kind=dr.ExecutePlanRequest.EMERGENCY, incident_at=incident)
    run = recovery.until(run, "confirm", Step.WAITING)
    assert content(postgres) == rows and tree(uploads) == files
    recovery.call("ApproveStep", execution_id=run.id, step_id="confirm", note="sold a coffee")
    run = recovery.end(run)
    assert run.status == Run.COMPLETED and run.message == "Completed" and set(states(run).values()) == {"SUCCEEDED"}, run
    assert content(postgres) == rows and tree(uploads) == files
    postgres.sql("INSERT INTO sales(customer, sold_at, total) VALUES (1, now(), 1)", "shop")
    assert postgres.sql("SELECT max(id) FROM sales", "shop") == [["3001"]], "the shop goes on where the backup was taken"
    # One backup was verified, and so brought, when the server came back; the other one came within its step.
    logs = "\n".join(log.message for log in run.logs)
    assert "is fetched from the location primary" in logs and "s3://backups/shop/one" in logs, logs
    assert "Preflight: the location primary" in logs and " answered within " in logs

    # ---- What was measured, against the moment of the drop ----
    oldest = min(seconds(record.created_at) for record in taken)
    assert abs(run.metrics.actual_rpo * 60 - (dropped - oldest)) < 0.01, "all that was written since is lost"
    confirmed = next(seconds(one.completed_at) for one in run.steps if one.step_id == "confirm")
    assert abs(run.metrics.actual_rto * 60 - (confirmed - dropped)) < 0.01, "until the manager had confirmed"
    assert run.metrics.waiting_minutes * 60 >= seconds(run.started_at) - dropped - 0.01, "that there was no server counts as waiting"
    path = tmp_path / "report.json"
    server.cli("dr", "report", run.id, "--to", str(path))
    key = tmp_path / "audit.key.pub"
    shutil.copy(server.home / "keys/audit.key.pub", key)
    postgres_password, log = postgres.password, server.log_text()
    server.stop()
    report = json.loads(path.read_text().splitlines()[0])
    measured = report["measured"]
    assert abs(measured["actualRTO"] - run.metrics.actual_rto) < 0.001 and abs(measured["actualRPO"] - run.metrics.actual_rpo) < 0.001
    assert measured["rtoMet"] and measured["rpoMet"] and report["plan"]["version"] == plan.version
    assert abs(iso(report["incidentAt"]) - dropped) < 0.01 and report["reason"] == "the shop has burnt down"
    outputs = {one["id"]: one["output"] for one in report["steps"]}
    assert any("Fetched from the location primary (s3://backups/shop/one" in output for output in outputs.values()), outputs
    (confirm,) = [one for one in report["steps"] if one["id"] == "confirm"]
    assert confirm["note"] == "sold a coffee" and confirm["criteria"][0]["confirmedBy"]
    assert postgres_password not in path.read_text() and postgres_password not in log and PASSPHRASE not in log

    # ---- The report holds without any server, and no other does ----
    verified = server.cli("dr", "report", "verify", str(path), "--key", str(key))
    assert "is what was signed" in verified.stdout
    signed = path.read_bytes()
    for place in range(0, len(signed) - 1, len(signed) // 12):
        forged = tmp_path / "forged.json"
        forged.write_bytes(signed[:place] + bytes([signed[place] ^ 1]) + signed[place + 1 :])
        assert server.cli("dr", "report", "verify", str(forged), "--key", str(key), check=None).returncode != 0, place

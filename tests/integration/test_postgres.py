"""PostgreSQL as a source and as a target."""

import pytest

from support.api import pb
from support.database_contract import *  # noqa: F403
from support.database_contract import REPLACE, passed, rows, secret_in
from support.databases import HOSTILE_PASSWORD, Postgres


@pytest.fixture(scope="module")
def database():
    with Postgres(HOSTILE_PASSWORD) as server:
        yield server


@pytest.fixture
def database_of_its_own():
    with Postgres() as server:
        yield server


def test_owners_rights_and_roles_come_back_on_another_server(start, database_of_its_own, database):
    first, second = database_of_its_own, database
    first.sql(
        "CREATE ROLE clerk LOGIN PASSWORD 'clerks-own'; CREATE ROLE \"night; \"\"shift\" NOLOGIN; GRANT \"night; \"\"shift\" TO clerk;"
        "CREATE ROLE known LOGIN PASSWORD 'first'"
    )
    second.sql("CREATE ROLE known LOGIN PASSWORD 'second' CONNECTION LIMIT 3")
    first.create("shop")
    first.sql(
        "CREATE SCHEMA till; CREATE TABLE till.sales(id SERIAL PRIMARY KEY, note TEXT); INSERT INTO till.sales(note) VALUES ('a'), ('b');"
        "ALTER TABLE till.sales OWNER TO clerk; GRANT USAGE ON SCHEMA till TO clerk; GRANT SELECT ON till.sales TO known;"
        "CREATE VIEW v AS SELECT * FROM till.sales; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 7';"
        "CREATE TABLE parts(x INT) PARTITION BY RANGE (x); CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (10);"
        "INSERT INTO parts VALUES (1), (2), (3); SELECT lo_from_bytea(4711, 'large object')",
        "shop",
    )
    server = start(DATABASE_URL=first.url("shop"))
    client = server.client()
    backup = client.backup("DATABASE")
    assert {table.table: table.rows for table in backup.databases[0].tables} == {"public.part1": 3, "till.sales": 2}
    job = client.restore(backup.id, second.url("shop"))
    assert passed(job), job
    assert second.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'sales'", "shop") == [["clerk"]]
    assert second.sql("SELECT count(*) FROM till.sales", "shop", user="clerk", password="clerks-own") == [["2"]]
    assert second.sql("SELECT f(), (SELECT count(*) FROM v), convert_from(lo_get(4711), 'UTF8')", "shop") == [["7", "2", "large object"]]
    assert second.sql("SELECT pg_has_role('clerk', 'night; \"shift', 'MEMBER')") == [["t"]]
    # A role that was there is left as it was.
    assert second.sql("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'known'") == [["3"]]
    assert second.sql("SELECT 1", "shop", user="known", password="second") == [["1"]]
    # The globals are a file of their own where the backup is restored as files.
    client.restore(backup.id, server.restore_root / "files")
    assert "CREATE ROLE clerk" in (server.restore_root / "files/shop.globals.sql").read_text()


def test_a_user_without_all_rights(start, database, shop):
    database.sql("CREATE ROLE plain LOGIN CREATEDB PASSWORD 'plain'")
    database.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO plain", shop)
    server = start(DATABASE_URL=database.url(shop, user="plain", password="plain"))
    client = server.client()
    record = client.create("DATABASE")
    warnings = [event.message for event in client.watch(record.id) if event.kind == pb.JobEvent.WARNING]
    assert any("without their passwords" in message for message in warnings), warnings
    backup = client.get(record.id)
    copy = f"{shop}-copy"
    job = client.restore(backup.id, database.url(copy, user="plain", password="plain"), good=False)
    assert job.status == pb.Job.SUCCEEDED_WITH_WARNINGS and passed(job), job
    assert database.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'", copy) == [["plain"]]
    # What it may not read is a failure, not a gap.
    database.sql("CREATE TABLE hidden(x INT)", shop)
    failed = client.backup("DATABASE", good=False)
    assert failed.status == pb.Backup.FAILED and "permission denied" in failed.message


def test_settings_of_a_replaced_database_stay(start, database, shop):
    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    backup = client.backup("DATABASE")
    copy = f"{shop}-copy"
    database.sql("CREATE ROLE owner_of_copy; CREATE ROLE visitor")
    database.sql(f"CREATE DATABASE \"{copy}\" TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' OWNER owner_of_copy")
    database.sql(f"ALTER DATABASE \"{copy}\" SET work_mem TO '7MB'; ALTER DATABASE \"{copy}\" SET search_path TO till, public")
    database.sql(f"REVOKE CONNECT ON DATABASE \"{copy}\" FROM PUBLIC; GRANT CONNECT ON DATABASE \"{copy}\" TO visitor")
    database.sql("CREATE TABLE old(x INT)", copy)
    facts = (
        "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, has_database_privilege('visitor', oid, 'CONNECT'), "
        "array_to_string(ARRAY(SELECT setting FROM pg_db_role_setting, unnest(setconfig) setting WHERE setdatabase = pg_database.oid ORDER BY 1), ';'), "
        f"(SELECT count(*) FROM aclexplode(datacl) WHERE grantee = 0) FROM pg_database WHERE datname = '{copy}'"
    )
    before = database.sql(facts)
    with database.session(copy) as busy:  # a session that is in the way
        assert passed(client.restore(backup.id, database.url(copy), existing=REPLACE))
        busy.stdin.close()
    assert database.sql(facts) == before
    assert before[0][4] == "search_path=till, public;work_mem=7MB"
    assert rows(database, copy, "public.sales") == 20


def test_what_does_not_come_back_whole_replaces_nothing(start, database, shop):
    database.sql(
        f"CREATE FUNCTION here() RETURNS bool LANGUAGE plpgsql AS $$BEGIN IF current_database() <> '{shop}' THEN RAISE 'not in here'; END IF; "
        "RETURN true; END$$; CREATE TABLE picky(x INT CHECK (here())); INSERT INTO picky VALUES (1)",
        shop,
    )
    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    backup = client.backup("DATABASE")
    copy = f"{shop}-copy"
    database.create(copy)
    database.sql("CREATE TABLE mine(x INT); INSERT INTO mine VALUES (1)", copy)
    there = database.databases()
    job = client.restore(backup.id, database.url(copy), good=False, existing=REPLACE)
    assert job.status == pb.Job.FAILED and "not in here" in job.message, job
    assert rows(database, copy, "mine") == 1 and database.databases() == there
    new = client.restore(backup.id, database.url(f"{shop}-new"), good=False)
    assert new.status == pb.Job.FAILED and database.databases() == there
    assert not secret_in(server.home, database.password)

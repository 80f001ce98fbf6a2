"""MySQL (MariaDB) as a source and as a target."""

import pytest

from support.api import pb
from support.database_contract import *  # noqa: F403
from support.database_contract import passed, rows
from support.databases import HOSTILE_PASSWORD, MariaDB


@pytest.fixture(scope="module")
def database():
    with MariaDB(HOSTILE_PASSWORD) as server:
        yield server


@pytest.fixture
def database_of_its_own():
    with MariaDB() as server:
        yield server


def test_everything_of_a_database_comes_back(start, database, shop):
    database.sql(
        "CREATE VIEW v AS SELECT id FROM sales; CREATE TABLE `blobs`(id INT PRIMARY KEY, b BLOB, t TEXT, g INT AS (id * 2) STORED);"
        "INSERT INTO blobs(id, b, t) VALUES (1, X'00ff0a0d2227', 'line\nbreak; INSERT INTO `sales` VALUES (1)'), (2, NULL, '');"
        "CREATE TRIGGER tr AFTER INSERT ON moves FOR EACH ROW UPDATE blobs SET t = 'fired' WHERE id = 2;"
        "CREATE EVENT ev ON SCHEDULE EVERY 1 YEAR DO DELETE FROM moves;\n"
        "DELIMITER ;;\nCREATE PROCEDURE p()\nBEGIN\nINSERT INTO `sales` VALUES (1000,'by p');\nINSERT INTO `sales` VALUES (1001,'by p');\nEND;;\n"
        "DELIMITER ;\n",
        shop,
    )
    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    backup = client.backup("DATABASE")
    assert {table.table: table.rows for table in backup.databases[0].tables} == {"blobs": 2, "moves": 20, "sales": 20}
    copy = f"{shop}-copy"
    assert passed(client.restore(backup.id, database.url(copy)))
    everything = "SELECT id, HEX(b), HEX(t), g FROM blobs ORDER BY id"
    assert database.sql(everything, copy) == database.sql(everything, shop)
    database.sql("CALL p(); INSERT INTO moves(note) VALUES ('x')", copy)
    assert rows(database, copy) == 22 and rows(database, copy, "v") == 22
    assert database.sql("SELECT t FROM blobs WHERE id = 2", copy) == [["fired"]]
    assert [row[1] for row in database.sql("SHOW EVENTS", copy)] == ["ev"]


def test_accounts_are_in_the_backup(start, database, shop):
    database.sql(f"CREATE USER 'cl`erk'@'10.0.0.%' IDENTIFIED BY 'geheim'; GRANT SELECT ON {database.quote(shop)}.* TO 'cl`erk'@'10.0.0.%'")
    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    backup = client.backup("DATABASE")
    client.restore(backup.id, server.restore_root / "files")
    accounts = (server.restore_root / f"files/{shop}.users.sql").read_text()
    assert "CREATE USER `cl``erk`@`10.0.0.%` IDENTIFIED BY PASSWORD '*" in accounts and "geheim" not in accounts
    # As they stand there, they are good SQL.
    database.sql("DROP USER 'cl`erk'@'10.0.0.%'")
    database.sql("".join(line for line in accounts.splitlines(True) if "erk" in line))
    assert database.sql("SELECT COUNT(*) FROM mysql.user WHERE User = 'cl`erk'") == [["1"]]


def test_a_user_without_all_rights(start, database, shop):
    database.sql(f"CREATE USER plain@'%' IDENTIFIED BY 'plain'; GRANT ALL ON {database.quote(shop)}.* TO plain@'%'")
    database.sql("CREATE TABLE aged(x INT) ENGINE=MyISAM; INSERT INTO aged VALUES (1)", shop)
    server = start(DATABASE_URL=database.url(shop, user="plain", password="plain"))
    client = server.client()
    record = client.create("DATABASE")
    warnings = [event.message for event in client.watch(record.id) if event.kind == pb.JobEvent.WARNING]
    assert any("accounts are not in the backup" in message for message in warnings), warnings
    assert any("without transactions" in message for message in warnings), warnings
    backup = client.get(record.id)
    assert {table.table: table.rows for table in backup.databases[0].tables} == {"aged": 1, "moves": 20, "sales": 20}
    job = client.restore(backup.id, database.url(f"{shop}-copy", user="plain", password="plain"), good=False)
    assert job.status == pb.Job.FAILED and "Access denied" in job.message


def test_character_set_of_a_replaced_database_stays(start, database, shop):
    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    backup = client.backup("DATABASE")
    copy = f"{shop}-copy"
    database.sql(f"CREATE DATABASE {database.quote(copy)} CHARACTER SET latin2 COLLATE latin2_bin")
    database.sql("CREATE TABLE old(x INT)", copy)
    assert passed(client.restore(backup.id, database.url(copy), existing=pb.RestoreBackupRequest.REPLACE))
    assert database.sql("SELECT @@character_set_database, @@collation_database", copy) == [["latin2", "latin2_bin"]]
    assert database.tables(copy) == {"sales", "moves"}


def test_what_does_not_come_back_whole_replaces_nothing(start, database, shop):
    database.sql("CREATE DEFINER=root@localhost PROCEDURE p() SELECT 1", shop)
    database.sql("CREATE USER poor@'%' IDENTIFIED BY 'poor'; GRANT CREATE, DROP, SELECT, INSERT, ALTER, LOCK TABLES, CREATE ROUTINE ON *.* TO poor@'%'")
    server = start(DATABASE_URL=database.url(shop))
    client = server.client()
    backup = client.backup("DATABASE")
    copy = f"{shop}-copy"
    database.create(copy)
    database.sql("CREATE TABLE mine(x INT); INSERT INTO mine VALUES (1)", copy)
    there = database.databases()
    target = database.url(copy, user="poor", password="poor")
    job = client.restore(backup.id, target, good=False, existing=pb.RestoreBackupRequest.REPLACE)
    assert job.status == pb.Job.FAILED and "denied" in job.message, job
    assert rows(database, copy, "mine") == 1 and database.databases() == there
    # Neither does half of it stay in a new one, or in one that was empty.
    new = client.restore(backup.id, database.url(f"{shop}-new", user="poor", password="poor"), good=False)
    assert new.status == pb.Job.FAILED and database.databases() == there
    database.sql("DROP TABLE mine", copy)
    empty = client.restore(backup.id, target, good=False)
    assert empty.status == pb.Job.FAILED and database.tables(copy) == set()

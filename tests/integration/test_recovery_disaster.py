"""A shop is lost, its database and its uploads, and a plan brings it back."""

import json
import shutil
import subprocess

import pytest

from support.api import recovery as dr
from support.data import make_files
from support.databases import HOSTILE_PASSWORD, MariaDB, Postgres
from support.program import wait_until
from support.recovery import Recovery, Run, Step, hook, states, step

PASSED, FAILED = dr.TestResult.PASSED, dr.TestResult.FAILED


@pytest.fixture(scope="module", params=[Postgres, MariaDB], ids=["postgresql", "mariadb"])
def database(request):
    with request.param(HOSTILE_PASSWORD) as server:
        yield server


def fill(database, name):
    database.create(name)
    database.sql(
        f"CREATE TABLE sales(id {database.serial}, note TEXT); CREATE TABLE products(id {database.serial}, note TEXT);"
        + "".join(f"INSERT INTO sales(note) VALUES ('sale {i}');" for i in range(60))
        + "".join(f"INSERT INTO products(note) VALUES ('product {i}');" for i in range(7)),
        name,
    )


def content(database, name):
    return [sorted(database.sql(f"SELECT id, note FROM {table}", name)) for table in ("sales", "products")]


@pytest.fixture
def shop(database, start, tmp_path):
    """(server, recovery, name of the database, uploads) of a shop that is backed up."""
    fill(database, "shop")
    uploads = make_files(tmp_path / "uploads", 50, 5000)
    server = start(DATABASE_URL=database.url("shop"), BACKUP_FILES_PATHS=uploads)
    client = server.client()
    client.backup("DATABASE")
    client.backup("FILES")
    yield server, Recovery(client), "shop", uploads
    for left in database.databases():
        if left.startswith(("shop", "mosaajii_test_")):
            database.drop(left)


def steps(uploads):
    return [
        step("database", "restore_backup:DATABASE", estimated_duration=10, validation_criteria=["rows(sales) = 60", "rows(products) >= 1"]),
        step("verify", "verify_database", dependencies=["database"]),
        step("sql", "sql_check:SELECT count(*) = 7 FROM products", dependencies=["database"]),
        step("uploads", "restore_backup:FILES", estimated_duration=10, validation_criteria=[f"file exists {uploads}/part-0/file-00000.dat"]),
    ]


def test_the_shop_comes_back(database, shop, tmp_path):
    server, recovery, name, uploads = shop
    served = server.home / "served"
    hook(server, "restart-services", f"echo restarted > {served}")
    rows = content(database, name)
    files = {path: path.read_bytes() for path in uploads.rglob("*") if path.is_file()}
    plan = recovery.create(
        *steps(uploads),
        step("restart", "restart_services", dependencies=["verify", "sql", "uploads"]),
        step("confirm", dependencies=["restart"], assignee="the manager", validation_criteria=["a sale can be made"]),
        priority=dr.Plan.CRITICAL, contacts=[dr.Contact(name="The manager", role="manager", email="manager@example.com", priority=1)],
    )  # fmt: skip
    database.drop(name)
    shutil.rmtree(uploads)
    run = recovery.until(recovery.execute(plan, reason="the machine room is flooded"), "confirm", Step.WAITING)
    assert content(database, name) == rows and served.exists()
    assert {path: path.read_bytes() for path in uploads.rglob("*") if path.is_file()} == files
    recovery.call("ApproveStep", execution_id=run.id, step_id="confirm", note="sold a coffee")
    run = recovery.end(run)
    assert run.status == Run.COMPLETED and run.message == "Completed" and set(states(run).values()) == {"SUCCEEDED"}, run
    assert 0 < run.metrics.actual_rto < 60 and 0 < run.metrics.actual_rpo < 15 and run.metrics.success_rate == 100
    path = tmp_path / "report.json"
    server.cli("dr", "report", run.id, "--to", str(path))
    server.stop()
    verified = server.cli("dr", "report", "verify", str(path), "--key", str(server.home / "keys/audit.key.pub"))
    assert "is what was signed" in verified.stdout
    report = json.loads(path.read_text().splitlines()[0])
    assert report["measured"]["rtoMet"] and report["measured"]["rpoMet"] and report["plan"]["recoveryTimeObjective"] == 60
    assert [s["status"] for s in report["steps"]] == ["SUCCEEDED"] * 6
    assert database.password not in path.read_text() and database.password not in server.log_text()


def test_a_test_has_a_database_of_its_own(database, shop):
    server, recovery, name, uploads = shop
    rows, there = content(database, name), set(database.databases())
    plan = recovery.create(*steps(uploads))
    result = recovery.result(recovery.test(plan, negative_control=True))
    assert result.overall_status == PASSED, (result, recovery.get(result).logs)
    assert content(database, name) == rows and set(database.databases()) == there, "nothing is left, nothing is changed"
    assert recovery.call("GetPlan", plan_id=plan.id).verified
    database.sql("INSERT INTO sales(note) VALUES ('one more')", name)
    assert recovery.result(recovery.test(plan)).overall_status == PASSED, "what happens in the real one is nothing to the test"
    rehearsal = recovery.result(recovery.test(plan, "PRODUCTION"))
    assert rehearsal.overall_status == FAILED and "61 rows" in str(rehearsal), "the rehearsal looks at the real one"


def test_a_step_in_a_sandbox_cannot_reach_production(database, shop):
    if database.scheme != "postgresql":
        pytest.skip("a sandbox in MySQL has no account of its own")
    server, recovery, name, _ = shop
    gate, roles = server.home / "gate", "SELECT rolname FROM pg_roles WHERE rolname LIKE 'mosaajii%'"
    hook(server, "gate", f"while [ ! -e {gate} ]; do sleep 0.05; done")
    rows, there = content(database, name), set(database.databases())
    restored = {"dependencies": ["r"], "on_failure": dr.PlanStep.CONTINUE}
    plan = recovery.create(
        step("r", "restore_backup:DATABASE"), step("v", "verify_database", **restored),
        step("owns", "sql_check:SELECT count(*) = 1 AND bool_and(datname = current_database()) FROM pg_database WHERE pg_get_userbyid(datdba) = current_user", **restored),
        step("plain", "sql_check:SELECT NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication) FROM pg_roles WHERE rolname = current_user", **restored),
        step("ends-sessions", f"sql_check:SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'", **restored),
        step("reads-files", "sql_check:SELECT pg_read_file('PG_VERSION') <> ''", **restored),
        step("gate", "hook:gate", run_kinds=[dr.PlanStep.TEST], dependencies=["v", "owns", "plain", "ends-sessions", "reads-files"]),
    )  # fmt: skip
    with database.session(name) as busy:
        busy.stdin.write(b"CREATE TABLE busy(x INT);\n")
        busy.stdin.flush()
        wait_until(lambda: database.sql(f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}'"), "somebody works in the real one")
        test = recovery.test(plan)
        recovery.until(test, "gate", Step.RUNNING)
        ((role,),) = database.sql(roles)
        # The account may not even look into the real one, nor anybody else into its own.
        for statement in ("SELECT count(*) FROM sales", "INSERT INTO sales(note) VALUES ('from the sandbox')", "DROP TABLE sales", "CREATE TABLE mine(x INT)"):
            with pytest.raises(subprocess.CalledProcessError) as refusal:
                database.sql(f'SET ROLE "{role}"; {statement}', name)
            assert b"permission denied" in refusal.value.stderr or b"must be owner" in refusal.value.stderr
        with pytest.raises(subprocess.CalledProcessError):
            database.sql(f'SET ROLE "{role}"; DROP DATABASE "{name}"')
        gate.touch()
        run = recovery.end(test)
        busy.stdin.write(b"INSERT INTO busy VALUES (7);\n")
        busy.stdin.close()
        assert busy.wait(60) == 0, "the session lives"
    assert database.sql("SELECT x FROM busy", name) == [["7"]]
    assert states(run) == {"r": "SUCCEEDED", "v": "SUCCEEDED", "owns": "SUCCEEDED", "plain": "SUCCEEDED", "ends-sessions": "FAILED", "reads-files": "FAILED", "gate": "SUCCEEDED"}, run
    messages = {s.step_id: s.message for s in run.steps}
    assert "permission denied" in messages["reads-files"] and ("must be" in messages["ends-sessions"] or "permission denied" in messages["ends-sessions"]), messages
    assert database.sql(roles) == [] and set(database.databases()) == there and content(database, name) == rows, "nothing is left, nothing is changed"
    assert not any("own account" in log.message for log in run.logs)


def test_a_sandbox_without_credentials_of_its_own_is_told_of(database, start):
    fill(database, "shop")
    if database.scheme == "postgresql":
        database.sql("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN CREATEDB PASSWORD 'plain'")
        database.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO plain", "shop")
        url, reason = database.url("shop", user="plain", password="plain"), "it may not create roles"
    else:
        url, reason = database.url("shop"), "that others may not make"
    recovery = Recovery(start(DATABASE_URL=url).client())
    recovery.client.backup("DATABASE")
    there = set(database.databases())
    result = recovery.result(recovery.test(recovery.create(step("r", "restore_backup:DATABASE"), step("v", "verify_database", dependencies=["r"]))))
    assert result.overall_status == PASSED, result
    assert any("used by the server's own account" in text and reason in text for text in result.recommendations), result
    logs = [log.message for log in recovery.get(result).logs]
    assert any(text.startswith("Preflight: the test's copy of the database shop") and reason in text for text in logs), logs
    assert any(text.startswith("The database shop of this test is used by the server's own account") and reason in text for text in logs), logs
    assert set(database.databases()) == there
    database.drop("shop")


def test_a_server_that_lets_no_new_account_in(start):
    with Postgres() as database:
        fill(database, "shop")
        (database.folder / "data/pg_hba.conf").write_text("host all admin 127.0.0.1/32 scram-sha-256\n")
        database.sql("SELECT pg_reload_conf()")
        recovery = Recovery(start(DATABASE_URL=database.url("shop")).client())
        recovery.client.backup("DATABASE")
        there = set(database.databases())
        result = recovery.result(recovery.test(recovery.create(step("r", "restore_backup:DATABASE"), step("v", "verify_database", dependencies=["r"]))))
        assert result.overall_status == PASSED, result
        logs = [log.message for log in recovery.get(result).logs]
        assert any("used by the server's own account" in text and "no pg_hba.conf entry" in text for text in logs), logs
        assert set(database.databases()) == there
        assert database.sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'mosaajii%'") == [], "what was tried is not left"


def test_rows_that_are_missing_are_told(database, shop):
    server, recovery, name, _ = shop
    plan = recovery.create(step("verify", "verify_database"))
    assert recovery.run(plan).status == Run.COMPLETED
    database.sql("DELETE FROM sales WHERE id > 50", name)
    run = recovery.run(plan)
    assert run.status == Run.FAILED and "has 50 rows; 60 were recorded" in run.message
    database.sql("DROP TABLE sales", name)
    assert recovery.run(plan).status == Run.FAILED
    run = recovery.run(recovery.create(step("s", "sql_check:SELECT count(*) > 100 FROM products")))
    assert run.status == Run.FAILED and "to the check" in run.message


def test_a_statement_cannot_change_anything(database, shop):
    if database.scheme != "postgresql":
        pytest.skip("only PostgreSQL has statements that begin with WITH and change something")
    _, recovery, name, _ = shop
    statement = "WITH gone AS (DELETE FROM sales RETURNING 1) SELECT count(*) > 0 FROM gone"
    run = recovery.run(recovery.create(step("s", f"sql_check:{statement}")))
    assert run.status == Run.FAILED and "read-only" in run.message and len(content(database, name)[0]) == 60

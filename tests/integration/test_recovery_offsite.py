"""Plans that need what lies offsite: which locations answer, and backups that are fetched before they are restored."""

import json
import shutil

import pytest

from integration.test_offsite import same, take, wait_for_copy
from support.api import recovery as dr
from support.data import make_files
from support.recovery import Recovery, Run, Step, step

EMERGENCY = dr.ExecutePlanRequest.EMERGENCY


@pytest.fixture
def source(tmp_path):
    return make_files(tmp_path / "source", 40, 30_000)


@pytest.fixture
def shop(start, tmp_path, source):
    """(server, recovery, plan, the two folders) of a shop whose configuration is backed up here and at two locations."""
    folders = [tmp_path / name for name in ("bucket", "replica")]
    for folder in folders:
        folder.mkdir()
    server = start(
        BACKUP_CONFIG_PATHS=source, OFFSITE_RETRY_SECONDS=1, OFFSITE_PROVIDER="LOCAL_REMOTE", OFFSITE_BUCKET=folders[0],
        OFFSITE_REPLICA_PROVIDER="LOCAL_REMOTE", OFFSITE_REPLICA_BUCKET=folders[1],
    )  # fmt: skip
    client = server.client()
    record, _ = take(client)
    wait_for_copy(client, record.id, location="/replica")
    recovery = Recovery(client)
    kept = tmp_path / "kept"
    shutil.copytree(source, kept)
    return server, recovery, recovery.create(step("files", "restore_backup:CONFIGURATION")), folders, kept


def report(server, run, tmp_path):
    path = tmp_path / "report.json"
    server.cli("dr", "report", run.id, "--to", str(path))
    return json.loads(path.read_text().splitlines()[0])


def lose(server, *patterns):
    for pattern in patterns:
        for path in server.repository.glob(pattern):
            path.unlink()


def logs(run):
    return "\n".join(log.message for log in run.logs)


def away(folder):
    """The location is gone; answers how to bring it back."""
    hidden = folder.rename(folder.with_name(f"hidden-{folder.name}"))
    return lambda: hidden.rename(folder)


@pytest.mark.parametrize("what", ["packs/*/*", "backups/*", "both"])
def test_what_is_not_here_is_fetched_first(what, shop, source, tmp_path):
    server, recovery, plan, folders, kept = shop
    lose(server, *(["packs/*/*", "backups/*"] if what == "both" else [what]))
    shutil.rmtree(source)
    run = recovery.execute(plan)
    events = list(recovery.watch(run))
    run = recovery.get(run)
    assert run.status == Run.COMPLETED, run
    same(kept, source)
    assert f"is fetched from the location primary (file://{folders[0]})" in logs(run), logs(run)
    assert [event for event in events if event.kind == dr.ExecutionEvent.LOG and "Fetched from the location primary" in event.log.message]
    found = report(server, run, tmp_path)
    assert f"Fetched from the location primary (file://{folders[0]})" in found["steps"][0]["output"]
    assert any("is not whole here" in finding["text"] and not finding["fatal"] for finding in found["preflight"])
    assert recovery.client.verify(recovery.client.list()[0].id).valid, "from now on it is here"


def test_its_way_is_seen_and_a_new_server_goes_on(shop, source):
    server, recovery, plan, _, kept = shop
    # Several packs, so that there is something between nothing and all.
    for number in range(4):
        make_files(source / f"more-{number}", 7, 30_000, seed=100 + number)
        take(recovery.client)
    shutil.rmtree(kept)
    shutil.copytree(source, kept)
    server.stop()
    # So slow that it can be watched.
    server.settings["OFFSITE_BANDWIDTH"] = "200K"
    server.start()
    recovery = Recovery(server.client())
    lose(server, "packs/*/*")
    shutil.rmtree(source)
    run = recovery.execute(plan)
    *_, last = recovery.watch_until(run, dr.ExecutionEvent.PROGRESS)
    assert last.step.step_id == "files" and 0 < last.step.percent <= 50, (last, recovery.get(run))
    server.kill()
    del server.settings["OFFSITE_BANDWIDTH"]
    server.start()
    recovery = Recovery(server.client())
    run = recovery.end(run)
    assert run.status == Run.COMPLETED and run.steps[0].attempt == 2, "nothing had been restored yet, so it may begin again"
    same(kept, source)


def test_damaged_content_is_fetched_again(shop, source):
    server, recovery, plan, _, kept = shop
    for pack in server.repository.glob("packs/*/*"):
        content = pack.read_bytes()
        pack.chmod(0o600)
        pack.write_bytes(content[: len(content) // 2] + bytes(1000) + content[len(content) // 2 + 1000 :])
    shutil.rmtree(source)
    run = recovery.run(plan)
    assert run.status == Run.COMPLETED, run
    same(kept, source)
    assert "content cannot be read" in logs(run) and "Healed and verified" in run.steps[0].output, run


def test_a_manifest_that_cannot_be_read_is_fetched_again(shop, source):
    server, recovery, plan, _, kept = shop
    for manifest in server.repository.glob("backups/*"):
        size = manifest.stat().st_size
        manifest.chmod(0o600)
        manifest.write_bytes(bytes(size))
    shutil.rmtree(source)
    run = recovery.run(plan)
    assert run.status == Run.COMPLETED and "manifest cannot be read" in logs(run), run
    same(kept, source)


def test_a_test_fetches_too(shop):
    server, recovery, _, _, _ = shop
    plan = recovery.create(step("files", "restore_backup:CONFIGURATION", validation_criteria=["duration <= 10m"]))
    lose(server, "packs/*/*")
    result = recovery.result(recovery.test(plan))
    assert result.overall_status == dr.TestResult.PASSED, result
    assert any("is fetched first" in text for text in result.recommendations), result


def test_locations_that_answer_are_told(shop, tmp_path):
    server, recovery, plan, folders, _ = shop
    run = recovery.run(plan)
    assert run.status == Run.COMPLETED
    found = {finding["text"].split(" answered")[0]: finding for finding in report(server, run, tmp_path)["preflight"]}
    for name, folder in zip(("primary", "replica"), folders, strict=True):
        assert found[f"the location {name} (file://{folder})"]["note"], found
    assert "Preflight: the location primary" in logs(run) and "does not answer" not in logs(run)
    result = recovery.result(recovery.test(plan))
    assert not [text for text in result.recommendations if "location" in text], "what is well needs no advice"


def test_a_location_that_is_down_matters_where_it_is_needed(shop, source, tmp_path):
    server, recovery, plan, folders, kept = shop
    back = away(folders[0])
    run = recovery.run(plan)
    assert run.status == Run.COMPLETED, "all that it needs is here"
    (finding,) = [finding for finding in report(server, run, tmp_path)["preflight"] if "primary" in finding["text"]]
    assert "does not answer; what the plan needs is here" in finding["text"] and not finding["fatal"] and not finding["note"]
    lose(server, "packs/*/*")
    shutil.rmtree(source)
    run = recovery.run(plan)
    assert run.status == Run.COMPLETED and "is fetched from the location replica" in logs(run), run
    same(kept, source)
    away(folders[1])
    lose(server, "packs/*/*")
    shutil.rmtree(source)
    run = recovery.run(plan)
    assert run.status == Run.FAILED and "no location that has it answers: primary" in run.message and "; replica" in run.message, run
    assert not run.steps[0].attempt and not source.exists(), "nothing was begun"
    run = recovery.run(plan, kind=EMERGENCY)
    assert run.status == Run.FAILED and run.steps[0].status == Step.FAILED, run
    assert "from the location primary" in run.message, run
    back()
    assert recovery.run(plan).status == Run.COMPLETED
    same(kept, source)


def test_without_any_copy_it_is_said(start, source):
    server = start(BACKUP_CONFIG_PATHS=source)
    client = server.client()
    recovery = Recovery(client)
    record = client.backup("CONFIGURATION")
    plan = recovery.create(step("files", "restore_backup:CONFIGURATION"))
    assert recovery.run(plan).status == Run.COMPLETED
    lose(server, "packs/*/*")
    run = recovery.run(plan)
    assert run.status == Run.FAILED and record.id in run.message and "no location has a complete copy of it" in run.message, run

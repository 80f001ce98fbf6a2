"""The command line as scripts and people use it."""

import json
import os
import pty
import re
import subprocess

import pytest

from support.contract import BACKUP, UUID, VERIFICATION, check
from support.data import digest, make_files
from support.program import BIN, environment


@pytest.fixture(scope="module")
def server(start_shared, tmp_path_factory):
    source = make_files(tmp_path_factory.mktemp("source") / "data", 21, 4000)
    (source / "odd \x1b[31mname\n").write_text("odd")
    server = start_shared(BACKUP_FILES_PATHS=source, BACKUP_CONFIG_PATHS=source / "part-1")
    server.source = source
    return server


@pytest.fixture(scope="module")
def backup(server):
    return server.cli_json("backup", "create", "--type", "FILES", "--name", "for scripts", "--tag", "cli", "--tag", "two", "--wait")


def clean(text):
    """No control characters but newlines and tabs."""
    found = re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert not found, found


def test_create_answers_the_record(backup):
    check(backup, BACKUP)
    assert UUID.fullmatch(backup["id"])
    assert (backup["name"], backup["type"], backup["status"], backup["tags"]) == ("for scripts", "FILES", "VERIFIED", ["cli", "two"])
    assert backup["size"] >= 84_000 and backup["statistics"]["files"] == 22


def test_create_without_waiting_answers_at_once(server):
    record = server.cli_json("backup", "create", "--type", "CONFIGURATION", "--retention-days", "3", "--no-wait")
    check(record, BACKUP)
    assert record["retentionDays"] == 3 and record["status"] in ("PENDING", "IN_PROGRESS")
    followed = server.cli("backup", "watch", record["id"])
    clean(followed.stdout + followed.stderr)
    assert server.cli_json("backup", "show", record["id"])["status"] == "VERIFIED"
    # Without a terminal, and without being told, it does not wait either.
    plain = server.cli("backup", "create", "--type", "CONFIGURATION")
    assert re.search(UUID, plain.stdout), plain


def test_watch_as_json_is_one_event_a_line(server, backup):
    lines = [json.loads(line) for line in server.cli("backup", "watch", backup["id"], "-o", "json").stdout.splitlines()]
    assert [line["sequence"] for line in lines] == sorted(line["sequence"] for line in lines)
    assert lines[0]["kind"] == "QUEUED" and lines[-1]["kind"] == "FINISHED" and lines[-1]["jobStatus"] == "SUCCEEDED"


def test_list_and_filters(server, backup):
    rows = server.cli_json("backup", "list")
    check(rows, [BACKUP])
    assert backup["id"] in [row["id"] for row in rows]
    assert [row["createdAt"] for row in rows] == sorted((row["createdAt"] for row in rows), reverse=True)
    assert {row["id"] for row in server.cli_json("backup", "list", "--tag", "two")} == {backup["id"]}
    assert server.cli_json("backup", "list", "--tag", "absent") == []
    assert all(row["type"] == "FILES" for row in server.cli_json("backup", "list", "--type", "FILES"))
    assert server.cli_json("backup", "list", "--status", "FAILED") == []
    table = server.cli("backup", "list").stdout
    clean(table)
    assert "for scripts" in table and "VERIFIED" in table


def test_show(server, backup):
    check(server.cli_json("backup", "show", backup["id"]), BACKUP)
    text = server.cli("backup", "show", backup["id"]).stdout
    clean(text)
    assert backup["id"] in text and "for scripts" in text


def test_files(server, backup):
    top = server.cli_json("backup", "files", backup["id"], str(server.source))
    paths = [entry["path"] for entry in top]
    assert f"{server.source}/part-1" in paths and len(paths) == 8
    assert {entry["type"] for entry in top} == {"DIRECTORY", "FILE"}
    text = server.cli("backup", "files", backup["id"], str(server.source)).stdout
    clean(text)
    assert "part-1" in text
    assert server.cli("backup", "files", backup["id"], "/no/such/folder", check=4).stderr


def test_verify(server, backup):
    result = server.cli_json("backup", "verify", backup["id"])
    check(result, VERIFICATION)
    assert result["valid"] is True and result["errors"] == []
    clean(server.cli("backup", "verify", backup["id"]).stdout)


def test_restore_to_a_target(server, backup):
    target = server.restore_root / "all"
    job = server.cli_json("backup", "restore", backup["id"], "--target", target, "--wait")
    assert job["status"] == "SUCCEEDED" and job["restore"]["filesFailed"] == 0
    assert digest(f"{target}{server.source}") == digest(server.source)
    some = server.restore_root / "some"
    result = server.cli("backup", "restore", backup["id"], "--target", some, "--include", f"{server.source}/part-2", "--wait")
    clean(result.stdout + result.stderr)
    assert digest(f"{some}{server.source}").keys() == {f"part-2/file-{n:05}.dat" for n in (2, 9, 16)}
    (target / str(server.source)[1:] / "part-2/file-00002.dat").write_text("changed")
    server.cli("backup", "restore", backup["id"], "--target", target, "--overwrite", "--wait")
    assert digest(f"{target}{server.source}") == digest(server.source)
    assert server.cli("backup", "restore", backup["id"], "--target", "/etc/elsewhere", "--wait", check=None).returncode in (1, 2)


def test_restore_in_place(server, backup):
    victim = server.source / "part-3/file-00003.dat"
    before = victim.read_bytes()
    victim.unlink()
    server.cli("backup", "restore", backup["id"], "--in-place", "--include", victim, "--wait")
    assert victim.read_bytes() == before


def test_delete_asks_for_yes(server):
    record = server.cli_json("backup", "create", "--type", "CONFIGURATION", "--wait")
    server.cli("backup", "delete", record["id"], check=2)
    assert server.cli_json("backup", "show", record["id"])["id"] == record["id"]
    answer = server.cli("backup", "delete", record["id"], "--yes")
    assert answer.stdout.strip()
    clean(answer.stdout)
    server.cli("backup", "show", record["id"], check=4)


def test_exit_codes(server, backup, tmp_path):
    absent = "01890000-0000-7000-8000-000000000000"
    for command in ("show", "verify", "watch", "files"):
        missing = server.cli("backup", command, absent, check=4)
        assert missing.stderr.count("\n") == 1 and "Traceback" not in missing.stderr
    for wrong in (
        ["backup", "create"],
        ["backup", "create", "--type", "EVERYTHING"],
        ["backup", "create", "--type", "FILES", "--retention-days", "-4"],
        ["backup", "create", "--type", "FILES", "--no-such-option"],
        ["backup", "list", "--status", "WHATEVER"],
        ["backup", "show"],
        ["backup", "show", backup["id"], "too", "many"],
        ["backup", "explode"],
        ["explode"],
        ["backup", "list", "-o", "xml"],
        [],
    ):
        assert server.cli(*wrong, check=2).stderr.strip(), wrong
    server.cli("backup", "list", MOSAAJII_TOKEN="not-the-token", check=5)
    server.cli("backup", "list", MOSAAJII_HOME=tmp_path, check=5)
    server.cli("backup", "list", MOSAAJII_SERVER="127.0.0.1:1", check=6)
    server.cli("backup", "list", MOSAAJII_NO_SUCH="1", check=2)
    failed = server.cli("backup", "create", "--type", "DATABASE", "--wait", check=1)
    assert "DATABASE_URL" in failed.stderr


def test_token_from_environment_and_file(server, tmp_path):
    server.cli("backup", "list", MOSAAJII_HOME=tmp_path, MOSAAJII_TOKEN=server.token)
    (tmp_path / "token").write_text(server.token + "\n")
    server.cli("backup", "list", MOSAAJII_HOME=tmp_path, MOSAAJII_TOKEN_FILE=tmp_path / "token")


def test_health_needs_no_token(server, tmp_path):
    assert server.cli("health", MOSAAJII_TOKEN="mos_wrong").stdout == "SERVING\n"
    assert server.cli_json("health", MOSAAJII_HOME=tmp_path) == {"status": "SERVING"}
    nobody = server.cli("health", check=6, MOSAAJII_SERVER="127.0.0.1:1")
    assert "not reachable" in nobody.stderr and not nobody.stdout


def test_help_everywhere(server):
    for words in (["--help"], ["backup", "--help"], *(["backup", name, "--help"] for name in
                  ("create", "list", "show", "files", "verify", "restore", "delete", "watch"))):  # fmt: skip
        text = server.cli(*words).stdout
        clean(text)
        assert "mosaajii" in text


def test_progress_on_a_terminal(server):
    """On a terminal it waits by itself, shows a bar, and leaves no escape sequence open."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [BIN / "mosaajii", "backup", "create", "--type", "FILES"],
        env=environment(MOSAAJII_HOME=server.home, MOSAAJII_SERVER=server.address) | {"TERM": "xterm-256color"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    assert process.wait(60) == 0, shown
    newest = server.cli_json("backup", "list")[0]
    assert newest["status"] == "VERIFIED", "it waited for the end"
    assert b"\x1b[31mname" not in shown


def test_names_that_would_steer_a_terminal(server):
    client = server.client()
    record = client.backup("CONFIGURATION", name="evil \x1b]0;title\x07 \u009b31m name", tags=["\x1b[2J"])
    for words in (["list"], ["show", record.id], ["watch", record.id]):
        for form in ([], ["-o", "json"]):
            result = server.cli("backup", *words, *form)
            clean(result.stdout + result.stderr)
    assert server.cli_json("backup", "show", record.id)["name"] == record.name
    client.delete(record.id)


def test_output_that_nobody_reads(server):
    process = subprocess.Popen(
        [BIN / "mosaajii", "backup", "list"],
        env=environment(MOSAAJII_HOME=server.home, MOSAAJII_SERVER=server.address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(60) in (0, 1, -13) and b"Assertion" not in errors


def test_commands_to_come_say_so(server):
    for words in (["schedule", "list"], ["key", "list"], ["audit", "verify"], ["token", "list"], ["alert", "list"], ["offsite", "list"]):
        result = server.cli(*words, check=None)
        assert result.returncode in (0, 1, 2), (words, result)
        assert result.returncode == 0 or result.stderr.strip()


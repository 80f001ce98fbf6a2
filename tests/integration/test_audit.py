"""The audit trail: what stands in it, and that nobody changes it unseen."""

import hashlib
import json
import sqlite3

import pytest

from support.api import admin, pb, refused
from support.data import make_files


def entries(client, **fields):
    """Oldest first."""
    answer = client.call(client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(page_size=1000, **fields))
    return list(reversed(answer.entries))


def verify(client):
    return client.call(client.admin.VerifyAudit, admin.VerifyAuditRequest())


def export(client, **fields):
    chunks = client.admin.ExportAudit(admin.ExportAuditRequest(**fields), metadata=client.metadata, timeout=60)
    return b"".join(chunk.data for chunk in chunks).decode().splitlines()


@pytest.fixture
def server(start, tmp_path):
    make_files(tmp_path / "source", 5, 2000)
    return start(BACKUP_FILES_PATHS=tmp_path / "source", MOSAAJII_LOG_LEVEL="debug")


def change(server, *statements):
    """Somebody with the file at hand and the server stopped."""
    server.stop()
    database = sqlite3.connect(server.home / "catalog.db")
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
    server.start()
    return server.client()


def test_every_change_every_refusal_and_what_happens_by_itself(server):
    client = server.client()
    backup = client.backup("FILES", name="the name", tags=["one", "two"])
    made = client.call(client.admin.CreateToken, admin.CreateTokenRequest(name="looker", role=admin.Token.VIEWER))
    looker = server.client(made.secret)
    looker.list()
    assert refused(looker.delete, backup.id)[0] == "PERMISSION_DENIED"
    assert refused(server.client("mos_" + "x" * 43).list)[0] == "UNAUTHENTICATED"
    client.call(client.admin.RevokeToken, admin.RevokeTokenRequest(token_id=made.token.id))
    deletion = client.delete(backup.id)

    found = entries(client)
    assert [entry.sequence for entry in found] == list(range(1, len(found) + 1))
    told = [(entry.actor, entry.action, entry.resource, entry.result) for entry in found]
    for expected in [
        ("system", "Server.Start", "", "OK"),
        ("admin", "BackupService.CreateBackup", backup.id, "OK"),
        ("admin", "Job.BACKUP", backup.id, "OK"),
        ("admin", "Job.VERIFY", backup.id, "OK"),
        ("admin", "AdminService.CreateToken", made.token.id, "OK"),
        ("looker", "BackupService.DeleteBackup", backup.id, "PERMISSION_DENIED"),
        ("unknown", "BackupService.ListBackups", "", "UNAUTHENTICATED"),
        ("admin", "AdminService.RevokeToken", made.token.id, "OK"),
        ("admin", "BackupService.DeleteBackup", backup.id, "OK"),
        ("admin", "Job.DELETE", backup.id, "OK"),
    ]:
        assert told.count(expected) == 1, (expected, told)
    # What only reads is not there.
    assert not [entry for entry in told if entry[1].split(".")[1].startswith(("List", "Get", "Watch")) and entry[3] == "OK"]
    by_action = {entry.action: entry for entry in found}
    created = by_action["BackupService.CreateBackup"]
    assert created.ip_address == "127.0.0.1"
    assert created.details["name"] == "the name" and created.details["tags"] == "one,two" and created.details["type"] == "FILES"
    deleted = by_action["Job.DELETE"]
    assert deleted.details["packsRemoved"].split(",") == list(deletion.packs_removed) and deletion.packs_removed
    assert deleted.details["packsRemovedCount"] == str(deletion.packs_removed_count) == str(len(deletion.packs_removed))
    assert verify(client).valid
    assert [entry.action for entry in entries(client, resource=made.token.id)] == [
        "AdminService.CreateToken", "AdminService.RevokeToken",
    ]  # fmt: skip
    assert entries(client, actor="looker") and not entries(client, actor="nobody")


def test_pages_and_wrong_requests(server):
    client = server.client()
    for number in range(5):
        client.call(client.admin.CreateToken, admin.CreateTokenRequest(name=f"t{number}", role=admin.Token.VIEWER))
    seen, token = [], ""
    while True:
        page = client.call(client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(page_size=2, page_token=token))
        seen += [entry.sequence for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted(seen, reverse=True) and len(seen) == len(set(seen)) >= 6
    assert refused(client.call, client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(page_size=-1))[2] == ["pageSize"]
    assert refused(export, client, after_sequence=-1)[2] == ["afterSequence"]


def test_offline_verification_of_an_export(server, tmp_path):
    client = server.client()
    for number in range(10):
        client.call(client.admin.CreateToken, admin.CreateTokenRequest(name=f"t{number}", role=admin.Token.VIEWER))
    path = tmp_path / "trail.jsonl"
    server.cli("audit", "export", str(path))
    key = server.home / "keys/audit.key.pub"
    folder = server.repository / "audit"
    server.stop()
    lines = path.read_text().splitlines()

    def check(changed, *arguments):
        copy = tmp_path / "changed.jsonl"
        copy.write_text("".join(line + "\n" for line in changed))
        result = server.cli(
            "audit", "verify", str(copy), "--key", str(key), *arguments, "-o", "json", check=None, MOSAAJII_SERVER="127.0.0.1:1"
        )
        answer = json.loads(result.stdout)
        assert result.returncode == (0 if answer["valid"] else 1), result.stderr
        return answer

    def at(sequence):
        return next(number for number, line in enumerate(lines) if json.loads(line).get("entry") == sequence)

    whole = check(lines)
    assert whole["valid"] and whole["entriesChecked"] >= 11 and whole["checkpointsChecked"] >= 1, whole
    altered = json.loads(lines[at(5)])
    altered["actor"] = "somebody else"
    assert check(lines[: at(5)] + [json.dumps(altered)] + lines[at(5) + 1 :])["firstBadSequence"] == 5
    added = lines[at(5)].replace('{"entry":5,', '{"entry":5,"note":"nobody wrote this",')
    assert not check(lines[: at(5)] + [added] + lines[at(5) + 1 :])["valid"]
    removed = check(lines[: at(5)] + lines[at(5) + 1 :])
    assert removed["firstBadSequence"] == 5
    moved = lines.copy()
    moved[at(5)], moved[at(7)] = moved[at(7)], moved[at(5)]
    assert check(moved)["firstBadSequence"] == 5
    assert check(lines[: at(8)])["firstBadSequence"] > 0, "an end that nobody signed for"
    beheaded = check(lines[at(5) :])
    assert beheaded["firstBadSequence"] == 1 and "missing" in beheaded["message"], "nobody said that it begins later"
    assert check(lines[at(5) :], "--after", "4")["valid"]
    assert check(lines[at(6) :], "--after", "4")["firstBadSequence"] == 5
    # Cut off behind an older checkpoint it fits in itself; what lies beside the backups knows better.
    last = max(number for number, line in enumerate(lines) if "checkpoint" in json.loads(line))
    assert last == len(lines) - 1
    assert check(lines, "--checkpoints", str(folder))["message"], "the server went on after the export"
    forged = json.loads(lines[last])
    forged["signature"] = "00" * 64
    assert not check(lines[:last] + [json.dumps(forged)])["valid"]
    assert not check(lines[:3] + ["{}"] + lines[3:])["valid"]
    assert server.cli("audit", "verify", str(tmp_path / "none"), check=None).returncode == 4


@pytest.mark.parametrize(
    "statements, first_bad, word",
    [
        (["UPDATE audit_entries SET actor = 'nobody' WHERE sequence = 4"], 4, "altered"),
        (["UPDATE audit_entries SET details = '{}' WHERE sequence = 4"], 4, "altered"),
        (["UPDATE audit_entries SET details = 'x' WHERE sequence = 4"], 4, "altered"),
        (["UPDATE audit_entries SET hash = zeroblob(32) WHERE sequence = 4"], 4, "altered"),
        (["DELETE FROM audit_entries WHERE sequence = 4"], 4, "missing"),
        (["DELETE FROM audit_entries WHERE sequence <= 3"], 1, "missing"),
        (["DELETE FROM audit_entries WHERE sequence >= 6"], 6, "missing"),
        (["DELETE FROM audit_entries"], 1, "missing"),
        (["DELETE FROM audit_entries WHERE sequence >= 6", "DELETE FROM audit_checkpoints"], 6, "missing"),
        (
            [
                "UPDATE audit_entries SET sequence = -4 WHERE sequence = 4",
                "UPDATE audit_entries SET sequence = 4 WHERE sequence = 5",
                "UPDATE audit_entries SET sequence = 5 WHERE sequence = -4",
            ],
            4,
            "altered",
        ),
        (["INSERT INTO audit_entries SELECT 900, time, actor, ip_address, action, resource, result, details, previous, hash "
          "FROM audit_entries WHERE sequence = 4"], None, ""),
    ],
)  # fmt: skip
def test_rows_changed_by_hand(server, statements, first_bad, word):
    client = server.client()
    for number in range(8):
        client.call(client.admin.CreateToken, admin.CreateTokenRequest(name=f"t{number}", role=admin.Token.VIEWER))
    assert verify(client).valid
    client = change(server, *statements)
    answer = verify(client)
    assert not answer.valid
    if first_bad:
        assert answer.first_bad_sequence == first_bad and word in answer.message, answer
    # What was found out stays so, and what comes after is recorded all the same.
    # The server's own acts, such as its look at the keys, come when they come.
    def by_callers():
        return len([entry for entry in entries(client) if entry.actor != "system"])

    before = by_callers()
    client.call(client.admin.CreateToken, admin.CreateTokenRequest(name="later", role=admin.Token.VIEWER))
    assert by_callers() == before + 1
    assert not verify(client).valid
    assert json.loads(server.cli("audit", "verify", "-o", "json", check=1).stdout)["firstBadSequence"] == answer.first_bad_sequence


def test_the_end_cut_off_while_the_server_runs(server):
    client = server.client()
    for number in range(4):
        client.call(client.admin.CreateToken, admin.CreateTokenRequest(name=f"t{number}", role=admin.Token.VIEWER))
    last = entries(client)[-1].sequence
    database = sqlite3.connect(server.home / "catalog.db", timeout=30)
    database.execute("DELETE FROM audit_entries WHERE sequence = ?", (last,))
    database.commit()
    database.close()
    answer = verify(client)
    assert not answer.valid and answer.first_bad_sequence == last
    client.call(client.admin.CreateToken, admin.CreateTokenRequest(name="later", role=admin.Token.VIEWER))
    assert verify(client).first_bad_sequence == last


def test_checkpoints_lie_beside_the_backups_and_survive_the_catalog(server):
    client = server.client()
    for number in range(4):
        client.call(client.admin.CreateToken, admin.CreateTokenRequest(name=f"t{number}", role=admin.Token.VIEWER))
    server.stop()
    files = sorted((server.repository / "audit").iterdir())
    assert files and all(file.stat().st_size == 150 and file.stat().st_mode & 0o077 == 0 for file in files)
    lost = int(files[-1].name)
    for name in ("catalog.db", "catalog.db-wal", "catalog.db-shm"):
        (server.home / name).unlink(missing_ok=True)
    server.start()
    client = server.client()
    # The trail goes on where it was signed for last, and says what is missing.
    assert min(entry.sequence for entry in entries(client)) == lost + 1
    assert verify(client).first_bad_sequence == 1
    assert [entry.action for entry in entries(client)][:1] == ["Audit.Broken"]


def test_restart_and_kill_go_on_with_the_chain(server):
    client = server.client()
    client.call(client.admin.CreateToken, admin.CreateTokenRequest(name="a", role=admin.Token.VIEWER))
    server.restart()
    client = server.client()
    client.call(client.admin.CreateToken, admin.CreateTokenRequest(name="b", role=admin.Token.VIEWER))
    server.kill()
    server.start()
    client = server.client()
    assert verify(client).valid
    actions = [entry.action for entry in entries(client)]
    assert actions.count("Server.Start") == 3 and actions.count("Server.Stop") == 1 and actions.count("AdminService.CreateToken") == 2


def test_no_secret_in_it(server):
    client = server.client()
    made = client.call(client.admin.CreateToken, admin.CreateTokenRequest(name="x", role=admin.Token.VIEWER))
    refused(client.call, client.backups.RestoreBackup, pb.RestoreBackupRequest(
        backup_id="01890a5d-ac96-774b-bcce-b302099a8057", target="postgresql://shop:hunter22@localhost/shop"))  # fmt: skip
    text = "\n".join(export(client))
    assert "RestoreBackup" in text
    for secret in (server.token, made.secret, "hunter22", hashlib.sha256(made.secret.encode()).hexdigest()):
        assert secret not in text


def test_nothing_secret_is_given_that_does_not_stand_in_the_trail(server):
    client = server.client()
    ask = admin.ExportKeysRequest(passphrase="a passphrase of some length")
    blocker = sqlite3.connect(server.home / "catalog.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    code, message, _ = refused(client.call, client.admin.ExportKeys, ask)
    blocker.execute("ROLLBACK")
    assert code == "UNAVAILABLE" and "audit trail" in message
    assert client.call(client.admin.ExportKeys, ask).content
    assert [entry.result for entry in entries(client, action="AdminService.ExportKeys")] == ["BEGUN", "OK"]

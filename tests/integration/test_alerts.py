"""Alerts from their real causes to a real mail server and a webhook, acknowledged and resolved; and nothing lost over restarts and
receivers that are away."""

import os
import random
import re
import shutil
import signal
import subprocess
import threading
from datetime import date, timedelta
from pathlib import Path

import grpc
import pytest

from support.api import alert, admin, pb, refused
from support.data import make_files
from support.kms import Aws
from support.program import wait_until
from support.receivers import MailServer, Web

QUICK = {"MONITOR_INTERVAL_SECONDS": 1, "ALERT_RETRY_SECONDS": 1, "ALERT_EMAILS": "one@shop.example, two@shop.example"}
Type, Severity, Kind = alert.Alert.Type, alert.Alert.Severity, alert.AlertEvent


@pytest.fixture
def mail(tmp_path):
    server = MailServer(tmp_path / "mail")
    yield server
    server.stop()


@pytest.fixture
def web():
    server = Web()
    yield server
    server.stop()


@pytest.fixture
def source(tmp_path):
    return make_files(tmp_path / "source", 10, 3000)


@pytest.fixture
def told(start, mail, web, source):
    """told(**settings): a server whose alerts go to both receivers."""

    def start_server(**settings):
        return start(**{"BACKUP_FILES_PATHS": source} | QUICK | mail.settings() | web.settings() | settings)

    return start_server


def alerts(client, **fields):
    return list(client.call(client.alerts.ListAlerts, alert.ListAlertsRequest(page_size=1000, **fields)).alerts)


def of_type(client, word, open_only=True):
    found = alerts(client, type=Type.Value(word))
    return [row for row in found if not (open_only and row.HasField("resolved_at"))]


def raised(client, word):
    rows = wait_until(lambda: of_type(client, word), f"an open {word} alert")
    assert len(rows) == 1, rows
    return rows[0]


def resolved(client, row):
    def gone():
        found = client.call(client.alerts.GetAlert, alert.GetAlertRequest(alert_id=row.id))
        return found if found.HasField("resolved_at") else None

    return wait_until(gone, f"the end of the {Type.Name(row.type)} alert")


def told_once(mail, web, row, event="RAISED"):
    """Each receiver was told, and once."""
    wait_until(lambda: [m for _, m in web.messages() if m["event"] == event and m["alert"]["id"] == row.id], "the webhook")
    mark = "" if event == "RAISED" else f"{event} "
    subject = f"[Mosaajii Backup] {mark}{Severity.Name(row.severity)}: "

    def mails():
        return [to[0] for to, title, text in mail.texts() if title.startswith(subject) and row.message in text]

    wait_until(lambda: len(mails()) >= 2, f"two mails that begin with {subject}")
    assert sorted(mails()) == ["one@shop.example", "two@shop.example"]
    posts = [m for _, m in web.messages() if m["event"] == event and m["alert"]["id"] == row.id]
    assert len(posts) == 1 and posts[0]["alert"]["message"] == row.message
    assert all(tls and login for _, _, tls, login in mail.mails)


def acknowledge(client, row, note="seen"):
    return client.call(client.alerts.AcknowledgeAlert, alert.AcknowledgeAlertRequest(alert_id=row.id, note=note))


def test_a_backup_that_fails_and_works_again(told, mail, web, source, tmp_path):
    server = told()
    client = server.client()
    aside = tmp_path / "aside"
    source.rename(aside)
    gone = raised(client, "ANOMALY")
    assert gone.severity == Severity.Value("CRITICAL") and str(source) in gone.message
    record = client.backup("FILES", good=False)
    assert record.status == pb.Backup.FAILED
    failed = raised(client, "BACKUP_FAILED")
    assert failed.backup_id == record.id and failed.count == 1 and not failed.acknowledged
    told_once(mail, web, failed)
    told_once(mail, web, gone)
    # Again: the same alert, counted up, and nobody is told twice.
    again = client.backup("FILES", good=False)
    row = wait_until(lambda: [r for r in of_type(client, "BACKUP_FAILED") if r.count == 2], "a second count")[0]
    assert row.id == failed.id and row.backup_id == again.id
    answer = acknowledge(client, failed, "the disk is on its way")
    assert answer.message and answer.alert.acknowledged and answer.alert.note == "the disk is on its way"
    assert answer.alert.acknowledged_by and answer.alert.HasField("acknowledged_at")
    assert failed.id in {r.id for r in alerts(client, acknowledged=True)}
    assert failed.id not in {r.id for r in alerts(client, acknowledged=False)}
    aside.rename(source)
    client.backup("FILES")
    over = resolved(client, failed)
    assert over.acknowledged and over.note == "the disk is on its way"
    resolved(client, gone)
    wait_until(lambda: web.of_type("BACKUP_FAILED", "RESOLVED"), "the webhook is told of the end")
    assert len(web.of_type("BACKUP_FAILED")) == 1
    # A completed backup is an alert too, but nobody is woken for it.
    done = wait_until(lambda: of_type(client, "BACKUP_COMPLETED", open_only=False), "a BACKUP_COMPLETED alert")[0]
    assert done.severity == Severity.Value("INFO") and done.HasField("resolved_at")
    assert not web.of_type("BACKUP_COMPLETED")
    # Deliveries and the acknowledgement stand in the audit trail, the addresses of secrets do not.
    entries = client.call(client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(page_size=1000)).entries
    delivered = [e for e in entries if e.action == "Alert.Deliver" and e.resource == failed.id and e.result == "OK"]
    assert {e.details["receiver"] for e in delivered} == {"mail:one@shop.example", "mail:two@shop.example", "webhook"}
    assert [e for e in entries if e.action == "AlertService.AcknowledgeAlert" and e.resource == failed.id]
    assert "in-the-url" not in str(entries) + server.log_text()
    assert client.call(client.admin.VerifyAudit, admin.VerifyAuditRequest()).valid


def test_a_damaged_backup(told, mail, web):
    server = told()
    client = server.client()
    record = client.backup("FILES")
    packs = sorted(path for path in server.repository.rglob("*") if path.is_file() and "pack" in str(path))
    path = max(packs, key=lambda p: p.stat().st_size)
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert not client.verify(record.id).valid
    row = raised(client, "VERIFICATION_FAILED")
    assert row.severity == Severity.Value("CRITICAL") and row.backup_id == record.id
    told_once(mail, web, row)
    acknowledge(client, row)
    client.delete(record.id)
    resolved(client, row)


def test_old_backups_are_verified_again(start, source):
    server = start(BACKUP_FILES_PATHS=source, MONITOR_INTERVAL_SECONDS=1, MONITOR_VERIFY_ALL="true")
    client = server.client()
    record = client.create("FILES", integrity_check_enabled=False)
    wait_until(lambda: client.get(record.id).status == pb.Backup.VERIFIED, "the backup is verified by policy")


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], capture_output=True).returncode != 0:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk(told, mail, web, source, small_disk):
    server = told(MOSAAJII_REPOSITORY=small_disk / "repo")
    client = server.client()
    assert not of_type(client, "STORAGE_FULL")
    (source / "large").write_bytes(random.Random(5).randbytes(16 << 20))
    record = client.backup("FILES", good=False)
    assert record.status == pb.Backup.FAILED
    row = wait_until(lambda: [r for r in of_type(client, "STORAGE_FULL") if r.backup_id == record.id], "STORAGE_FULL")[0]
    assert row.severity == Severity.Value("CRITICAL")
    told_once(mail, web, row)
    (source / "large").unlink()
    # Nearly full is told before it is full.
    (small_disk / "filler").write_bytes(bytes(int(shutil.disk_usage(small_disk).free * 0.97)))
    low = wait_until(lambda: [r for r in of_type(client, "STORAGE_FULL") if not r.backup_id], "STORAGE_FULL ahead of time")[0]
    assert "free" in low.message and low.details["freeBytes"]
    told_once(mail, web, low)
    (small_disk / "filler").unlink()
    resolved(client, low)
    client.backup("FILES")
    resolved(client, row)


def test_a_key_that_is_disabled(told, mail, web):
    service = Aws()
    try:
        server = told(**service.settings())
        client = server.client()
        client.backup("FILES")
        service.door.fault = "disabled"
        record = client.backup("FILES", good=False)
        assert record.status == pb.Backup.FAILED
        row = raised(client, "ENCRYPTION_FAILED")
        assert row.severity == Severity.Value("CRITICAL")
        told_once(mail, web, row)
        acknowledge(client, row)
        service.door.fault = None
        client.backup("FILES")
        resolved(client, row)
    finally:
        service.close()


def test_a_key_that_is_too_old(told, mail, web):
    server = told()
    client = server.client()
    client.backup("FILES")
    assert not of_type(client, "KEY_ROTATION_REQUIRED")
    server.stop()
    # Made two days ago, by what its file says.
    text = server.keyring.read_text()
    made = re.search(r"\d{4}-\d\d-\d\d", text).group()
    server.keyring.write_text(text.replace(made, str(date.fromisoformat(made) - timedelta(days=2))))
    server.settings["KEY_ROTATION_DAYS"] = 1
    server.start()
    client = server.client()
    row = raised(client, "KEY_ROTATION_REQUIRED")
    told_once(mail, web, row)
    client.finish(client.call(client.admin.RotateKey, admin.RotateKeyRequest()).job)
    server.restart()
    resolved(server.client(), row)


def test_an_engine_that_is_killed(told, mail, web, source):
    make_files(source / "more", 400, 200_000, seed=4)
    server = told(MOSAAJII_ENGINE_THREADS=1)
    client = server.client()
    record = client.create("FILES")
    engine = wait_until(server.engines, "an engine at work")[0]
    os.kill(engine, signal.SIGKILL)
    list(client.watch(record.id))
    row = raised(client, "BACKUP_FAILED")
    assert row.backup_id == record.id
    told_once(mail, web, row)


def test_a_server_that_is_killed_in_the_middle_tells_after_its_start(told, mail, web, source):
    make_files(source / "more", 400, 200_000, seed=4)
    server = told(MOSAAJII_ENGINE_THREADS=1)
    record = server.client().create("FILES")
    wait_until(server.engines, "an engine at work")
    server.kill()
    server.start()
    row = raised(server.client(), "BACKUP_FAILED")
    assert row.backup_id == record.id and "stopped" in row.message
    told_once(mail, web, row)


def test_a_stopped_server_falls_silent(start, source):
    watcher = Web()
    try:
        server = start(
            BACKUP_FILES_PATHS=source, MONITOR_INTERVAL_SECONDS=1, ALERT_HEARTBEAT_URL=watcher.url, ALERT_HEARTBEAT_SECONDS=1
        )
        wait_until(lambda: len(watcher.calls) >= 2, "two beats")
        assert {call[0] for call in watcher.calls} == {"GET"}
        server.stop()
        count = len(watcher.calls)
        server.start()
        wait_until(lambda: len(watcher.calls) > count, "the heart beats again")
    finally:
        watcher.stop()


def test_a_recovery_point_that_is_too_old(told, mail, web, source):
    server = told(MONITOR_RPO_MINUTES=5)
    client = server.client()
    record = client.backup("FILES")
    assert not of_type(client, "RPO_EXCEEDED")
    server.stop()
    subprocess.run(
        ["sqlite3", server.home / "catalog.db", f"UPDATE backups SET created_at_ns = created_at_ns - 600000000000 WHERE id = '{record.id}'"],
        check=True,
    )
    server.start()
    client = server.client()
    row = raised(client, "RPO_EXCEEDED")
    assert row.backup_id == record.id and row.details["objectiveMinutes"] == "5"
    told_once(mail, web, row)
    client.backup("FILES")
    resolved(client, row)


def test_a_source_that_ransomware_has_been_over(told, mail, web, tmp_path):
    source = make_files(tmp_path / "shop", 120, 6000, seed=8, compressible=True)
    server = told(BACKUP_FILES_PATHS=source, BACKUP_SETTLE_SECONDS=0)
    client = server.client()
    client.backup("FILES")
    for day in range(7):
        (source / "part-0/file-00000.dat").write_bytes(b"another day, %d\n" % day * (300 + day))
        client.backup("FILES")
    assert not of_type(client, "ANOMALY")
    generator = random.Random(9)
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        path.with_suffix(".locked").write_bytes(generator.randbytes(path.stat().st_size))
        path.unlink()
    struck = client.backup("FILES")
    row = raised(client, "ANOMALY")
    assert row.severity == Severity.Value("CRITICAL") and row.backup_id == struck.id and "ransomware" in row.message
    told_once(mail, web, row)
    # The backup is there, nothing was blocked; but what came before stays.
    assert client.verify(struck.id).valid
    flag = subprocess.run(
        ["sqlite3", server.home / "catalog.db", "SELECT id, quarantine_reason FROM backups WHERE quarantined"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert flag.startswith(struck.id) and "ransomware" in flag and flag.count("\n") == 1
    record = client.get(struck.id)
    assert record.quarantined and "ransomware" in record.quarantine_reason
    # Until somebody has looked.
    client.call(client.backups.UpdateBackup, pb.UpdateBackupRequest(backup_id=struck.id, quarantined=False))
    assert not client.get(struck.id).quarantined
    resolved(client, row)


def test_an_empty_dump(told, mail, web, tmp_path):
    source = make_files(tmp_path / "shop", 40, 6000, seed=8, compressible=True)
    server = told(BACKUP_FILES_PATHS=source, BACKUP_SETTLE_SECONDS=0)
    client = server.client()
    client.backup("FILES")
    for day in range(6):
        (source / "part-0/file-00000.dat").write_bytes(b"another day, %d\n" % day * 300)
        client.backup("FILES")
    for path in source.rglob("*.dat"):
        path.unlink()
    record = client.backup("FILES")
    row = raised(client, "ANOMALY")
    assert row.backup_id == record.id and "missing" in row.message
    told_once(mail, web, row)


def test_a_backup_that_is_gone_too_soon(told, mail, web):
    server = told()
    client = server.client()
    record = client.backup("FILES")
    manifest, aside = Path(record.encrypted_location), server.home / "aside"
    manifest.rename(aside)
    row = raised(client, "RETENTION_VIOLATION")
    assert row.severity == Severity.Value("CRITICAL") and row.details["backupIds"] == record.id
    told_once(mail, web, row)
    aside.rename(manifest)
    resolved(client, row)


# Delivery


def test_receivers_that_are_down_are_told_after(told, mail, web, source, tmp_path):
    server = told()
    client = server.client()
    mail.stop()
    web.code = 503
    source.rename(tmp_path / "aside")
    client.backup("FILES", good=False)
    failed = raised(client, "BACKUP_FAILED")
    wait_until(lambda: len(web.of_type("BACKUP_FAILED")) >= 2, "a second try")
    assert len({delivery for delivery, _ in web.of_type("BACKUP_FAILED")}) == 1
    # Over a restart as well.
    server.restart()
    client = server.client()
    web.calls.clear()
    web.code = 200
    mail.start()
    told_once(mail, web, failed)
    (tmp_path / "aside").rename(source)


def test_no_tls_no_mail(start, tmp_path, source):
    mail = MailServer(tmp_path / "mail", "NONE")
    try:
        server = start(BACKUP_FILES_PATHS=source, **QUICK | mail.settings() | {"SMTP_TLS": "STARTTLS"})
        client = server.client()
        deliveries = client.call(client.alerts.TestAlertDelivery, alert.TestAlertDeliveryRequest()).deliveries
        assert [d.delivered for d in deliveries] == [False, False] and "TLS" in deliveries[0].message
        assert mail.mails == []
        server.stop()
        server.settings |= {"SMTP_TLS": "NONE"}
        server.start()
        client = server.client()
        assert all(d.delivered for d in client.call(client.alerts.TestAlertDelivery, alert.TestAlertDeliveryRequest()).deliveries)
    finally:
        mail.stop()


def test_a_certificate_that_nobody_vouches_for(start, mail, source, tmp_path):
    other = MailServer(tmp_path / "other")
    try:
        server = start(BACKUP_FILES_PATHS=source, **QUICK | mail.settings() | {"ALERT_CA_FILE": other.cert})
        client = server.client()
        deliveries = client.call(client.alerts.TestAlertDelivery, alert.TestAlertDeliveryRequest()).deliveries
        assert not any(d.delivered for d in deliveries) and "certificate" in deliveries[0].message
        assert mail.mails == []
    finally:
        other.stop()


def test_delivery_on_demand(told, mail, web):
    server = told(ALERT_ESCALATION_EMAILS="boss@shop.example")
    rows = server.cli_json("alert", "test")["deliveries"]
    assert [(row["receiver"], row["delivered"]) for row in rows] == [
        ("mail:one@shop.example", True), ("mail:two@shop.example", True), ("mail:boss@shop.example", True), ("webhook", True),
    ]  # fmt: skip
    assert [to[0] for to, *_ in mail.texts()] == ["one@shop.example", "two@shop.example", "boss@shop.example"]
    assert [message["event"] for _, message in web.messages()] == ["TEST"]
    web.code = 401
    mail.refuse = "550 nobody of that name"
    result = server.cli("alert", "test", check=1)
    assert "550" in result.stdout and "401" in result.stdout


def test_nobody_to_tell(start, source):
    client = start(BACKUP_FILES_PATHS=source).client()
    assert refused(client.call, client.alerts.TestAlertDelivery, alert.TestAlertDeliveryRequest())[0] == "FAILED_PRECONDITION"


# Watching


def test_watching(told, source, tmp_path):
    server = told()
    client = server.client()
    seen, news = [], threading.Condition()
    stream = client.alerts.WatchAlerts(alert.WatchAlertsRequest(), metadata=client.metadata)

    def read():
        try:
            for event in stream:
                with news:
                    seen.append(event)
                    news.notify_all()
        except grpc.RpcError:
            pass

    threading.Thread(target=read, daemon=True).start()
    source.rename(tmp_path / "aside")
    client.backup("FILES", good=False)
    failed = raised(client, "BACKUP_FAILED")
    acknowledge(client, failed)
    (tmp_path / "aside").rename(source)
    client.backup("FILES")
    resolved(client, failed)

    def kinds():
        return [event.kind for event in seen if event.alert.id == failed.id]

    with news:
        assert news.wait_for(lambda: kinds()[-1:] == [Kind.RESOLVED], 60), seen
    assert kinds() == [Kind.RAISED, Kind.ACKNOWLEDGED, Kind.RESOLVED]
    sequences = [event.sequence for event in seen]
    assert sequences == sorted(set(sequences))
    stream.cancel()
    # Taken up again over a restart, from the second of them on.
    first = next(event.sequence for event in seen if event.alert.id == failed.id)
    server.restart()
    client = server.client()
    again = client.alerts.WatchAlerts(
        alert.WatchAlertsRequest(after_sequence=first, minimum_severity=Severity.Value("ERROR")), metadata=client.metadata, timeout=60
    )
    got = []
    for event in again:
        assert event.sequence > first and event.alert.severity >= Severity.Value("ERROR")
        if event.alert.id == failed.id:
            got.append(event.kind)
        if got == [Kind.ACKNOWLEDGED, Kind.RESOLVED]:
            break
    again.cancel()
    assert refused(client.call, client.alerts.WatchAlerts, alert.WatchAlertsRequest(after_sequence=-1))[0] == "INVALID_ARGUMENT"


def test_bad_requests(told):
    client = told().client()
    assert refused(client.call, client.alerts.GetAlert, alert.GetAlertRequest(alert_id="nothing"))[0] == "NOT_FOUND"
    assert refused(client.call, client.alerts.GetAlert, alert.GetAlertRequest())[0] == "INVALID_ARGUMENT"
    assert refused(client.call, client.alerts.AcknowledgeAlert, alert.AcknowledgeAlertRequest(alert_id="nothing"))[0] == "NOT_FOUND"
    assert refused(client.call, client.alerts.AcknowledgeAlert, alert.AcknowledgeAlertRequest(alert_id="x", note="n" * 2001))[0] == "INVALID_ARGUMENT"
    assert refused(client.call, client.alerts.ListAlerts, alert.ListAlertsRequest(severity=9))[0] == "INVALID_ARGUMENT"
    assert refused(client.call, client.alerts.ListAlerts, alert.ListAlertsRequest(page_token="nonsense"))[0] == "INVALID_ARGUMENT"


def test_pages_and_the_command_line(told, source):
    server = told()
    client = server.client()
    for _ in range(5):
        client.backup("FILES")
    wait_until(lambda: len(of_type(client, "BACKUP_COMPLETED", open_only=False)) == 5, "five alerts")
    token, pages = "", []
    while True:
        page = client.call(client.alerts.ListAlerts, alert.ListAlertsRequest(page_size=2, page_token=token, type=Type.BACKUP_COMPLETED))
        pages.append([row.id for row in page.alerts])
        token = page.next_page_token
        if not token:
            break
    assert [len(page) for page in pages] == [2, 2, 1]
    flat = [id for page in pages for id in page]
    assert flat == sorted(flat, reverse=True) and len(set(flat)) == 5
    rows = server.cli_json("alert", "list", "--type", "backup-completed")
    assert [row["id"] for row in rows] == flat and rows[0]["severity"] == "INFO"
    assert "BACKUP_COMPLETED" in server.cli("alert", "list").stdout
    server.cli("alert", "ack", flat[0], "--note", "good")
    shown = server.cli_json("alert", "show", flat[0])
    assert shown["acknowledged"] is True and shown["note"] == "good"
    assert "good" in server.cli("alert", "show", flat[0]).stdout
    assert flat[0] not in {row["id"] for row in server.cli_json("alert", "list", "--unacknowledged")}
    server.cli("alert", "show", "nothing", check=4)

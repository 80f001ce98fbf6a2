"""Every row of the REST contract, with plain HTTP against the running pair. Written from the contract, not from the code."""

import json
import re
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest

from support import contract
from support.data import make_files
from support.program import BIN, wait_until
from support.rest import SECRET, Gateway, pos_token

ABSENT = "01890000-0000-7000-8000-000000000000"
MUCH = "/usr/share"

pytestmark = pytest.mark.skipif(not (BIN / "mosaajii-gateway").exists(), reason="the gateway is not built")


@pytest.fixture(scope="module")
def pair(start_shared, tmp_path_factory):
    source = make_files(tmp_path_factory.mktemp("source") / "data", 14, 20_000)
    server = start_shared(
        BACKUP_CONFIG_PATHS=source,
        BACKUP_FILES_PATHS=MUCH,
        JWT_SECRET=SECRET,
        OFFSITE_PROVIDER="LOCAL_REMOTE",
        OFFSITE_BUCKET=tmp_path_factory.mktemp("offsite"),
    )
    gateway = Gateway(server.address)
    yield server, gateway
    gateway.stop()


@pytest.fixture(scope="module")
def rest(pair):
    server, gateway = pair
    return gateway.rest(server.token)


@pytest.fixture(scope="module")
def backup(rest):
    record = rest.post("/api/backups", {"type": "CONFIGURATION", "name": "first", "tags": ["rest", "first"], "offsiteEnabled": False}).data(201)
    return rest.wait_for_backup(record["id"])


def needs(answer):
    """Skips what waits for a method that is still to come, once its answer has been found in good form."""
    if answer.to_come:
        pytest.skip("answers 501 until it exists")
    return answer


# Documented routes


def test_create_backup(rest):
    record = rest.post("/api/backups", {"type": "CONFIGURATION"}).data(201)
    contract.check(record, contract.BACKUP)
    assert contract.UUID.fullmatch(record["id"])
    assert record["type"] == "CONFIGURATION" and record["status"] == "PENDING" and record["name"]
    assert record["retentionDays"] == 30 and record["tags"] == [] and record["size"] == 0 and record["completedAt"] is None
    done = rest.wait_for_backup(record["id"])
    contract.check(done, contract.BACKUP)
    assert done["status"] == "VERIFIED" and done["size"] == 280_000 and done["completedAt"]


def test_create_backup_with_everything_said(rest):
    body = {
        "name": "all fields", "type": "CONFIGURATION", "retentionDays": 12, "encryptionEnabled": True, "compressionEnabled": False,
        "integrityCheckEnabled": False, "offsiteEnabled": False, "tags": ["a", "b"], "somethingElse": {"ignored": True},
    }  # fmt: skip
    record = rest.post("/api/backups", body).data(201)
    assert (record["name"], record["retentionDays"], record["tags"]) == ("all fields", 12, ["a", "b"])
    assert record["compressionEnabled"] is False and record["integrityCheckEnabled"] is False
    assert rest.wait_for_backup(record["id"])["status"] == "COMPLETED", "an explicit false is respected"


def test_null_is_as_good_as_absent(rest):
    body = {"type": "CONFIGURATION", "name": None, "retentionDays": None, "compressionEnabled": None, "tags": None}
    record = rest.post("/api/backups", body).data(201)
    assert record["retentionDays"] == 30 and record["name"]


@pytest.mark.parametrize(
    "body, field",
    [
        ({}, "type"),
        ({"type": "EVERYTHING"}, "type"),
        ({"type": "full"}, "type"),
        ({"type": 5.5}, "type"),
        ({"type": ["FULL"]}, "type"),
        ({"type": "CONFIGURATION", "retentionDays": -1}, "retentionDays"),
        ({"type": "CONFIGURATION", "retentionDays": "soon"}, "retentionDays"),
        ({"type": "CONFIGURATION", "retentionDays": 1.5}, "retentionDays"),
        ({"type": "CONFIGURATION", "retentionDays": 99999999999}, "retentionDays"),
        ({"type": "CONFIGURATION", "tags": "a,b"}, "tags"),
        ({"type": "CONFIGURATION", "tags": [1]}, "tags"),
        ({"type": "CONFIGURATION", "compressionEnabled": "yes"}, "compressionEnabled"),
        ({"type": "CONFIGURATION", "name": 7}, "name"),
        ({"type": "CONFIGURATION", "encryptionEnabled": False}, "encryptionEnabled"),
    ],
    ids=json.dumps,
)
def test_wrong_create_names_the_field(rest, body, field):
    answer = rest.post("/api/backups", body)
    sentence = answer.error("INVALID_ARGUMENT")
    assert field in sentence or any(field in json.dumps(detail) for detail in answer.json["details"]), answer.body


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"{" * 10_000, b'{"type": "FULL"} trailing'])
def test_bodies_that_are_none(rest, body):
    rest.call("POST", "/api/backups", body, {"Content-Type": "application/json"}).error("INVALID_ARGUMENT")


def test_list_backups(rest, backup):
    answer = rest.get("/api/backups")
    rows = answer.data()
    contract.check(rows, [contract.BACKUP])
    assert isinstance(answer.json["pagination"]["nextPageToken"], str)
    assert [row["createdAt"] for row in rows] == sorted((row["createdAt"] for row in rows), reverse=True)
    assert backup["id"] in {row["id"] for row in rows}


def test_list_pages(rest, backup):
    for _ in range(3):
        rest.post("/api/backups", {"type": "CONFIGURATION", "tags": ["paged"]}).data(201)
    found, token = [], ""
    while True:
        answer = rest.get(f"/api/backups?pageSize=2&tags=paged&pageToken={quote(token)}")
        assert len(answer.data()) <= 2
        found += [row["id"] for row in answer.data()]
        token = answer.json["pagination"]["nextPageToken"]
        if not token:
            break
    assert len(found) == len(set(found)) == 3
    rest.get("/api/backups?pageToken=forged").error("INVALID_ARGUMENT")
    rest.get("/api/backups?pageSize=-1").error("INVALID_ARGUMENT")
    rest.get("/api/backups?pageSize=many").error("INVALID_ARGUMENT")


def test_backup_filters(rest, backup):
    def ids(query):
        return {row["id"] for row in rest.get(f"/api/backups?{query}&pageSize=1000").data()}

    assert backup["id"] in ids("type=CONFIGURATION") and backup["id"] not in ids("type=FULL")
    assert backup["id"] in ids("status=VERIFIED") and backup["id"] not in ids("status=FAILED")
    assert ids("tags=first") == {backup["id"]} == ids("tags=nothing,first") == ids("tags=first&tags=nothing")
    assert ids("tags=nothing") == set()
    moment = datetime.fromisoformat(backup["createdAt"][:19]).replace(tzinfo=timezone.utc)
    before, after = (quote((moment + timedelta(seconds=s)).isoformat()) for s in (-5, 5))
    assert backup["id"] in ids(f"createdAfter={before}") and backup["id"] not in ids(f"createdAfter={after}")
    assert backup["id"] in ids(f"createdBefore={after}") and backup["id"] not in ids(f"createdBefore={before}")
    assert backup["id"] in ids(f"type=CONFIGURATION&status=VERIFIED&tags=first&createdAfter={before}&createdBefore={after}")
    for wrong in ("type=WRONG", "status=WRONG", "createdAfter=yesterday"):
        assert wrong.split("=")[0] in rest.get(f"/api/backups?{wrong}").body.decode()
        rest.get(f"/api/backups?{wrong}").error("INVALID_ARGUMENT")


def test_get_backup(rest, backup):
    record = rest.get(f"/api/backups/{backup['id']}").data()
    contract.check(record, contract.BACKUP)
    assert record == backup
    assert re.fullmatch("[0-9a-f]{64}", record["checksum"]) and re.fullmatch("[0-9a-f]{64}", record["encryptedChecksum"])
    rest.get(f"/api/backups/{ABSENT}").error("NOT_FOUND")
    assert rest.get("/api/backups/nonsense").status in (400, 404)


def test_verify_backup(rest, backup):
    result = rest.post(f"/api/backups/{backup['id']}/verify").data()
    contract.check(result, contract.VERIFICATION)
    assert result["backupId"] == backup["id"] and result["valid"] is True and result["errors"] == [] and result["verifiedAt"]
    # An empty object, as some clients send it, changes nothing.
    assert rest.post(f"/api/backups/{backup['id']}/verify", {}).data()["valid"] is True
    rest.post(f"/api/backups/{ABSENT}/verify").error("NOT_FOUND")


def test_delete_backup(rest):
    record = rest.post("/api/backups", {"type": "CONFIGURATION"}).data(201)
    rest.wait_for_backup(record["id"])
    answer = rest.call("DELETE", f"/api/backups/{record['id']}")
    assert answer.status == 200 and answer.json["success"] is True and isinstance(answer.json["message"], str) and answer.json["message"]
    rest.call("DELETE", f"/api/backups/{record['id']}").error("NOT_FOUND")


def alert_of_a_failure(pair, rest):
    """A backup whose source is away fails, and raises one."""
    server, _ = pair
    source = Path(server.settings["BACKUP_CONFIG_PATHS"])
    source.rename(source.with_suffix(".away"))
    try:
        record = rest.post("/api/backups", {"type": "CONFIGURATION"}).data(201)
        assert rest.wait_for_backup(record["id"])["status"] == "FAILED"
    finally:
        source.with_suffix(".away").rename(source)

    def found():
        rows = rest.get("/api/backups/alerts?type=BACKUP_FAILED&acknowledged=false").data()
        return [row for row in rows if row["backupId"] == record["id"]]

    return wait_until(found, "the alert of a failed backup")[0]


def test_alerts(pair, rest):
    raised = alert_of_a_failure(pair, rest)
    answer = rest.get("/api/backups/alerts")
    assert answer.status != 404, "taken for a backup whose id is alerts"
    rows = answer.data()
    assert rows
    contract.check(rows, [contract.ALERT])
    assert "nextPageToken" in answer.json["pagination"]
    assert raised["type"] == "BACKUP_FAILED" and raised["severity"] == "ERROR" and raised["acknowledged"] is False
    for query in ("severity=ERROR", "type=BACKUP_FAILED", "acknowledged=false", "acknowledged=true"):
        name, value = query.split("=")
        for row in rest.get(f"/api/backups/alerts?{query}").data():
            assert str(row[name]).lower() == value.lower()
    for wrong in ("severity=LOUD", "type=WRONG", "acknowledged=perhaps"):
        rest.get(f"/api/backups/alerts?{wrong}").error("INVALID_ARGUMENT")
    first = rest.get("/api/backups/alerts?pageSize=1")
    assert len(first.data()) == 1 and first.json["pagination"]["nextPageToken"]
    second = rest.get(f"/api/backups/alerts?pageSize=1&pageToken={quote(first.json['pagination']['nextPageToken'])}").data()
    assert second and second[0]["id"] != first.data()[0]["id"]
    contract.check(rest.get(f"/api/backups/alerts/{raised['id']}").data(), contract.ALERT)
    rest.get(f"/api/backups/alerts/{ABSENT}").error("NOT_FOUND")


def test_acknowledge_alert(pair, rest):
    rest.post(f"/api/backups/alerts/{ABSENT}/acknowledge").error("NOT_FOUND")
    raised = alert_of_a_failure(pair, rest)
    answer = rest.post(f"/api/backups/alerts/{raised['id']}/acknowledge")
    assert answer.status == 200 and answer.json["success"] is True and isinstance(answer.json["message"], str)
    after = {row["id"]: row for row in rest.get("/api/backups/alerts?acknowledged=true").data()}
    assert after[raised["id"]]["acknowledged"] is True
    assert raised["id"] not in {row["id"] for row in rest.get("/api/backups/alerts?acknowledged=false").data()}


def test_offsite_upload_and_list(rest, backup):
    record = needs(rest.post(f"/api/backups/{backup['id']}/offsite", {"provider": "LOCAL_REMOTE", "retentionDays": 5})).data(201)
    contract.check(record, contract.OFFSITE)
    assert record["backupId"] == backup["id"] and record["provider"] == "LOCAL_REMOTE"
    rows = rest.get("/api/offsite-backups").data()
    contract.check(rows, [contract.OFFSITE])
    assert record["id"] in {row["id"] for row in rows}
    assert rest.get("/api/offsite-backups?provider=S3").data() == []
    for query in ("provider=LOCAL_REMOTE", "uploadedAfter=2020-01-01T00:00:00Z", "status=COMPLETED"):
        contract.check(rest.get(f"/api/offsite-backups?{query}").data(), [contract.OFFSITE])


def test_offsite_list_form(rest):
    answer = needs(rest.get("/api/offsite-backups"))
    contract.check(answer.data(), [contract.OFFSITE])
    for wrong in ("provider=FLOPPY", "status=WRONG", "uploadedAfter=never"):
        rest.get(f"/api/offsite-backups?{wrong}").error("INVALID_ARGUMENT")


PLAN = {
    "name": "shop down", "description": "bring the shop back", "priority": "HIGH", "recoveryTimeObjective": 240,
    "recoveryPointObjective": 60, "backupTypes": ["CONFIGURATION"],
    "steps": [
        {"id": "s1", "order": 1, "name": "restore", "description": "", "estimatedDuration": 5, "automated": True,
         "command": "restore_backup:CONFIGURATION", "validationCriteria": [], "dependencies": []},
        {"id": "s2", "order": 2, "name": "check", "description": "", "estimatedDuration": 1, "automated": False, "command": "",
         "validationCriteria": ["somebody looked"], "dependencies": ["s1"]},
    ],
    "contacts": [{"name": "A", "role": "owner", "email": "a@example.com", "phone": "1", "priority": 1}],
}  # fmt: skip


def test_plans(rest, backup):
    record = rest.post("/api/disaster-recovery/plans", PLAN).data(201)
    contract.check(record, contract.PLAN)
    assert record["status"] == "ACTIVE" and record["steps"][0]["command"] == "restore_backup:CONFIGURATION" and record["lastTestedAt"] is None
    rows = rest.get("/api/disaster-recovery/plans").data()
    contract.check(rows, [contract.PLAN])
    assert record["id"] in {row["id"] for row in rows}
    assert record["id"] in {row["id"] for row in rest.get("/api/disaster-recovery/plans?priority=HIGH&status=ACTIVE").data()}
    assert record["id"] not in {row["id"] for row in rest.get("/api/disaster-recovery/plans?priority=LOW").data()}
    for wrong in ("priority=URGENT", "status=WRONG"):
        rest.get(f"/api/disaster-recovery/plans?{wrong}").error("INVALID_ARGUMENT")
    execution = rest.post(f"/api/disaster-recovery/plans/{record['id']}/execute", {"reason": "drill"}).data(201)
    contract.check(execution, contract.EXECUTION)
    assert execution["status"] == "PENDING" and execution["planId"] == record["id"] and execution["reason"] == "drill"
    path = f"/api/disaster-recovery/executions/{execution['id']}"
    wait_until(lambda: rest.get(path).data()["currentStep"] == "s2", "the second step waits for a person")
    running = rest.get(path).data()
    contract.check(running, contract.EXECUTION)
    assert running["status"] == "IN_PROGRESS" and running["completedSteps"] == ["s1"] and running["logs"]
    rest.post(f"{path}/steps/s2/approve", {"note": "fine"}).data()
    response = rest.open("GET", f"{path}/watch", headers={"Accept": "text/event-stream"})
    numbers = [int(line.split(b":")[1]) for line in response if line.startswith(b"id:")]
    response.owner.close()
    assert numbers == sorted(set(numbers)) and numbers
    done = rest.get(path).data()
    contract.check(done, contract.EXECUTION)
    assert done["status"] == "COMPLETED" and done["metrics"]["actualRTO"] > 0 and done["metrics"]["successRate"] == 100
    assert rest.get(f"{path}/report").data()["contentType"] == "application/json"
    test = rest.post(f"/api/disaster-recovery/plans/{record['id']}/test", {"environment": "ISOLATED"}).data(201)
    contract.check(test, contract.TEST)
    assert test["overallStatus"] == "RUNNING" and test["environment"] == "ISOLATED"
    wait_until(lambda: rest.get(f"/api/disaster-recovery/tests/{test['id']}").data()["overallStatus"] != "RUNNING", "the test ends")
    rows = rest.get(f"/api/disaster-recovery/tests?planId={record['id']}").data()
    contract.check(rows, [contract.TEST])
    assert [row["id"] for row in rows] == [test["id"]] and rows[0]["overallStatus"] == "RAN" and rows[0]["nextTestDate"]
    assert rest.call("DELETE", f"/api/disaster-recovery/plans/{record['id']}").json["success"] is True


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "/api/disaster-recovery/plans"),
        ("GET", "/api/disaster-recovery/plans"),
        ("POST", f"/api/disaster-recovery/plans/{ABSENT}/execute"),
        ("POST", f"/api/disaster-recovery/plans/{ABSENT}/test"),
        ("GET", f"/api/disaster-recovery/executions/{ABSENT}"),
        ("GET", "/api/disaster-recovery/tests"),
        ("GET", "/api/offsite-backups"),
        ("POST", f"/api/backups/{ABSENT}/offsite"),
        ("GET", "/api/backups/alerts"),
        ("POST", f"/api/backups/alerts/{ABSENT}/acknowledge"),
        # Ours.
        ("POST", f"/api/backups/{ABSENT}/restore"),
        ("GET", f"/api/backups/{ABSENT}/files"),
        ("GET", f"/api/backups/{ABSENT}/watch"),
        ("GET", "/api/disaster-recovery/executions"),
        ("GET", f"/api/disaster-recovery/executions/{ABSENT}/watch"),
        *(("POST", f"/api/disaster-recovery/executions/{ABSENT}/{verb}") for verb in ("pause", "resume", "cancel")),
        *(("POST", f"/api/disaster-recovery/executions/{ABSENT}/steps/s1/{verb}") for verb in ("approve", "decline", "retry", "skip")),
        ("GET", f"/api/disaster-recovery/executions/{ABSENT}/report"),
        ("GET", f"/api/disaster-recovery/plans/{ABSENT}"),
        ("PUT", f"/api/disaster-recovery/plans/{ABSENT}"),
        ("DELETE", f"/api/disaster-recovery/plans/{ABSENT}"),
        ("GET", "/api/schedules"),
        ("GET", "/api/keys"),
        ("GET", "/api/audit"),
        ("GET", "/api/status"),
    ],
)
def test_every_route_exists_answers_in_the_envelope_and_asks_for_a_token(pair, rest, method, path):
    _, gateway = pair
    body = {} if method in ("POST", "PUT") else None
    answer = rest.call(method, path, body)
    envelope = answer.json
    if answer.status in (200, 201):
        assert envelope["success"] is True
    else:
        answer.error(envelope["code"])
        assert answer.status in (400, 404, 501), answer.body
        if answer.status == 404:
            assert ABSENT in envelope["error"], "the route itself is not known"
    gateway.rest(None).call(method, path, body).error("UNAUTHENTICATED")


def test_what_no_route_is(rest):
    rest.get("/api/no-such-thing").error("NOT_FOUND")
    assert rest.call("PUT", "/api/backups", {}).status in (404, 405, 501)
    answer = rest.call("DELETE", "/api/backups")
    assert answer.status in (404, 405, 501) and answer.json["success"] is False


# Ours


def test_restore_and_files(pair, rest, backup):
    server, _ = pair
    target = server.restore_root / "by-rest"
    job = rest.post(f"/api/backups/{backup['id']}/restore", {"target": str(target)}).data(201)
    wait_until(lambda: rest.get(f"/api/jobs/{job['id']}").data()["status"] == "SUCCEEDED", "the end of the restore")
    assert sum(path.is_file() for path in target.rglob("*")) == 14
    rest.post(f"/api/backups/{backup['id']}/restore", {"target": "/etc/elsewhere"}).error("INVALID_ARGUMENT")
    rows = rest.get(f"/api/backups/{backup['id']}/files?recursive=true&pageSize=1000").data()
    assert any(row["path"].endswith("part-3/file-00003.dat") and row["size"] == 20_000 and row["type"] == "FILE" for row in rows)


def test_quarantine(rest, backup):
    path = f"/api/backups/{backup['id']}"
    assert rest.get(path).data()["quarantined"] is False
    rest.call("PATCH", path, {"quarantined": True}).error("INVALID_ARGUMENT")
    put_in = rest.call("PATCH", path, {"quarantined": True, "quarantineReason": "files were missing"}).data()
    assert put_in["quarantined"] is True and put_in["quarantineReason"] == "files were missing"
    lifted = rest.call("PATCH", path, {"quarantined": False}).data()
    assert lifted["quarantined"] is False and lifted["quarantineReason"] == ""


def test_watch_as_lines(rest, backup):
    response = rest.open("GET", f"/api/backups/{backup['id']}/watch")
    assert response.status == 200 and "ndjson" in response.headers["Content-Type"]
    lines = [json.loads(line) for line in response.read().splitlines() if line.strip()]
    numbers = [line["sequence"] for line in lines]
    assert numbers == sorted(numbers) and lines[0]["kind"] == "QUEUED" and lines[-1]["kind"] == "FINISHED"


def server_sent(response, until=None):
    """(id, data) of each event, to the end of the stream or the first for which `until` is true."""
    identity, data, found = None, [], []
    while line := response.readline():
        line = line.decode().rstrip("\n").rstrip("\r")
        if line.startswith("id:"):
            identity = int(line[3:])
        elif line.startswith("data:"):
            data.append(line[5:].lstrip())
        elif not line and data:
            found.append((identity, json.loads("\n".join(data))))
            data = []
            if until and until(found[-1][1]):
                break
    return found


def test_watch_as_server_sent_events_and_going_on_after_a_cut(rest):
    record = rest.post("/api/backups", {"type": "FILES", "integrityCheckEnabled": False, "readAll": True}).data(201)
    path, accept = f"/api/backups/{record['id']}/watch", {"Accept": "text/event-stream"}
    response = rest.open("GET", path, headers=accept)
    assert response.status == 200 and response.headers["Content-Type"].startswith("text/event-stream")
    # Nothing is held back: progress comes while the backup runs.
    first = server_sent(response, until=lambda event: event["kind"] == "PROGRESS")
    assert first[-1][1]["kind"] == "PROGRESS"
    response.owner.close()
    assert rest.get(f"/api/backups/{record['id']}").data()["status"] == "IN_PROGRESS"
    rest.post(f"/api/backups/{record['id']}/cancel").data()
    rest_of_it = server_sent(rest.open("GET", path, headers=accept | {"Last-Event-ID": str(first[-1][0])}))
    assert rest_of_it[-1][1]["kind"] == "FINISHED"
    assert all(identity == event["sequence"] for identity, event in first + rest_of_it)
    numbers = [identity for identity, _ in first + rest_of_it]
    assert numbers == sorted(set(numbers)), "nothing twice"
    whole = server_sent(rest.open("GET", path, headers=accept))
    lasting = {identity for identity, event in whole if event["kind"] != "PROGRESS"}
    assert lasting <= set(numbers), "nothing missed"


def test_a_reader_that_goes_away_frees_the_call(pair, rest):
    server, _ = pair
    record = rest.post("/api/backups", {"type": "FILES", "integrityCheckEnabled": False, "readAll": True}).data(201)
    responses = [rest.open("GET", f"/api/backups/{record['id']}/watch") for _ in range(10)]
    for response in responses:
        response.readline()
        response.owner.close()
    rest.post(f"/api/backups/{record['id']}/cancel").data()
    rest.wait_for_backup(record["id"])
    wait_until(lambda: len(re.findall(r"WatchBackup", server.log_text())) >= 10, "the ends of the watches in the log")


def test_stream_of_what_is_not_there(rest):
    rest.get(f"/api/backups/{ABSENT}/watch").error("NOT_FOUND")
    rest.get(f"/api/backups/{ABSENT}/watch", headers={"Accept": "text/event-stream"}).error("NOT_FOUND")


def test_health_and_document(pair):
    _, gateway = pair
    nobody = gateway.rest(None)
    assert nobody.get("/healthz").status == 200 and nobody.get("/readyz").status == 200
    document = nobody.get("/api/openapi.json").json
    routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods if method in ("get", "post", "put", "patch", "delete")}
    for method, path in [
        ("POST", "/api/backups"), ("GET", "/api/backups"), ("GET", "/api/backups/{}"), ("POST", "/api/backups/{}/verify"),
        ("DELETE", "/api/backups/{}"), ("GET", "/api/backups/alerts"), ("POST", "/api/backups/alerts/{}/acknowledge"),
        ("POST", "/api/backups/{}/offsite"), ("GET", "/api/offsite-backups"), ("POST", "/api/disaster-recovery/plans"),
        ("GET", "/api/disaster-recovery/plans"), ("POST", "/api/disaster-recovery/plans/{}/execute"),
        ("POST", "/api/disaster-recovery/plans/{}/test"), ("GET", "/api/disaster-recovery/executions/{}"), ("GET", "/api/disaster-recovery/tests"),
    ]:  # fmt: skip
        assert (method, path) in {(m, re.sub(r"\{[^}]*\}", "{}", p)) for m, p in routes}, (method, path)


def test_request_id_reaches_the_server_log(pair, rest):
    server, _ = pair
    answer = rest.get("/api/backups", headers={"X-Request-Id": "follow-me-4711"})
    assert answer.headers["X-Request-Id"] == "follow-me-4711"
    wait_until(lambda: "follow-me-4711" in server.log_text(), "the request id in the server's log")
    assert rest.get("/api/backups").headers["X-Request-Id"]


def test_the_callers_address_reaches_the_server_log(start):
    server = start()
    believing, other = Gateway(server.address, MOSAAJII_TRUSTED_PROXIES="127.0.0.0/8"), Gateway(server.address)
    try:
        for gateway, request_id in ((believing, "believed"), (other, "not-believed")):
            headers = {"X-Forwarded-For": "6.6.6.6, 192.0.2.7", "X-Request-Id": request_id, "X-Mosaajii-Client-Ip": "6.6.6.6"}
            gateway.rest(server.token).get("/api/backups", headers=headers).data()
        assert "client=192.0.2.7" in server.wait_for_log("request_id=believed")
        assert "client=" not in server.wait_for_log("request_id=not-believed"), "a stranger's word was taken"
    finally:
        believing.stop()
        other.stop()


def test_limits(pair, rest):
    answer = rest.call("POST", "/api/backups", b'{"type":"CONFIGURATION","name":"' + b"x" * (20 << 20) + b'"}')
    assert answer.status in (413, 429, 400) and answer.json["success"] is False
    huge = rest.call("GET", "/api/backups", headers={"X-Large": "x" * 200_000})
    assert huge.status in (431, 400)
    assert rest.get("/api/backups").status == 200


def test_no_cors_unless_named(pair, rest):
    server, _ = pair
    origin = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    assert "Access-Control-Allow-Origin" not in rest.get("/api/backups", headers=origin).headers
    gateway = Gateway(server.address, MOSAAJII_CORS_ORIGINS="https://shop.example")
    try:
        friend = gateway.rest(server.token)
        named = friend.call("OPTIONS", "/api/backups", headers=origin | {"Origin": "https://shop.example", "Access-Control-Request-Headers": "authorization"})
        assert named.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "Access-Control-Allow-Origin" not in friend.get("/api/backups", headers=origin).headers
    finally:
        gateway.stop()


def test_gzip_where_asked(rest, backup):
    import gzip

    answer = rest.get("/api/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip" and json.loads(gzip.decompress(answer.body))["paths"]
    response = rest.open("GET", f"/api/backups/{backup['id']}/watch", headers={"Accept-Encoding": "gzip", "Accept": "text/event-stream"})
    assert response.headers.get("Content-Encoding") is None
    response.owner.close()


def test_gateway_starts_before_its_server_and_outlives_it(start):
    server = start()
    address, token = server.address, server.token
    server.stop()
    gateway = Gateway(address)
    try:
        early = gateway.rest(token)
        early.get("/api/backups").error("UNAVAILABLE")
        assert early.get("/healthz").status == 200 and early.get("/readyz").status == 503
        server.settings["MOSAAJII_LISTEN"] = address
        server.start()
        wait_until(lambda: early.get("/api/backups").status == 200, "an answer once the server is there")
        assert early.get("/readyz").status == 200
        server.stop()
        early.get("/api/backups").error("UNAVAILABLE")
        server.start()
        wait_until(lambda: early.get("/api/backups").status == 200, "an answer after the server came back")
    finally:
        gateway.stop()


def test_many_at_once(rest, backup):
    failures = []

    def ask():
        for _ in range(20):
            answer = rest.get(f"/api/backups/{backup['id']}")
            if answer.status != 200:
                failures.append(answer.body)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:2]


# Tokens

EVERYTHING, OPERATE, READ, NOTHING, UNKNOWN = "everything", "operate", "read", "nothing", "unknown"

RSA_KEY = b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    "name, token, right",
    [
        ("ADMIN", pos_token("ADMIN"), EVERYTHING),
        ("MANAGER", pos_token("MANAGER"), OPERATE),
        ("VIEWER", pos_token("VIEWER"), READ),
        ("CASHIER", pos_token("CASHIER"), NOTHING),
        ("a role that is none", pos_token("OWNER"), NOTHING),
        ("PENDING", pos_token(status="PENDING"), NOTHING),
        ("SUSPENDED", pos_token(status="SUSPENDED"), NOTHING),
        ("INACTIVE", pos_token(status="INACTIVE"), NOTHING),
        ("no status", pos_token(status=None), NOTHING),
        ("audience in a list", pos_token(aud=["other", "mosaajii-pos-client"]), EVERYTHING),
        ("expired", pos_token(iat=1_000_000_000, exp=1_000_000_600), UNKNOWN),
        ("no expiry", pos_token(exp=None), UNKNOWN),
        ("expiry as text", pos_token(exp="4102444800"), UNKNOWN),
        ("not before the future", pos_token(nbf=4_102_444_800), UNKNOWN),
        ("wrong issuer", pos_token(iss="somebody-else"), UNKNOWN),
        ("no issuer", pos_token(iss=None), UNKNOWN),
        ("wrong audience", pos_token(aud="somebody-else"), UNKNOWN),
        ("no audience", pos_token(aud=None), UNKNOWN),
        ("wrong secret", pos_token(secret="another secret"), UNKNOWN),
        ("empty secret", pos_token(secret=b""), UNKNOWN),
        ("alg none", pos_token(header={"alg": "none", "typ": "JWT"}, sign=False), UNKNOWN),
        ("alg None, signed", pos_token(header={"alg": "None"}), UNKNOWN),
        ("alg HS512 said", pos_token(header={"alg": "HS512"}), UNKNOWN),
        ("alg RS256 said", pos_token(header={"alg": "RS256"}), UNKNOWN),
        ("HS256 with a public key", pos_token(secret=RSA_KEY), UNKNOWN),
        ("no signature", pos_token(sign=False), UNKNOWN),
        ("cut", pos_token()[:-3], UNKNOWN),
        ("more behind it", pos_token() + ".x", UNKNOWN),
        ("crit header", pos_token(header={"alg": "HS256", "crit": ["x"]}), UNKNOWN),
        ("nothing at all", None, UNKNOWN),
        ("empty", "", UNKNOWN),
        ("nonsense", "nonsense", UNKNOWN),
    ],
    ids=lambda value: "" if value is None or value in (EVERYTHING, OPERATE, READ, NOTHING, UNKNOWN) or value.count(".") > 1 else value,
)
def test_what_a_token_may_do(pair, rest, backup, name, token, right):
    _, gateway = pair
    caller = gateway.rest(token)
    reads = caller.get("/api/backups")
    operates = caller.post(f"/api/backups/{backup['id']}/verify")
    removes = caller.call("DELETE", f"/api/backups/{ABSENT}")
    if right == UNKNOWN:
        for answer in (reads, operates, removes):
            answer.error("UNAUTHENTICATED")
        return
    expected = {EVERYTHING: (200, 200, 404), OPERATE: (200, 200, 403), READ: (200, 403, 403), NOTHING: (403, 403, 403)}[right]
    assert (reads.status, operates.status, removes.status) == expected, (reads.body, operates.body, removes.body)
    if right == OPERATE:
        record = caller.post("/api/backups", {"type": "CONFIGURATION"}).data(201)
        done = rest.wait_for_backup(record["id"])
        assert done["createdBy"] == "user-manager"
        caller.post(f"/api/backups/{record['id']}/restore", {"inPlace": True}).error("PERMISSION_DENIED")


def test_pos_tokens_need_the_secret(start):
    server = start()
    gateway = Gateway(server.address)
    try:
        gateway.rest(pos_token()).get("/api/backups").error("UNAUTHENTICATED")
        gateway.rest(pos_token(secret=b"")).get("/api/backups").error("UNAUTHENTICATED")
        assert gateway.rest(server.token).get("/api/backups").data() == []
    finally:
        gateway.stop()

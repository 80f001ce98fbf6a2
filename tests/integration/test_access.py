"""Who may call what: every method by role and kind of caller, the second person, locks and holds, and callers that guess."""

import base64
import hashlib
import hmac
import json
import re
import subprocess
import time

import grpc
import pytest
from google.protobuf import timestamp_pb2

from support.api import Client, admin, alert, offsite, pb, recovery, refused
from support.data import make_files
from support.program import ROOT, wait_until

JWT_SECRET = "a secret that the tests alone know"
ROLES = {"VIEWER": 1, "OPERATOR": 2, "ADMIN": 3}
POS_ROLES = {"VIEWER": "VIEWER", "OPERATOR": "MANAGER", "ADMIN": "ADMIN"}


def table():
    """The rows of rights.c: path -> (least role, right, kinds)."""
    text = (ROOT / "server/control/access/rights.c").read_text()
    services = dict(re.findall(r'#define (\w+)\(method\) "(/[\w.]+/)" #method', text))
    rows = {}
    for service, method, least, right, who in re.findall(
        r'\{(\w+)\((\w+)\), MOS_ROLE_(\w+), (NULL|"[\w.]+"), \w+, (\w+), \w+\}', text
    ):
        kinds = {"token", "jwt", "certificate"} if who == "ANY" else {"token", "certificate"}
        rows[services[service] + method] = (least, None if right == "NULL" else right.strip('"'), kinds)
    return rows


def methods():
    """Every method of the API, from the protos: path -> (streams, request class)."""
    from google.protobuf import message_factory

    found = {}
    for module in (admin, alert, offsite, pb, recovery):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                found[f"/{service.full_name}/{method.name}"] = (
                    method.server_streaming,
                    message_factory.GetMessageClass(method.input_type),
                )
    return found


def jwt(role):
    def part(content):
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=")

    claims = {"userId": f"user-{role}", "role": role, "status": "ACTIVE", "iss": "mosaajii-pos", "aud": "mosaajii-pos-client",
              "iat": int(time.time()), "exp": int(time.time()) + 600}  # fmt: skip
    head = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    signature = base64.urlsafe_b64encode(hmac.new(JWT_SECRET.encode(), head, hashlib.sha256).digest()).rstrip(b"=")
    return (head + b"." + signature).decode()


def outcome(client, path, streams, request):
    """What an empty request is answered: a code's name."""
    try:
        if streams:
            call = client.channel.unary_stream(path, request.SerializeToString, lambda data: data)
            stream = call(request(), metadata=client.metadata, timeout=60)
            next(iter(stream), None)
            stream.cancel()
        else:
            client.channel.unary_unary(path, request.SerializeToString, lambda data: data)(
                request(), metadata=client.metadata, timeout=60
            )
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def raise_an_alert(client):
    """So that who may watch alerts is sent one at once."""
    client.backup("CONFIGURATION")
    next(iter(client.alerts.WatchAlerts(alert.WatchAlertsRequest(), metadata=client.metadata, timeout=60)))


def make_token(client, name, role, rights=(), **fields):
    return client.call(
        client.admin.CreateToken,
        admin.CreateTokenRequest(name=name, role=admin.Token.Role.Value(role), rights=rights, **fields),
    )


def test_every_method_by_role_and_kind_of_caller(start):
    rows, found = table(), methods()
    assert set(rows) == set(found), set(rows) ^ set(found)
    server = start(JWT_SECRET=JWT_SECRET, BACKUP_CONFIG_PATHS="/etc/hostname")
    client = server.client()
    raise_an_alert(client)
    callers = []
    for role in ROLES:
        callers.append(("token", role, None, server.client(make_token(client, role, role).secret)))
        callers.append(("jwt", role, None, server.client(jwt(POS_ROLES[role]))))
    for right in sorted({right for _, right, _ in rows.values() if right}):
        callers.append(("token", "VIEWER", right, server.client(make_token(client, right, "VIEWER", [right]).secret)))
    wrong = []
    nobody = server.client("")
    for number, (path, (least, right, kinds)) in enumerate(rows.items()):
        streams, request = found[path]
        # Each from elsewhere, or the address would be slowed down.
        nobody.metadata = [("x-mosaajii-client-ip", f"192.0.2.{number}")]
        assert outcome(nobody, path, streams, request) == "UNAUTHENTICATED", path
        for kind, role, held, caller in callers:
            allowed = kind in kinds and (ROLES[role] >= ROLES[least] or (held is not None and held == right))
            code = outcome(caller, path, streams, request)
            if (code == "PERMISSION_DENIED") == allowed or code in ("UNAUTHENTICATED", "INTERNAL", "UNKNOWN"):
                wrong.append((path, kind, role, held, code))
    assert not wrong, wrong
    for kind, role, held, caller in callers:
        # What a caller is told of himself is what he meets.
        told = caller.call(caller.admin.GetCaller, admin.GetCallerRequest())
        may = {
            path.removeprefix("/mosaajii.backup.v1.").replace("/", ".")
            for path, (least, right, kinds) in rows.items()
            if kind in kinds and (ROLES[role] >= ROLES[least] or (held is not None and held == right))
        }
        assert admin.Token.Role.Name(told.role) == role and list(told.rights) == ([held] if held else [])
        assert set(told.calls) == may and told.name, (kind, role, held, set(told.calls) ^ may)
    assert outcome(server.client(), "/mosaajii.backup.v1.AdminService/Nothing", False, admin.GetStatusRequest) == "UNIMPLEMENTED"


def test_tokens_end_by_time_and_at_once(start):
    server = start()
    client = server.client()
    soon = timestamp_pb2.Timestamp(seconds=int(time.time()) + 3600)
    made = make_token(client, "short", "VIEWER", expires_at=soon)
    short = server.client(made.secret)
    short.list()

    def listed():
        return {token.name: token for token in client.call(client.admin.ListTokens, admin.ListTokensRequest()).tokens}["short"]

    wait_until(lambda: listed().last_used_at.seconds > 0, "the use of the token is noted")
    assert listed().expires_at == soon
    server.stop()
    import sqlite3

    database = sqlite3.connect(server.home / "catalog.db")
    database.execute("UPDATE tokens SET expires_at_ns = 1 WHERE name = 'short'")
    database.commit()
    database.close()
    server.start()
    assert refused(server.client(made.secret).list)[0] == "UNAUTHENTICATED"
    client = server.client()
    made = make_token(client, "gone", "VIEWER")
    gone = server.client(made.secret)
    gone.list()
    client.call(client.admin.RevokeToken, admin.RevokeTokenRequest(token_id=made.token.id))
    assert refused(gone.list)[0] == "UNAUTHENTICATED"
    past = timestamp_pb2.Timestamp(seconds=1000)
    assert refused(make_token, client, "past", "VIEWER", expires_at=past)[2] == ["expiresAt"]
    assert refused(make_token, client, "x", "VIEWER", ["everything"])[2] == ["rights"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", "ca.key",
            "-out", "ca.pem", "-subj", "/CN=ca")  # fmt: skip
    for name, subject, san in (
        ("server", "/CN=server", "DNS:localhost,IP:127.0.0.1"),
        ("till", "/O=Shop/CN=till", "DNS:till.example"),
        ("looker", "/CN=looker", "DNS:looker.example"),
        ("stranger", "/CN=stranger", "DNS:stranger.example"),
    ):
        (folder / "san").write_text(f"subjectAltName={san}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", "-subj", subject)  # fmt: skip
        openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-extfile", "san", "-out", f"{name}.pem")  # fmt: skip
    return folder


def test_client_certificates_have_roles_by_subject(start, certificates):
    server = start(
        MOSAAJII_TLS_CERT=certificates / "server.pem",
        MOSAAJII_TLS_KEY=certificates / "server.key",
        MOSAAJII_TLS_CLIENT_CA=certificates / "ca.pem",
        MOSAAJII_CLIENT_ROLES="CN=till,O=Shop=OPERATOR+key.manage; looker.example=VIEWER",
        BACKUP_CONFIG_PATHS="/etc/hostname",
    )
    made = []

    def with_certificate(name, token=None):
        credentials = grpc.ssl_channel_credentials(
            (certificates / "ca.pem").read_bytes(), (certificates / f"{name}.key").read_bytes(), (certificates / f"{name}.pem").read_bytes()
        )
        made.append(Client(server.address, token, credentials))
        return made[-1]

    try:
        till, looker, stranger = with_certificate("till"), with_certificate("looker"), with_certificate("stranger")
        assert till.list() == [] and looker.list() == []
        assert refused(stranger.list)[0] == "UNAUTHENTICATED"
        assert refused(looker.create, "FILES")[0] == "PERMISSION_DENIED"
        assert refused(till.create, "FILES")[0] == "FAILED_PRECONDITION", "allowed, and nothing is configured"
        # Operators manage no tokens; the right adds keys.
        assert refused(make_token, till, "x", "VIEWER")[0] == "PERMISSION_DENIED"
        # A token says more than the certificate.
        strong = with_certificate("looker", server.token)
        make_token(strong, "made", "VIEWER")
        found = strong.call(strong.admin.ListAuditEntries, admin.ListAuditEntriesRequest(page_size=100)).entries
        mine = [entry for entry in found if entry.actor == "CN=till,O=Shop"]
        assert mine and all(entry.details["by"] == "certificate" for entry in mine)
        raise_an_alert(strong)
        # Every method by certificate.
        for path, (least, right, kinds) in table().items():
            streams, request = methods()[path]
            for role, held, caller in (("OPERATOR", "key.manage", till), ("VIEWER", None, looker)):
                allowed = "certificate" in kinds and (ROLES[role] >= ROLES[least] or (held is not None and held == right))
                code = outcome(caller, path, streams, request)
                assert (code != "PERMISSION_DENIED") == allowed and code != "UNAUTHENTICATED", (path, role, code)
    finally:
        for client in made:
            client.close()


def test_wrong_client_roles_are_refused_at_start(tmp_path):
    from support.program import BIN, environment

    result = subprocess.run(
        [BIN / "mosaajii-server"],
        env=environment(MOSAAJII_HOME=tmp_path, MOSAAJII_LISTEN="127.0.0.1:0", MOSAAJII_CLIENT_ROLES="CN=x=KING"),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode != 0 and "MOSAAJII_CLIENT_ROLES" in result.stderr and "KING" in result.stderr


def test_second_person(start, tmp_path):
    make_files(tmp_path / "source", 3, 2000)
    server = start(BACKUP_FILES_PATHS=tmp_path / "source", MOSAAJII_SECOND_PERSON="true")
    first = server.client()
    second = server.client(make_token(first, "second", "ADMIN").secret)
    operator = server.client(make_token(first, "operator", "OPERATOR").secret)
    backup, other = first.backup("FILES"), first.backup("FILES")

    def waiting():
        return first.call(first.admin.ListConfirmations, admin.ListConfirmationsRequest()).confirmations

    def confirm(client, confirmation):
        return client.call(client.admin.Confirm, admin.ConfirmRequest(confirmation_id=confirmation.id))

    code, message, _ = refused(first.delete, backup.id)
    assert code == "FAILED_PRECONDITION" and "second person" in message
    assert refused(first.delete, backup.id)[1] == message, "asking again is not asking anew"
    (asked,) = waiting()
    assert asked.id in message and asked.requested_by == "admin" and asked.resource == backup.id
    assert asked.status == admin.Confirmation.WAITING
    assert refused(confirm, first, asked)[0] == "PERMISSION_DENIED", "not the same person"
    assert refused(confirm, operator, asked)[0] == "PERMISSION_DENIED"
    made_for_it = server.client(make_token(first, "third", "ADMIN").secret)
    code, message, _ = refused(confirm, made_for_it, asked)
    assert code == "PERMISSION_DENIED" and "third was made after" in message
    assert first.get(backup.id)
    server.cli("confirmation", "give", asked.id, MOSAAJII_TOKEN=second.metadata[0][1].split()[1])
    assert waiting()[0].status == admin.Confirmation.CONFIRMED and waiting()[0].confirmed_by == "second"
    assert refused(confirm, second, asked)[0] == "FAILED_PRECONDITION"
    # It is for this backup, this caller and once.
    assert "second person" in refused(first.delete, other.id)[1]
    assert "second person" in refused(second.delete, backup.id)[1]
    first.delete(backup.id)
    assert refused(first.get, backup.id)[0] == "NOT_FOUND"
    assert refused(second.call, second.admin.Confirm, admin.ConfirmRequest(confirmation_id="x"))[0] == "NOT_FOUND"
    # Nobody is asked to confirm what cannot be done.
    before = len(waiting())
    assert refused(first.delete, backup.id)[0] == "NOT_FOUND"
    assert refused(first.delete, "x" * 5000)[0] in ("INVALID_ARGUMENT", "NOT_FOUND")
    assert refused(first.call, first.admin.RetireKey, admin.RetireKeyRequest(key_id="local/77"))[0] == "NOT_FOUND"
    assert refused(first.call, first.recovery.ExecutePlan, recovery.ExecutePlanRequest(plan_id=backup.id))[0] == "NOT_FOUND"
    gone = offsite.DeleteOffsiteBackupRequest(offsite_backup_id=backup.id)
    assert refused(first.call, first.offsite.DeleteOffsiteBackup, gone)[0] == "NOT_FOUND"
    assert len(waiting()) == before
    # Kept for fewer days it would be deleted too, only later.
    def keep(client, days):
        return client.call(client.backups.UpdateBackup, pb.UpdateBackupRequest(backup_id=other.id, retention_days=days))

    days = first.get(other.id).retention_days
    assert keep(operator, days + 5).retention_days == days + 5
    assert refused(keep, operator, days)[0] == "PERMISSION_DENIED"
    assert "second person" in refused(keep, first, days)[1]
    confirm(second, next(c for c in waiting() if c.resource.startswith(other.id + ", kept for")))
    assert refused(keep, first, days - 1)[0] == "FAILED_PRECONDITION", "it was confirmed for other days"
    assert keep(first, days).retention_days == days
    # Over a restart, and over its time.
    server.stop()
    import sqlite3

    database = sqlite3.connect(server.home / "catalog.db")
    database.execute("UPDATE confirmations SET expires_at_ns = 1 WHERE resource = ?", (other.id,))
    database.commit()
    database.close()
    server.start()
    first, second = server.client(), server.client(second.metadata[0][1].split()[1])
    old = next(c for c in waiting() if c.resource == other.id)
    assert old.status == admin.Confirmation.EXPIRED
    assert refused(confirm, second, old)[0] == "FAILED_PRECONDITION"
    assert old.id not in refused(first.delete, other.id)[1]


def test_lock_and_hold(start, tmp_path):
    make_files(tmp_path / "source", 3, 2000)
    server = start(BACKUP_FILES_PATHS=tmp_path / "source")
    client = server.client()
    operator = server.client(make_token(client, "operator", "OPERATOR").secret)
    backup = client.backup("FILES")

    def update(by, **fields):
        return by.call(by.backups.UpdateBackup, pb.UpdateBackupRequest(backup_id=backup.id, **fields))

    def moment(days):
        return timestamp_pb2.Timestamp(seconds=int(time.time()) + days * 86400)

    assert update(operator, legal_hold=True).legal_hold
    code, message, _ = refused(client.delete, backup.id)
    assert code == "FAILED_PRECONDITION" and "legal hold" in message
    assert refused(update, operator, legal_hold=False)[0] == "PERMISSION_DENIED"
    assert update(operator, name="new name").legal_hold, "what is not given stays"
    assert not update(client, legal_hold=False).legal_hold
    assert refused(update, operator, locked_until=moment(1))[0] == "PERMISSION_DENIED"
    until = moment(30)
    assert update(client, locked_until=until).locked_until == until
    code, message, _ = refused(client.delete, backup.id)
    assert code == "FAILED_PRECONDITION" and "locked until" in message
    assert refused(update, client, locked_until=moment(1))[0] == "FAILED_PRECONDITION", "never back"
    assert refused(update, client, locked_until=timestamp_pb2.Timestamp(seconds=-1))[2] == ["lockedUntil"]
    assert server.cli("backup", "lock", backup.id, "--days", "40").stdout
    assert client.get(backup.id).locked_until.seconds > until.seconds
    server.restart()
    client = server.client()
    assert refused(client.delete, backup.id)[0] == "FAILED_PRECONDITION"
    assert client.verify(backup.id).valid
    assert client.get(backup.id).locked_until.seconds > until.seconds
    server.cli("backup", "hold", backup.id)
    assert client.get(backup.id).legal_hold
    server.cli("backup", "hold", backup.id, "--off")
    # Its time has come.
    server.stop()
    import sqlite3

    database = sqlite3.connect(server.home / "catalog.db")
    database.execute("UPDATE backups SET locked_until_ns = 1000")
    database.commit()
    database.close()
    server.start()
    server.client().delete(backup.id)


def test_quarantine(start, tmp_path):
    server = start(BACKUP_FILES_PATHS=make_files(tmp_path / "source", 3, 2000))
    client = server.client()
    operator = server.client(make_token(client, "operator", "OPERATOR").secret)
    backup = client.backup("FILES")
    assert not backup.quarantined and not backup.quarantine_reason

    def update(by, **fields):
        return by.call(by.backups.UpdateBackup, pb.UpdateBackupRequest(backup_id=backup.id, **fields))

    for fields in (
        {"quarantined": True},
        {"quarantined": True, "quarantine_reason": "x" * 401},
        {"quarantined": False, "quarantine_reason": "why"},
        {"quarantine_reason": "why"},
    ):
        assert refused(update, client, name="changed", **fields)[::2] == ("INVALID_ARGUMENT", ["quarantineReason"])
    assert client.get(backup.id).name == backup.name, "nothing of a refused request is done"
    found = update(operator, quarantined=True, quarantine_reason="files were missing")
    assert found.quarantined and found.quarantine_reason == "files were missing"
    assert refused(update, operator, quarantined=False)[0] == "PERMISSION_DENIED"
    assert client.verify(backup.id).valid
    assert update(operator, name="new name").quarantined, "what is not given stays"
    [listed] = client.list()
    assert listed.quarantined and listed.quarantine_reason == "files were missing"
    assert "files were missing" in server.cli("backup", "show", backup.id).stdout
    found = update(client, quarantined=False)
    assert not found.quarantined and found.quarantine_reason == "" and found.name == "new name"
    assert not update(operator, quarantined=False).quarantined, "there is nothing to lift"
    calls = client.call(client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(action="BackupService.UpdateBackup")).entries
    told = [(call.result, call.details.get("quarantined"), call.details.get("quarantine_reason")) for call in calls if call.resource == backup.id]
    assert ("OK", "true", "files were missing") in told and ("PERMISSION_DENIED", "false", None) in told
    assert ("OK", "false", None) in told
    # By the command line.
    assert "is in quarantine" in server.cli("backup", "quarantine", backup.id, "--reason", "it looks odd").stdout
    assert client.get(backup.id).quarantine_reason == "it looks odd"
    assert "--lift" in server.cli("backup", "quarantine", backup.id, check=2).stderr
    assert "--lift" in server.cli("backup", "quarantine", backup.id, "--lift", "--reason", "both", check=2).stderr
    assert client.get(backup.id).quarantined
    server.cli("backup", "quarantine", backup.id, "--lift")
    assert not client.get(backup.id).quarantined


def test_guessing_slows_down_the_guesser_alone(start):
    server = start()
    guesser = server.client("mos_" + "g" * 43)
    client = server.client()
    for _ in range(25):
        assert refused(guesser.list)[0] == "UNAUTHENTICATED"
        client.list()
    found = client.call(client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(action="Access.SlowDown")).entries
    assert len(found) == 1 and found[0].resource == "127.0.0.1"


def test_a_name_in_the_trail_is_one_caller(start):
    client = start().client()
    for name in ("system", "System", "retention", "unknown"):
        assert refused(make_token, client, name, "VIEWER")[2] == ["name"]
    made = make_token(client, "somebody", "VIEWER")
    assert refused(make_token, client, "somebody", "VIEWER")[0] == "ALREADY_EXISTS"
    client.call(client.admin.RevokeToken, admin.RevokeTokenRequest(token_id=made.token.id))
    assert make_token(client, "somebody", "VIEWER").token.id != made.token.id
    found = client.call(client.admin.ListAuditEntries, admin.ListAuditEntriesRequest(page_size=100)).entries
    first = next(entry for entry in found if entry.action == "Token.Make")
    assert first.actor == "system" and first.details["name"] == "admin"
    assert {entry.details["tokenId"] for entry in found if entry.actor == "admin"} == {first.resource}


def test_what_a_revoked_token_follows_ends(start, tmp_path):
    make_files(tmp_path / "source", 40, 100_000)
    # So slow that there is something to follow.
    server = start(BACKUP_FILES_PATHS=tmp_path / "source", MOSAAJII_ENGINE_DISK_MB=1)
    client = server.client()
    made = make_token(client, "looker", "VIEWER")
    looker, other = server.client(made.secret), server.client(make_token(client, "other", "VIEWER").secret)
    backup = client.create("FILES", integrity_check_enabled=False)
    streams = [looker.backups.WatchBackup(pb.WatchBackupRequest(backup_id=backup.id), metadata=looker.metadata, timeout=60)]
    streams.append(looker.alerts.WatchAlerts(alert.WatchAlertsRequest(), metadata=looker.metadata, timeout=60))
    stays = other.backups.WatchBackup(pb.WatchBackupRequest(backup_id=backup.id), metadata=other.metadata, timeout=60)
    assert next(streams[0]) and next(stays)
    client.call(client.admin.RevokeToken, admin.RevokeTokenRequest(token_id=made.token.id))
    for stream in streams:
        with pytest.raises(grpc.RpcError) as ended:
            list(stream)
        assert ended.value.code() == grpc.StatusCode.UNAUTHENTICATED, ended.value
    client.call(client.backups.CancelBackup, pb.CancelBackupRequest(backup_id=backup.id))
    list(stays)

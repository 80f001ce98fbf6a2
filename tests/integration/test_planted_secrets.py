"""Secrets planted in every setting are found nowhere they do not belong."""

import re
import subprocess
from pathlib import Path

from support.api import admin, pb, refused
from support.data import make_files
from support.kms import Vault
from support.program import BIN, ROOT, descendants, environment

# Every setting that settings.def calls secret, with a value that would be recognised anywhere.
PLANTED = {
    "JWT_SECRET": "planted-jwt-4f1c9a77e2b8",
    "DATABASE_URL": "postgresql://shop:planted-db-77aa31bb9c@127.0.0.1:1/shop",
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret-0d9e8c7b6a",
    "AWS_SESSION_TOKEN": "planted-aws-session-5b4a39281",
    "AZURE_STORAGE_KEY": "cGxhbnRlZC1henVyZS1rZXktODg=",
    "AZURE_STORAGE_SAS_TOKEN": "sig=planted-sas-6c5d4e3f2a",
    "SFTP_PASSWORD": "planted-sftp-9f8e7d6c5b",
    "SMTP_PASS": "planted-smtp-1a2b3c4d5e",
    "ALERT_WEBHOOK_URL": "http://127.0.0.1:1/planted-hook-aa55bb66cc",
    "ALERT_WEBHOOK_SECRET": "planted-hmac-7e6f5a4b3c",
    "ALERT_HEARTBEAT_URL": "http://127.0.0.1:1/planted-beat-bb77cc88dd",
    "MOSAAJII_KEYRING_PASSPHRASE": "planted-passphrase-2c3d4e5f",
    "VAULT_TOKEN": Vault.TOKEN,
    "MOSAAJII_TOKEN": "planted-client-token-3d4e5f6a",
}


def needles(values):
    for value in values:
        # Of a URL, what is secret in it.
        yield value.split("//")[-1].split("@")[0].split(":")[-1] if "@" in value else value.rsplit("/", 1)[-1]


def secret_settings():
    text = (ROOT / "server/common/settings.def").read_text()
    return {line.split("(")[1].split(",")[0] for line in text.splitlines() if line.startswith("X(") and line.split(",")[2].strip() == "true"}


def test_planted_secrets_are_seen_nowhere(start, tmp_path):
    assert secret_settings() <= set(PLANTED), secret_settings() - set(PLANTED)
    vault = Vault()
    seen = {}
    try:
        source = make_files(tmp_path / "source", 5, 2000)
        server = start(BACKUP_FILES_PATHS=source, MOSAAJII_LOG_LEVEL="debug", **(PLANTED | vault.settings()))
        client = server.client()
        token = server.token
        made = client.call(client.admin.CreateToken, admin.CreateTokenRequest(name="planted", role=admin.Token.ADMIN))
        backup = client.create("FILES")
        answers = [str(event) for event in client.watch(backup.id)]
        for pid in [server.process.pid, *descendants(server.process.pid)]:
            seen[pid] = Path(f"/proc/{pid}/cmdline").read_bytes()
        limits = Path(f"/proc/{server.process.pid}/limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0\s", limits), limits
        # Things that fail, with secrets near by.
        vault.door.fault = "throttled"
        failed = client.backup("FILES", good=False)
        assert failed.status == pb.Backup.FAILED
        vault.door.fault = None
        answers.append(str(failed))
        try:
            answers.append(str(client.backup("DATABASE", good=False)))
        except Exception as error:
            answers.append(str(error))
        answers.append(str(refused(client.call, client.admin.ExportKeys, admin.ExportKeysRequest(passphrase="planted-pas"))))
        refused(client.call, client.admin.ImportKeys, admin.ImportKeysRequest(passphrase="planted-import-pass", content=b"x"))
        client.call(client.admin.ExportKeys, admin.ExportKeysRequest(passphrase="planted-export-pass"))
        answers.append(str(client.restore(backup.id, "postgresql://x:planted-target-pass@127.0.0.1:1/x", good=False)))
        answers.append(str(client.call(client.admin.GetStatus, admin.GetStatusRequest())))
        trail = b"".join(c.data for c in client.admin.ExportAudit(admin.ExportAuditRequest(), metadata=client.metadata, timeout=60))
        printed = subprocess.run(
            [BIN / "mosaajii-server", "--print-config"], env=environment(**server.settings), capture_output=True, timeout=60
        )
        server.stop()
    finally:
        vault.close()
    secrets = [*needles(PLANTED.values()), token, made.secret, "planted-pas", "planted-import-pass", "planted-export-pass", "planted-target-pass"]
    places = {"log": server.log_text(), "answers": "\n".join(answers), "trail": trail.decode(), "config": printed.stdout.decode() + printed.stderr.decode()}
    places |= {f"cmdline {pid}": text.decode() for pid, text in seen.items()}
    for path in server.home.rglob("*"):
        if path.is_file() and path.name != "admin.token":
            places[str(path)] = path.read_bytes().decode("latin-1")
    # The signing key of the trail is its file's alone.
    key = (server.home / "keys/audit.key").read_text().strip()
    for name, text in places.items():
        for secret in secrets:
            assert secret not in text, (secret, name)
        assert key not in text or name.endswith("audit.key"), name

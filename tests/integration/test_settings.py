"""Settings: wrong ones are refused by name before anything starts; TLS and mutual TLS."""

import subprocess

import grpc
import pytest

from support.api import Client, pb, refused
from support.program import BIN, Server, environment


@pytest.mark.parametrize(
    "name, value",
    [
        ("MOSAAJII_NO_SUCH_SETTING", "1"),
        ("MOSAAJII_LISTEN", "nonsense"),
        ("MOSAAJII_LISTEN", "127.0.0.1:99999"),
        ("MOSAAJII_LISTEN", "0.0.0.0:0"),
        ("MOSAAJII_LISTEN", "[::]:0"),
        ("MOSAAJII_LISTEN", "127.example.org:0"),
        ("MOSAAJII_MAX_JOBS", "many"),
        ("MOSAAJII_MAX_JOBS", "-1"),
        ("MOSAAJII_LOG_FORMAT", "xml"),
        ("MOSAAJII_LOG_LEVEL", "loud"),
        ("BACKUP_RETENTION_DAYS", "0"),
        ("BACKUP_RETENTION_DAYS", "ten"),
        ("BACKUP_ENCRYPTION_ENABLED", "maybe"),
        ("OFFSITE_PROVIDER", "FLOPPY"),
        ("KMS_PROVIDER", "PAPER"),
        ("DATABASE_URL", "oracle://somewhere/x"),
        ("DATABASE_URL", "postgresql://shop:pass/word@localhost/x"),
        ("DATABASE_URL", "sqlite:///x,mysql://localhost"),
        ("BACKUP_SENTINEL", "/srv/nowhere/.sentinel"),
        ("MOSAAJII_TLS_CERT", "/no/such/file.pem"),
    ],
)
def test_wrong_setting_is_refused_by_name(tmp_path, name, value):
    result = subprocess.run(
        [BIN / "mosaajii-server"],
        env=environment(**{"MOSAAJII_HOME": tmp_path / "home", "MOSAAJII_LISTEN": "127.0.0.1:0"} | {name: value}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2, result
    assert name in result.stderr
    assert not (tmp_path / "home/repo").exists()


def test_print_config_shows_every_setting(tmp_path):
    result = subprocess.run(
        [BIN / "mosaajii-server", "--print-config"],
        env=environment(MOSAAJII_HOME=tmp_path, BACKUP_RETENTION_DAYS="77", AWS_SECRET_ACCESS_KEY="hidden-value"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0
    lines = {line.split()[0].split("=")[0]: line for line in result.stdout.splitlines() if line.strip()}
    for name in ("MOSAAJII_REPOSITORY", "MOSAAJII_LISTEN", "JWT_SECRET", "SMTP_PASS", "OFFSITE_REPLICA_PROVIDER", "KMS_PROVIDER"):
        assert name in lines, name
    assert "77" in lines["BACKUP_RETENTION_DAYS"] and "hidden-value" not in result.stdout
    assert f"{tmp_path}/repo" in lines["MOSAAJII_REPOSITORY"]


def test_second_server_on_the_same_home_is_refused(start):
    server = start()
    second = subprocess.run(
        [BIN / "mosaajii-server"], env=environment(**server.settings), capture_output=True, text=True, timeout=60
    )
    assert second.returncode not in (0, None) and str(server.home) in second.stderr, second
    assert server.client().list() == []


def test_second_server_on_the_same_address_is_refused(start, tmp_path):
    server = start()
    second = subprocess.run(
        [BIN / "mosaajii-server"],
        env=environment(MOSAAJII_HOME=tmp_path / "other", MOSAAJII_LISTEN=server.address),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode not in (0, None) and server.address in second.stderr, second


def test_json_log(start):
    import json

    server = start(MOSAAJII_LOG_FORMAT="json")
    server.client().list()
    server.stop()
    lines = [json.loads(line) for line in server.log_text().splitlines()]
    assert any(line.get("event") == "ready" for line in lines)


def test_retention_and_compression_defaults(start, tmp_path):
    (tmp_path / "x").write_text("x")
    server = start(BACKUP_FILES_PATHS=tmp_path / "x", BACKUP_RETENTION_DAYS=9, BACKUP_COMPRESSION_ENABLED="false")
    backup = server.client().backup("FILES")
    assert backup.retention_days == 9 and not backup.compression_enabled and backup.encryption_enabled
    assert backup.name, "a name of its own"


def test_encryption_may_be_declined_where_allowed(start, tmp_path):
    (tmp_path / "x").write_text("plain and simple secret text")
    server = start(BACKUP_FILES_PATHS=tmp_path / "x", BACKUP_ENCRYPTION_ENABLED="false")
    backup = server.client().backup("FILES", encryption_enabled=False)
    assert not backup.encryption_enabled
    # Encrypted at rest all the same.
    assert not [p for p in server.repository.rglob("*") if p.is_file() and b"plain and simple" in p.read_bytes()]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    (folder / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for authority in ("ca", "stranger-ca"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-keyout", f"{authority}.key", "-out", f"{authority}.pem", "-subj", f"/CN={authority}")  # fmt: skip
    for name, authority in (("server", "ca"), ("client", "ca"), ("stranger", "stranger-ca")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")  # fmt: skip
        openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
                "-CAcreateserial", "-extfile", "san", "-out", f"{name}.pem")  # fmt: skip
    return folder


def credentials(folder, authority="ca", client=None):
    return grpc.ssl_channel_credentials(
        (folder / f"{authority}.pem").read_bytes(),
        (folder / f"{client}.key").read_bytes() if client else None,
        (folder / f"{client}.pem").read_bytes() if client else None,
    )


def test_tls(start, certificates):
    server = start(MOSAAJII_TLS_CERT=certificates / "server.pem", MOSAAJII_TLS_KEY=certificates / "server.key")
    assert server.client(credentials=credentials(certificates)).list() == []
    for wrong in (Client(server.address, server.token, credentials(certificates, "stranger-ca")), Client(server.address, server.token)):
        assert refused(wrong.list)[0] == "UNAVAILABLE"
        wrong.close()
    server.cli("backup", "list", MOSAAJII_TLS_CLIENT_CA=certificates / "ca.pem")
    server.cli("backup", "list", MOSAAJII_TLS_CLIENT_CA=certificates / "stranger-ca.pem", check=6)


def test_mutual_tls(start, certificates):
    server = start(
        MOSAAJII_TLS_CERT=certificates / "server.pem",
        MOSAAJII_TLS_KEY=certificates / "server.key",
        MOSAAJII_TLS_CLIENT_CA=certificates / "ca.pem",
    )
    assert server.client(credentials=credentials(certificates, client="client")).list() == []
    for name in (None, "stranger"):
        wrong = Client(server.address, server.token, credentials(certificates, client=name))
        assert refused(wrong.list)[0] == "UNAVAILABLE"
        wrong.close()
    # The certificate does not replace the token.
    bare = Client(server.address, None, credentials(certificates, client="client"))
    assert refused(bare.backups.ListBackups, pb.ListBackupsRequest())[0] == "UNAUTHENTICATED"
    bare.close()


def test_open_address_with_tls_is_allowed(start, certificates):
    server = Server(
        start().home.parent / "open",
        MOSAAJII_LISTEN="0.0.0.0:0",
        MOSAAJII_TLS_CERT=certificates / "server.pem",
        MOSAAJII_TLS_KEY=certificates / "server.key",
    ).start()
    try:
        port = server.address.rsplit(":", 1)[1]
        client = Client(f"localhost:{port}", server.token, credentials(certificates))
        assert client.list() == []
        client.close()
    finally:
        server.stop()


def test_certificate_and_key_that_do_not_fit(certificates, tmp_path):
    result = subprocess.run(
        [BIN / "mosaajii-server"],
        env=environment(
            MOSAAJII_HOME=tmp_path,
            MOSAAJII_LISTEN="127.0.0.1:0",
            MOSAAJII_TLS_CERT=certificates / "server.pem",
            MOSAAJII_TLS_KEY=certificates / "client.key",
        ),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode != 0 and "TLS" in result.stderr, result

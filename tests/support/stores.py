"""Real servers of every protocol that a store offsite may speak, each on loopback with a state of its own."""

import base64
import contextlib
import getpass
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.program import CEILING, TOOLS, environment, wait_until

REGION = "eu-central-1"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def listens(port):
    """Whether something takes connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


def answers(port, path="/"):
    """Whether something speaks HTTP there."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        connection.getresponse().read()
        return True
    except OSError:
        return False


class Program:
    """A server that is a program: started with its state in a folder of its own, and stopped by its pid."""

    def start(self, command, ready, **variables):
        self.log = open(self.home / "log", "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, env=environment(**variables))
        wait_until(lambda: self.process.poll() is not None or ready(), f"{command[0]} listens", CEILING)
        assert self.process.poll() is None, (self.home / "log").read_text()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(CEILING)
        self.log.close()


class S3(Program):
    """versitygw: checks signatures and checksums, keeps versions and locks."""

    ACCESS, SECRET = "AKIABACKUP", "a-secret-of-the-tests"
    BUCKETS = ("backups", "locked")

    def __init__(self, home):
        self.home = Path(home)
        self.port = free_port()
        for name in ("data", "versions"):
            (self.home / name).mkdir()
        self.run()
        client = self.client()
        client.create_bucket(Bucket="backups")
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)

    def run(self, *options):
        self.start(
            [TOOLS / "versitygw", "--access", self.ACCESS, "--secret", self.SECRET, "--region", REGION, "--port", f"127.0.0.1:{self.port}",
             "--keep-alive", "--quiet", *options, "posix", "--versioning-dir", self.home / "versions", self.home / "data"],
            lambda: listens(self.port),
        )  # fmt: skip

    def client(self):
        import boto3

        return boto3.client(
            "s3", region_name=REGION, endpoint_url=f"http://127.0.0.1:{self.port}", aws_access_key_id=self.ACCESS, aws_secret_access_key=self.SECRET
        )

    def settings(self, bucket="backups", port=None):
        return {
            "OFFSITE_PROVIDER": "S3", "OFFSITE_BUCKET": bucket, "OFFSITE_REGION": REGION, "OFFSITE_PREFIX": "shop/one",
            "OFFSITE_ENDPOINT": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": self.ACCESS, "AWS_SECRET_ACCESS_KEY": self.SECRET,
        }  # fmt: skip


class Moto(Program):
    """moto: knows the storage classes of S3 and what an archived object does, which versitygw does not, and checks no signatures."""

    ACCESS, SECRET = S3.ACCESS, S3.SECRET
    settings = S3.settings
    client = S3.client

    def __init__(self, home):
        self.home = Path(home)
        self.port = free_port()
        self.start([Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(self.port)], lambda: answers(self.port, "/moto-api/"))
        self.client().create_bucket(Bucket="backups", CreateBucketConfiguration={"LocationConstraint": REGION})


class Door:
    """Stands before a server. `decide(request, body)` is asked first: None lets the request through, (code, headers, body) answers it,
    "cut" closes the connection, "cut answer" lets it through and gives half of the answer, "silent" never answers."""

    def __init__(self, port, decide=lambda request, body: None):
        door = self
        self.decide = decide
        self.seen = []
        self.closing = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                door.seen.append((self.command, self.path))
                verdict = door.decide(self, body)
                if verdict == "silent":
                    door.closing.wait(CEILING)
                if verdict in ("cut", "silent"):
                    self.close_connection = True
                    return
                if isinstance(verdict, tuple):
                    self.answer(*verdict)
                    return
                behind = http.client.HTTPConnection("127.0.0.1", port, timeout=CEILING)
                behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    behind.putheader(name, value)
                behind.endheaders(body)
                response = behind.getresponse()
                content = response.read()
                headers = {name: value for name, value in response.getheaders() if name.lower() not in ("connection", "transfer-encoding")}
                if self.command != "HEAD":
                    headers = {name: value for name, value in headers.items() if name.lower() != "content-length"} | {"Content-Length": len(content)}
                if verdict == "cut answer":
                    content = content[: len(content) // 2]
                    self.close_connection = True
                self.answer(response.status, headers, content)
                behind.close()

            def answer(self, code, headers, content):
                self.send_response_only(code)
                if "Content-Length" not in headers and "content-length" not in headers:
                    headers = headers | {"Content-Length": len(content)}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    with contextlib.suppress(OSError):
                        self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = serve

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # Who asked may have gone.
        self.server.handle_error = lambda *_: None
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


class CuttingDoor:
    def __init__(self, port, after_bytes):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.behind, self.after_bytes = port, after_bytes
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                front = self.listener.accept()[0]
                back = socket.create_connection(("127.0.0.1", self.behind))
                for pair in ((front, back, self.after_bytes), (back, front, None)):
                    threading.Thread(target=self.pass_on, args=pair, daemon=True).start()

    def pass_on(self, source, target, left):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                left = left - len(data) if left is not None else None
                if left is not None and left <= 0:
                    break
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Gcs(Program):
    """fake-gcs-server, behind a door that gives tokens to whom the account's key has signed for, and lets in only who brings one."""

    EMAIL, TOKEN = "backup@shop.iam.gserviceaccount.com", "ya29.a-token-of-the-tests"

    def __init__(self, home):
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        self.home = Path(home)
        self.port = free_port()
        self.door = Door(self.port, self.guard)
        self.fault = lambda request, body: None
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.tokens_given = 0
        pem = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        self.account = self.home / "account.json"
        self.token_uri = f"http://127.0.0.1:{self.door.port}/token"
        self.write_account(self.account, pem)
        (self.home / "data/backups").mkdir(parents=True)
        self.start(
            [TOOLS / "fake-gcs-server", "-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port), "-backend", "memory", "-data",
             self.home / "data", "-external-url", f"http://127.0.0.1:{self.door.port}"],
            lambda: answers(self.port, "/_internal/healthcheck"),
        )  # fmt: skip

    def write_account(self, path, pem):
        path.write_text(
            json.dumps({"type": "service_account", "client_email": self.EMAIL, "private_key": pem, "token_uri": self.token_uri})
        )

    def guard(self, request, body):
        if request.path == "/token":
            return self.give_token(urllib.parse.parse_qs(body.decode()))
        if request.headers.get("Authorization") != f"Bearer {self.TOKEN}":
            message = {"error": {"code": 401, "message": "Invalid Credentials", "errors": [{"reason": "authError"}]}}
            return 401, {"Content-Type": "application/json"}, json.dumps(message).encode()
        return self.fault(request, body) or self.locked(request)

    def locked(self, request):
        """The emulator keeps an object's lock, but does not hold to it: what Google says then, the door says."""
        if request.command != "DELETE":
            return None
        behind = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CEILING)
        behind.request("GET", request.path)
        until = json.loads(behind.getresponse().read() or b"{}").get("retention", {}).get("retainUntilTime")
        if not until or until < time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()):
            return None
        message = {"error": {"code": 403, "message": f"Object is locked until {until}", "errors": [{"reason": "retentionPolicyNotMet"}]}}
        return 403, {"Content-Type": "application/json"}, json.dumps(message).encode()

    def give_token(self, form):
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        header, claims, signature = form["assertion"][0].split(".")
        try:
            self.key.public_key().verify(unbase64(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
            read = json.loads(unbase64(claims))
            good = json.loads(unbase64(header))["alg"] == "RS256" and read["iss"] == self.EMAIL and read["aud"] == self.token_uri
            good = good and 0 < read["exp"] - read["iat"] <= 3600
        except InvalidSignature:
            good = False
        self.tokens_given += good
        if not good:
            return 400, {}, b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}'
        return 200, {}, json.dumps({"access_token": self.TOKEN, "expires_in": 3599, "token_type": "Bearer"}).encode()

    def settings(self, bucket="backups"):
        return {
            "OFFSITE_PROVIDER": "GOOGLE_CLOUD", "OFFSITE_BUCKET": bucket, "OFFSITE_PREFIX": "shop/one",
            "OFFSITE_ENDPOINT": f"http://127.0.0.1:{self.door.port}", "GOOGLE_APPLICATION_CREDENTIALS": self.account,
        }  # fmt: skip

    def stop(self):
        self.door.close()
        super().stop()


class Azure(Program):
    """Azurite, which checks signatures of both kinds."""

    ACCOUNT, KEY = "shopbackups", base64.b64encode(b"a key of the tests, of 32 bytes. ").decode()

    def __init__(self, home):
        self.home = Path(home)
        self.port = free_port()
        self.start(
            ["node", TOOLS / "azurite/node_modules/.bin/azurite-blob", "--silent", "--skipApiVersionCheck", "--disableTelemetry",
             "--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", self.home / "data"],
            lambda: answers(self.port),
            AZURITE_ACCOUNTS=f"{self.ACCOUNT}:{self.KEY}",
        )  # fmt: skip
        self.put_container("backups")

    def put_container(self, name):
        """With a signature of the account, made here once more."""
        import datetime
        import hashlib
        import hmac

        date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-date": date, "x-ms-version": "2021-12-02"}
        canonical = "".join(f"{key}:{value}\n" for key, value in sorted(headers.items()))
        text = f"PUT\n\n\n\n\n\n\n\n\n\n\n\n{canonical}/{self.ACCOUNT}/{self.ACCOUNT}/{name}\nrestype:container"
        signature = base64.b64encode(hmac.new(base64.b64decode(self.KEY), text.encode(), hashlib.sha256).digest()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CEILING)
        connection.request("PUT", f"/{self.ACCOUNT}/{name}?restype=container", headers=headers | {"Authorization": f"SharedKey {self.ACCOUNT}:{signature}", "Content-Length": "0"})
        response = connection.getresponse()
        assert response.status == 201, (response.status, response.read())

    def sas(self, permissions="rwdlc", minutes=60):
        """A shared access signature of the account for a service."""
        import datetime
        import hashlib
        import hmac

        def moment(delta):
            return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=delta)).strftime("%Y-%m-%dT%H:%M:%SZ")

        start, end, version = moment(-5), moment(minutes), "2021-12-02"
        text = "\n".join([self.ACCOUNT, permissions, "b", "sco", start, end, "", "https,http", version, "", ""])
        signature = base64.b64encode(hmac.new(base64.b64decode(self.KEY), text.encode(), hashlib.sha256).digest()).decode()
        return urllib.parse.urlencode(
            {"sv": version, "ss": "b", "srt": "sco", "sp": permissions, "st": start, "se": end, "spr": "https,http", "sig": signature}
        )

    def settings(self, bucket="backups", port=None):
        return {
            "OFFSITE_PROVIDER": "AZURE_BLOB", "OFFSITE_BUCKET": bucket, "OFFSITE_PREFIX": "shop/one",
            "OFFSITE_ENDPOINT": f"http://127.0.0.1:{port or self.port}", "AZURE_STORAGE_ACCOUNT": self.ACCOUNT, "AZURE_STORAGE_KEY": self.KEY,
        }  # fmt: skip


class Sftp(Program):
    """OpenSSH's server, as whoever runs the tests, for keys. A password needs a user whom PAM knows, so it is tried by a user of its own."""

    def __init__(self, home):
        self.home = Path(home)
        self.port = free_port()
        self.user = getpass.getuser()
        self.folder = self.home / "backups"
        self.folder.mkdir()
        self.key = self.home / "client"
        self.make_key(self.key)
        self.make_key(self.home / "host")
        (self.home / "authorized").write_text((self.home / "client.pub").read_text())
        self.known_hosts = self.home / "known_hosts"
        self.know(self.known_hosts, self.home / "host.pub")
        self.run()

    def make_key(self, path, kind="ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True, timeout=CEILING)

    def know(self, file, public):
        kind, key = public.read_text().split()[:2]
        file.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def run(self, host="host"):
        config = self.home / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.home}/{host}\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.home}/authorized\nStrictModes no\nPasswordAuthentication yes\nPermitRootLogin yes\n"
            "MaxStartups 100\nSubsystem sftp internal-sftp\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        self.start(["/usr/sbin/sshd", "-D", "-e", "-f", config], lambda: self.listens())

    def listens(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            return connection.recv(4) == b"SSH-"
        return False

    def hash_names(self, file):
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True, timeout=CEILING)

    @contextlib.contextmanager
    def password_user(self):
        """(user, password, folder) of a user of this machine for as long as that takes; only root can make one."""
        if os.geteuid() != 0:
            import pytest

            pytest.skip("only root can make a user with a password")
        user, password = f"mosaajii{os.getpid() % 100000}", "a-password-of-the-tests"
        subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/sh", user], check=True, timeout=CEILING)
        try:
            subprocess.run(["chpasswd"], input=f"{user}:{password}\n", text=True, check=True, timeout=CEILING)
            self.home.chmod(0o711)
            shared = self.home / "shared"
            shared.mkdir()
            shared.chmod(0o777)
            yield user, password, shared
        finally:
            subprocess.run(["userdel", user], check=True, timeout=CEILING)

    def cutting_door(self, after_bytes):
        """Passes everything on, and closes the connection once so many bytes have come in."""
        return CuttingDoor(self.port, after_bytes)

    def settings(self, **more):
        return {
            "OFFSITE_PROVIDER": "SFTP", "OFFSITE_BUCKET": self.folder, "OFFSITE_PREFIX": "shop/one", "OFFSITE_ENDPOINT": f"127.0.0.1:{self.port}",
            "SFTP_USER": self.user, "SFTP_PRIVATE_KEY": self.key, "SFTP_KNOWN_HOSTS": self.known_hosts,
        } | more  # fmt: skip


def store(settings, *words, **more):
    """(status, output) of one call on a store; a status is OK or a name from status.def. No secret may stand in the output."""
    from support.program import BIN

    everything = settings | more
    result = subprocess.run(
        [BIN.parent / "test/mos_store", *words], env=environment(**everything), capture_output=True, text=True, timeout=CEILING
    )
    output = result.stdout + result.stderr
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN", "SFTP_PASSWORD"):
        assert not everything.get(name) or str(everything[name]) not in output
    assert "ya29." not in output and "PRIVATE KEY" not in output
    last = result.stdout.strip().splitlines()[-1]
    assert (last == "OK") == (result.returncode == 0), output
    return last.split(":")[0], output


def contract(settings, *tests, **more):
    """Runs the suite that all stores pass, on this one."""
    from support.program import BIN

    result = subprocess.run(
        [BIN.parent / "test/unit.control.offsite.contract", *tests], env=environment(**(settings | more)), capture_output=True, text=True, timeout=CEILING
    )
    assert result.returncode == 0, result.stdout + result.stderr


@contextlib.contextmanager
def running(kind):
    with tempfile.TemporaryDirectory() as home:
        server = kind(home)
        try:
            yield server
        finally:
            server.stop()

"""What goes wrong at every provider, told in the same words: quota, silence, cuts, storms, clocks. What only one of them can do stands with
its driver."""

import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest

from support.program import CEILING
from support.stores import Azure, CuttingDoor, Door, Gcs, S3, Sftp, running, store

SMALL = "/etc/hostname"


def xml(code):
    return f"<Error><Code>{code}</Code><Message>as told</Message></Error>".encode()


class Silent:
    """Takes connections, and says nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def close(self):
        self.listener.close()


class Refusing:
    """Closes so many connections before anything is said, and passes the others on."""

    def __init__(self, port, refusals):
        self.behind = CuttingDoor(port, after_bytes=1 << 40)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.left = refusals
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                front = self.listener.accept()[0]
                if self.left > 0:
                    self.left -= 1
                    front.close()
                    continue
                back = socket.create_connection(("127.0.0.1", self.behind.port))
                for pair in ((front, back, None), (back, front, None)):
                    threading.Thread(target=self.behind.pass_on, args=pair, daemon=True).start()

    def close(self):
        self.listener.close()
        self.behind.close()


class Site:
    """A server, and its settings as seen through whatever stands at another port."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder

    def through(self, port):
        if isinstance(self.server, Sftp):
            known = self.folder / f"known-{port}"
            kind, key = (self.server.home / "host.pub").read_text().split()[:2]
            known.write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
            return self.server.settings(OFFSITE_ENDPOINT=f"127.0.0.1:{port}", SFTP_KNOWN_HOSTS=known)
        if isinstance(self.server, Gcs):
            # Tokens come from there, too; the door itself stays, for it knows them.
            return self.server.settings() | {"OFFSITE_ENDPOINT": f"http://127.0.0.1:{port}"}
        return self.server.settings(port=port)


@pytest.fixture(scope="module", params=[S3, Azure, Gcs, Sftp], ids=lambda kind: kind.__name__)
def site(request, tmp_path_factory):
    with running(request.param) as server:
        yield Site(server, tmp_path_factory.mktemp("site"))


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(os.urandom(12 * 1024 * 1024 + 5))
    return path


def behind(site):
    return site.server.door.port if isinstance(site.server, Gcs) else site.server.port


def test_silence_is_no_answer(site):
    silent = Silent()
    for verb in (("probe",), ("put", "silent", SMALL), ("get", "silent", "/dev/null")):
        assert store(site.through(silent.port), *verb, OFFSITE_TIMEOUT_SECONDS=1)[0] == "DEADLINE_EXCEEDED"
    silent.close()
    assert store(site.server.settings(), "head", "silent")[0] == "NOT_FOUND"


def test_nobody_there(site):
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    assert store(site.through(port), "probe")[0] == "UNAVAILABLE"


def test_connections_that_are_refused_for_a_while_are_made_again(site, tmp_path):
    if isinstance(site.server, Gcs):
        # Its door hands out where to send to, which would not be through another door.
        pytest.skip("see test_storms_are_outlasted of test_store_gcs.py")
    door = Refusing(behind(site), 1)
    assert store(site.through(door.port), "put", "refused", SMALL)[0] == "UNAVAILABLE"
    door.left = 2
    assert store(site.through(door.port), "--retry", "put", "refused", SMALL)[0] == "OK"
    door.left = 2
    assert store(site.through(door.port), "--retry", "get", "refused", tmp_path / "back")[0] == "OK"
    assert (tmp_path / "back").read_bytes() == open(SMALL, "rb").read()
    door.close()


def test_a_put_that_is_cut_leaves_nothing_to_be_seen(site, large, tmp_path):
    door = CuttingDoor(behind(site), after_bytes=5 * 1024 * 1024)
    if isinstance(site.server, Gcs):
        # It is told where to send to, which is not through the door: so it is cut where it is sent.
        site.server.fault = lambda request, body: "cut" if request.command == "PUT" else None
        status = store(site.server.settings(), "put", "cut", large)[0]
        site.server.fault = lambda request, body: None
    else:
        status = store(site.through(door.port), "put", "cut", large)[0]
    door.close()
    # The second where the machine has so much else to do that silence is noticed before the end.
    assert status in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
    assert store(site.server.settings(), "head", "cut")[0] == "NOT_FOUND"
    assert "cut " not in store(site.server.settings(), "list", "")[1]
    assert store(site.server.settings(), "put", "cut", large)[0] == "OK"
    assert store(site.server.settings(), "get", "cut", tmp_path / "back")[0] == "OK"
    assert (tmp_path / "back").read_bytes() == large.read_bytes()


def answers(kind):
    """What each of them says, as its documentation has it, and none of these servers by itself: (what, answer, status, words). Azure and Google
    have no word for an account that is full."""

    def google(code, reason):
        return code, {}, json.dumps({"error": {"code": code, "message": "as told", "errors": [{"reason": reason}]}}).encode()

    return {
        S3: [
            ("fault", (500, {}, xml("InternalError")), "UNAVAILABLE", "InternalError"),
            ("busy", (503, {}, xml("SlowDown")), "RESOURCE_EXHAUSTED", "SlowDown"),
            ("quota", (403, {}, xml("QuotaExceeded")), "NO_SPACE", "QuotaExceeded"),
            ("clock", (403, {}, xml("RequestTimeTooSkewed")), "FAILED_PRECONDITION", "clock"),
            ("forbidden", (403, {}, xml("AccessDenied")), "PERMISSION_DENIED", "AccessDenied"),
        ],
        Azure: [
            ("fault", (500, {}, xml("InternalError")), "UNAVAILABLE", "InternalError"),
            ("busy", (503, {}, xml("ServerBusy")), "RESOURCE_EXHAUSTED", "ServerBusy"),
            ("clock", (403, {}, b"<Error><Code>AuthenticationFailed</Code><Message>as told</Message><AuthenticationErrorDetail>Request date "
             b"header too old: 'Mon, 01 Jan 2024 00:00:00 GMT'</AuthenticationErrorDetail></Error>"), "FAILED_PRECONDITION", "clock"),
            ("forbidden", (403, {}, xml("AuthorizationPermissionMismatch")), "PERMISSION_DENIED", "AuthorizationPermissionMismatch"),
        ],
        Gcs: [
            ("fault", google(500, "backendError"), "UNAVAILABLE", "backendError"),
            ("busy", google(503, "backendError"), "UNAVAILABLE", "backendError"),
            ("many", google(429, "rateLimitExceeded"), "RESOURCE_EXHAUSTED", "rateLimitExceeded"),
            ("forbidden", google(403, "forbidden"), "PERMISSION_DENIED", "forbidden"),
        ],
    }[kind]  # fmt: skip


def test_what_a_server_says_is_told(site):
    kind = type(site.server)
    if kind is Sftp:
        pytest.skip("SFTP has no such answers")
    for what, answer, status, words in answers(kind):
        # Only where something is written; so that nothing is taken for there.
        def decide(request, body, answer=answer):
            return answer if request.command in ("PUT", "POST") and request.path != "/token" else None

        door = None if kind is Gcs else Door(site.server.port, decide)
        if door:
            settings = site.through(door.port)
        else:
            site.server.fault, settings = decide, site.server.settings()
        found, output = store(settings, "put", f"said/{what}", SMALL)
        assert found == status and words in output, output
        if door:
            door.close()
        else:
            site.server.fault = lambda request, body: None
        assert store(site.server.settings(), "head", f"said/{what}")[0] == "NOT_FOUND"


def test_a_clock_that_google_does_not_take_is_told(tmp_path):
    with running(Gcs) as gcs:
        gcs.give_token = lambda form: (
            400, {}, b'{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes) and in a '
            b'reasonable timeframe. Check your iat and exp values in the JWT claim."}',
        )  # fmt: skip
        status, output = store(gcs.settings(), "put", "late", SMALL)
        assert status == "FAILED_PRECONDITION" and "clock" in output, output


@contextlib.contextmanager
def small_disk(folder, mib):
    """A disk of its own; only root can mount one."""
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", folder], capture_output=True, timeout=CEILING).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True, timeout=CEILING)


@pytest.mark.parametrize("kind", ["LOCAL_REMOTE", "SFTP"])
def test_a_full_disk_is_told_and_takes_more_when_there_is_room(kind, tmp_path, large):
    with running(Sftp) as server, small_disk(server.folder, 16):
        settings = server.settings() if kind == "SFTP" else {"OFFSITE_PROVIDER": kind, "OFFSITE_BUCKET": server.folder, "OFFSITE_PREFIX": "shop/one"}
        (server.folder / "other").write_bytes(b"x" * (8 << 20))
        status, output = store(settings, "put", "full", large)
        assert status == "NO_SPACE", output
        assert store(settings, "head", "full")[0] == "NOT_FOUND"
        # Nothing half written takes room.
        assert not list((server.folder / "shop/one").glob("incoming~/*"))
        (server.folder / "other").unlink()
        assert store(settings, "put", "full", large)[0] == "OK"
        assert (server.folder / "shop/one/full").read_bytes() == large.read_bytes()


def test_a_folder_that_is_missing_is_told(tmp_path):
    settings = {"OFFSITE_PROVIDER": "LOCAL_REMOTE", "OFFSITE_BUCKET": tmp_path / "not-mounted"}
    for verb in (("probe",), ("head", "a"), ("put", "a", SMALL), ("delete", "a"), ("get", "a", tmp_path / "x"), ("list", "")):
        status, output = store(settings, *verb)
        assert status == "FAILED_PRECONDITION" and "does not exist" in output
    assert not (tmp_path / "not-mounted").exists()

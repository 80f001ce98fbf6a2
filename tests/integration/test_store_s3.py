"""The S3 driver against a server that checks every signature, and what happens when that server, or the way to it, does not do its part."""

import os
import subprocess

import pytest

from support.program import CEILING
from support.stores import S3, Door, Moto, contract, running, store

LARGE_BYTES = 20 * 1024 * 1024 + 11


@pytest.fixture(scope="module")
def s3():
    with running(S3) as server:
        yield server


@pytest.fixture
def door(s3):
    opened = Door(s3.port)
    yield opened
    opened.close()


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(os.urandom(LARGE_BYTES))
    return path


def failure(status, code, message="as told"):
    return status, {"Content-Type": "application/xml"}, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@pytest.mark.parametrize("bucket", S3.BUCKETS)
def test_contract(s3, bucket):
    # The gateway has one storage class.
    contract(s3.settings(bucket), MOS_TEST_NO_ARCHIVE=1, MOS_TEST_NO_LOCKS=None if bucket == "locked" else 1)


def test_a_server_without_classes_archives_nothing(s3):
    assert store(s3.settings(), "put", "warm", "/etc/hostname")[0] == "OK"
    status, output = store(s3.settings(), "archive", "warm")
    assert status == "FAILED_PRECONDITION" and "warm cannot be archived" in output
    assert store(s3.settings(), "head", "warm")[1].split()[1:] == ["ready", "STANDARD", "OK"]


def test_archived_objects(tmp_path):
    with running(Moto) as moto:
        settings = moto.settings()
        contract(settings, "what_is_archived_is_thawed_before_it_is_read")
        assert store(settings, "put", "cold", "/etc/hostname")[0] == "OK"
        assert store(settings, "archive", "cold")[0] == "OK"
        assert store(settings, "head", "cold")[1].split()[1:] == ["archived", "GLACIER", "OK"]
        assert moto.client().head_object(Bucket="backups", Key="shop/one/cold")["StorageClass"] == "GLACIER"
        status, output = store(settings, "get", "cold", tmp_path / "back")
        assert status == "FAILED_PRECONDITION" and "must be thawed" in output
        assert store(settings, "thaw", "cold", "2")[0] == "OK"
        # It is read, and its SHA-256 is still known.
        assert store(settings, "get", "cold", tmp_path / "back")[0] == "OK"
        assert (tmp_path / "back").read_bytes() == open("/etc/hostname", "rb").read()
        # Written so, or moved elsewhere than to where one has to wait.
        assert store(settings, "put", "written", "/etc/hostname", OFFSITE_STORAGE_CLASS="STANDARD_IA")[0] == "OK"
        assert "STANDARD_IA" in store(settings, "head", "written")[1]
        assert store(settings, "archive", "written", OFFSITE_ARCHIVE_CLASS="DEEP_ARCHIVE")[0] == "OK"
        assert store(settings, "head", "written")[1].split()[1:] == ["archived", "DEEP_ARCHIVE", "OK"]
        assert store(settings, "put", "warm", "/etc/hostname")[0] == "OK"
        status, output = store(settings, "archive", "warm", OFFSITE_ARCHIVE_CLASS="NONSENSE")
        assert status == "FAILED_PRECONDITION" and "InvalidStorageClass" in output
        assert "ready" in store(settings, "head", "warm")[1]


def test_a_thaw_that_takes_its_time_is_told(tmp_path):
    with running(Moto) as moto:
        settings = moto.settings()
        assert store(settings, "put", "cold", "/etc/hostname")[0] == "OK" and store(settings, "archive", "cold")[0] == "OK"
        door = Door(moto.port)
        asked = []

        def slow(request, body):
            if "restore" in request.path:
                asked.append(body)
                return 202, {}, b""
            if request.command == "HEAD" and asked:
                return 200, {"x-amz-storage-class": "GLACIER", "x-amz-restore": 'ongoing-request="true"', "Content-Length": 3}, b""
            return None

        door.decide = slow
        away = moto.settings(port=door.port)
        assert store(away, "thaw", "cold", "3")[0] == "OK" and b"<Days>3</Days>" in asked[0]
        assert "thawing" in store(away, "head", "cold")[1]
        # Asked for once.
        assert store(away, "thaw", "cold", "3")[0] == "OK" and len(asked) == 1
        door.close()


def test_the_bucket_in_the_name_of_the_host(tmp_path):
    with running(S3) as server:
        server.stop()
        server.run("--virtual-domain", "localhost")
        endpoint = f"http://localhost:{server.port}"
        contract(
            server.settings(), "what_is_put_is_there", "lists_are_in_order_and_in_pages", OFFSITE_ENDPOINT=endpoint, OFFSITE_VIRTUAL_HOST="true"
        )


def test_certificates_are_checked(tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
        check=True, capture_output=True, timeout=CEILING,
    )  # fmt: skip
    with running(S3) as server:
        server.stop()
        server.run("--cert", tmp_path / "cert", "--key", tmp_path / "key")
        settings = server.settings() | {"OFFSITE_ENDPOINT": f"https://127.0.0.1:{server.port}"}
        status, output = store(settings, "probe")
        assert status == "UNAUTHENTICATED" and "certificate" in output
        assert store(settings, "probe", OFFSITE_CA_FILE=tmp_path / "cert")[0] == "OK"
        assert store(settings, "probe", OFFSITE_CA_FILE=tmp_path / "none")[0] == "FAILED_PRECONDITION"


@pytest.mark.parametrize("verb", [("probe",), ("head", "a"), ("delete", "a"), ("put", "a", "/etc/hostname"), ("sweep", "0")])
def test_wrong_credentials_and_buckets_are_told(s3, verb):
    assert store(s3.settings(), *verb, AWS_SECRET_ACCESS_KEY="a-wrong-secret")[0] == "UNAUTHENTICATED"
    assert store(s3.settings(), *verb, AWS_ACCESS_KEY_ID="AKIANOBODY")[0] == "UNAUTHENTICATED"
    status, output = store(s3.settings("missing"), *verb)
    assert status == "FAILED_PRECONDITION" and "ucket" in output
    assert store(s3.settings(), *verb, OFFSITE_ENDPOINT="http://127.0.0.1:1")[0] == "UNAVAILABLE"


def test_storms_are_outlasted_and_leave_nothing(s3, door, large, tmp_path):
    counts = {}

    def storm(request, body):
        # Every request fails once: as a fault of the server, or as one of too many.
        key = (request.command, request.path)
        counts[key] = counts.get(key, 0) + 1
        fault = failure(500, "InternalError") if len(counts) % 2 else failure(503, "SlowDown")
        return fault if counts[key] == 1 else None

    settings = s3.settings(port=door.port)
    door.decide = storm
    assert store(settings, "list", "one")[0] == "UNAVAILABLE"
    assert store(settings, "list", "two")[0] == "RESOURCE_EXHAUSTED"
    counts.clear()
    assert store(settings, "--retry", "put", "storm/small", "/etc/hostname")[0] == "OK"
    assert store(settings, "--retry", "get", "storm/small", tmp_path / "back")[0] == "OK"
    assert (tmp_path / "back").read_bytes() == open("/etc/hostname", "rb").read()
    failed = []

    def fail_parts(request, body):
        if "partNumber" in request.path and len(failed) < 2:
            failed.append(request.path)
            return failure(500, "InternalError")
        return None

    door.decide = fail_parts
    assert store(settings, "--retry", "put", "storm/large", large)[0] == "OK"
    door.decide = lambda request, body: None
    assert store(settings, "get", "storm/large", tmp_path / "back")[0] == "OK"
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    left = s3.client().list_multipart_uploads(Bucket="backups", Prefix="shop/one/storm/").get("Uploads", [])
    assert [upload["Key"] for upload in left] == []


def test_cut_connections_are_taken_up_again(s3, door, large, tmp_path):
    settings = s3.settings(port=door.port)
    assert store(settings, "put", "cut/large", large)[0] == "OK"
    cuts = []

    def cut_gets(request, body):
        if request.command == "GET" and len(cuts) < 3:
            cuts.append(request.headers.get("Range"))
            return "cut answer"
        return None

    door.decide = cut_gets
    assert store(settings, "get", "cut/large", tmp_path / "back")[0] == "UNAVAILABLE"
    assert store(settings, "--retry", "get", "cut/large", tmp_path / "back")[0] == "OK"
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    # It went on behind what had come.
    assert cuts[:2] == [None, None] and cuts[2].startswith("bytes=1")
    done = []

    def cut_puts(request, body):
        if request.command in ("PUT", "POST") and len(done) < 4:
            done.append(request.path)
            # The second time it is done, and only the answer is lost.
            return "cut" if len(done) % 2 else "cut answer"
        return None

    door.decide = cut_puts
    assert store(settings, "--retry", "put", "cut/again", large)[0] == "OK"
    assert store(settings, "get", "cut/again", tmp_path / "back")[0] == "OK"
    assert (tmp_path / "back").read_bytes() == large.read_bytes()


def test_silence_is_no_answer(s3, door):
    door.decide = lambda request, body: "silent"
    assert store(s3.settings(port=door.port), "probe", OFFSITE_TIMEOUT_SECONDS=1)[0] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize(
    "answer, status, words",
    [
        ((403, "RequestTimeTooSkewed"), "FAILED_PRECONDITION", "clock"),
        ((403, "QuotaExceeded"), "NO_SPACE", "QuotaExceeded"),
        ((507, "XMinioStorageFull"), "NO_SPACE", "StorageFull"),
        ((403, "AccessDenied"), "PERMISSION_DENIED", "AccessDenied"),
        ((400, "ExpiredToken"), "UNAUTHENTICATED", "ExpiredToken"),
        ((400, "BadDigest"), "CORRUPT", "BadDigest"),
    ],
)
def test_what_is_final_is_told_and_not_tried_again(s3, door, answer, status, words):
    door.decide = lambda request, body: failure(*answer) if request.command == "PUT" else None
    found, output = store(s3.settings(port=door.port), "--retry", "put", "final/object", "/etc/hostname")
    assert found == status and words in output
    assert sum(method == "PUT" for method, _ in door.seen) == (2 if status == "CORRUPT" else 1)
    assert store(s3.settings(), "head", "final/object")[0] == "NOT_FOUND"


def test_an_upload_whose_server_dies_is_made_whole_later(large, tmp_path):
    with running(S3) as server:
        door = Door(server.port)

        def kill(request, body):
            if "partNumber=2" in request.path and server.process.poll() is None:
                server.process.kill()
                server.process.wait(CEILING)
                return "cut"
            return None

        door.decide = kill
        settings = server.settings(port=door.port)
        assert store(settings, "put", "died/large", large)[0] == "UNAVAILABLE"
        server.run()
        assert len(server.client().list_multipart_uploads(Bucket="backups")["Uploads"]) == 1
        assert store(settings, "head", "died/large")[0] == "NOT_FOUND"
        assert "0 removed" in store(settings, "sweep", "3600")[1]
        assert "1 removed" in store(settings, "sweep", "0")[1]
        door.decide = lambda request, body: None
        assert store(settings, "put", "died/large", large)[0] == "OK"
        assert store(settings, "get", "died/large", tmp_path / "back")[0] == "OK"
        assert (tmp_path / "back").read_bytes() == large.read_bytes()
        assert "Uploads" not in server.client().list_multipart_uploads(Bucket="backups")
        door.close()


def test_two_stores_in_one_bucket_do_not_see_each_other(s3):
    assert store(s3.settings(), "put", "mine", "/etc/hostname", OFFSITE_PREFIX="shop/two")[0] == "OK"
    assert "mine" not in store(s3.settings(), "list", "")[1]
    assert store(s3.settings(), "head", "mine")[0] == "NOT_FOUND"
    assert "mine" in store(s3.settings(), "list", "", OFFSITE_PREFIX="shop/two")[1]

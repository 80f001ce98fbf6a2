"""The driver of Google Cloud Storage against an emulator, with tokens that a service account's key has signed for."""

import http.client
import json
import subprocess

import pytest

from support.program import CEILING
from support.stores import Gcs, contract, running, store


@pytest.fixture(scope="module")
def gcs():
    with running(Gcs) as server:
        yield server


@pytest.fixture(autouse=True)
def no_fault(gcs):
    yield
    gcs.fault = lambda request, body: None


def test_contract(gcs):
    # The emulator takes no longer lock for a locked one, which Google does.
    # Nor does it move an object to another class, of which see below.
    contract(gcs.settings(), OFFSITE_SOFT_LOCK="true", MOS_TEST_NO_ARCHIVE=1)
    assert gcs.tokens_given > 0


def test_classes(gcs):
    assert store(gcs.settings(), "put", "near", "/etc/hostname", OFFSITE_STORAGE_CLASS="NEARLINE")[0] == "OK"
    assert store(gcs.settings(), "head", "near")[1].split()[1:] == ["ready", "NEARLINE", "OK"]
    # The emulator takes the request, and does not look at the class in it: that must not be taken for archived.
    status, output = store(gcs.settings(), "archive", "near")
    assert status == "FAILED_PRECONDITION" and "lies in the class STANDARD" in output


def test_an_object_is_moved_to_another_class_in_several_steps(gcs, tmp_path):
    assert store(gcs.settings(), "put", "cold", "/etc/hostname")[0] == "OK"
    rewrites, classes = [], []

    def rewrite(request, body):
        """As Google does it: it may say how far it is, and wants to be asked again."""
        if "/rewriteTo/" in request.path:
            rewrites.append(request.path)
            assert json.loads(body)["metadata"]["mosaajii-sha256"]
            if len(rewrites) == 1:
                return 200, {}, b'{"done":false,"rewriteToken":"a token+/","totalBytesRewritten":"1","objectSize":"3"}'
            classes.append(json.loads(body)["storageClass"])
            return None
        if classes and request.command == "GET" and "alt=media" not in request.path:
            behind = http.client.HTTPConnection("127.0.0.1", gcs.port, timeout=CEILING)
            behind.request("GET", request.path)
            return 200, {}, json.dumps(json.loads(behind.getresponse().read()) | {"storageClass": classes[-1]}).encode()
        return None

    gcs.fault = rewrite
    assert store(gcs.settings(), "archive", "cold")[0] == "OK"
    assert len(rewrites) == 2 and rewrites[1].endswith("?rewriteToken=a%20token%2B%2F")
    # It is read at once, has its SHA-256, and is not moved again.
    assert store(gcs.settings(), "head", "cold")[1].split()[1:] == ["ready", "ARCHIVE", "OK"]
    assert store(gcs.settings(), "archive", "cold")[0] == "OK" and len(rewrites) == 2
    assert store(gcs.settings(), "thaw", "cold", "1")[0] == "OK"
    assert store(gcs.settings(), "get", "cold", tmp_path / "back")[0] == "OK"
    assert (tmp_path / "back").read_bytes() == open("/etc/hostname", "rb").read()


@pytest.mark.parametrize("verb", [("probe",), ("head", "a"), ("delete", "a"), ("put", "a", "/etc/hostname")])
def test_wrong_credentials_and_buckets_are_told(gcs, tmp_path, verb):
    key = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, text=True, check=True, timeout=CEILING).stdout
    gcs.write_account(tmp_path / "other.json", key)
    status, output = store(gcs.settings(), *verb, GOOGLE_APPLICATION_CREDENTIALS=tmp_path / "other.json")
    assert status == "UNAUTHENTICATED" and "Invalid JWT Signature" in output
    (tmp_path / "empty.json").write_text("{}")
    assert store(gcs.settings(), *verb, GOOGLE_APPLICATION_CREDENTIALS=tmp_path / "empty.json")[0] == "INVALID_ARGUMENT"
    status, output = store(gcs.settings("missing"), *verb)
    assert status == "FAILED_PRECONDITION" and "bucket" in output


def test_a_token_that_is_not_taken_any_more_is_asked_for_again(gcs):
    refused = []

    def refuse_once(request, body):
        if not refused:
            refused.append(request.path)
            return 401, {}, b'{"error":{"code":401,"message":"Invalid Credentials","errors":[{"reason":"authError"}]}}'
        return None

    before = gcs.tokens_given
    gcs.fault = refuse_once
    assert store(gcs.settings(), "probe")[0] == "OK"
    assert gcs.tokens_given == before + 2


def test_storms_are_outlasted(gcs, tmp_path):
    counts = {}

    def storm(request, body):
        key = (request.command, request.path.split("&upload_id")[0])
        counts[key] = counts.get(key, 0) + 1
        if counts[key] == 1:
            reason = json.dumps({"error": {"code": 429, "message": "slow down", "errors": [{"reason": "rateLimitExceeded"}]}})
            return 429, {}, reason.encode()
        return "cut" if counts[key] == 2 else None

    gcs.fault = storm
    assert store(gcs.settings(), "head", "storm")[0] == "RESOURCE_EXHAUSTED"
    counts.clear()
    assert store(gcs.settings(), "--retry", "put", "storm", "/etc/hostname")[0] in ("OK", "RESOURCE_EXHAUSTED")
    assert store(gcs.settings(), "--retry", "put", "storm", "/etc/hostname")[0] == "OK"
    assert store(gcs.settings(), "--retry", "get", "storm", tmp_path / "back")[0] == "OK"
    assert (tmp_path / "back").read_bytes() == open("/etc/hostname", "rb").read()


def test_an_upload_is_not_sent_elsewhere(gcs):
    gcs.fault = lambda request, body: (
        (200, {"Location": "http://127.0.0.1:1/upload"}, b"") if request.path.startswith("/upload") else None
    )
    status, output = store(gcs.settings(), "put", "elsewhere", "/etc/hostname")
    assert status == "UNAVAILABLE" and "elsewhere" in output

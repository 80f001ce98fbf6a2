"""The driver of Azure Blob against Azurite, with a shared key and with a shared access signature."""

import base64

import pytest

from support.stores import Azure, Door, contract, running, store


@pytest.fixture(scope="module")
def azure():
    with running(Azure) as server:
        yield server


def with_signature(azure, **more):
    return azure.settings() | {"AZURE_STORAGE_KEY": None, "AZURE_STORAGE_SAS_TOKEN": azure.sas(**more)}


def test_contract(azure):
    # Parts so small that the large object goes in blocks.
    contract(azure.settings(), MOS_TEST_NO_LOCKS=1, OFFSITE_PART_MIB=1)


def test_contract_with_a_shared_access_signature(azure):
    contract(with_signature(azure), MOS_TEST_NO_LOCKS=1)


def test_archived_blobs(azure, tmp_path):
    settings = azure.settings()
    assert store(settings, "put", "cold", "/etc/hostname")[0] == "OK"
    assert store(settings, "archive", "cold")[0] == "OK"
    assert store(settings, "head", "cold")[1].split()[1:] == ["archived", "Archive", "OK"]
    status, output = store(settings, "get", "cold", tmp_path / "back")
    assert status == "FAILED_PRECONDITION" and "must be thawed" in output
    # Azurite makes it ready at once, for which Azure takes hours.
    assert store(settings, "thaw", "cold", "1")[0] == "OK"
    assert store(settings, "head", "cold")[1].split()[1:] == ["ready", "Hot", "OK"]
    assert store(settings, "get", "cold", tmp_path / "back")[0] == "OK"
    assert (tmp_path / "back").read_bytes() == open("/etc/hostname", "rb").read()
    assert store(settings, "put", "written", "/etc/hostname", OFFSITE_STORAGE_CLASS="Cool")[0] == "OK"
    assert "Cool" in store(settings, "head", "written")[1]
    status, output = store(settings, "archive", "written", OFFSITE_ARCHIVE_CLASS="Nonsense")
    assert status == "FAILED_PRECONDITION" and "Cool" in store(settings, "head", "written")[1]


@pytest.mark.parametrize("verb", [("probe",), ("head", "a"), ("delete", "a"), ("put", "a", "/etc/hostname")])
def test_wrong_credentials_and_containers_are_told(azure, verb):
    wrong = base64.b64encode(b"another key of the same length..").decode()
    assert store(azure.settings(), *verb, AZURE_STORAGE_KEY=wrong)[0] in ("UNAUTHENTICATED", "PERMISSION_DENIED")
    assert store(with_signature(azure, minutes=-1), *verb)[0] in ("UNAUTHENTICATED", "PERMISSION_DENIED")
    status, output = store(azure.settings("missing"), *verb)
    # Deleting from where nothing is has nothing to do; a missing container is told all the same.
    assert status == "FAILED_PRECONDITION", output
    assert store(azure.settings(), "probe", AZURE_STORAGE_KEY="not base64!")[0] == "INVALID_ARGUMENT"


def test_what_one_may_not_is_told(azure):
    read_only = with_signature(azure, permissions="rl")
    assert store(read_only, "probe")[0] == "OK"
    assert store(read_only, "put", "denied", "/etc/hostname")[0] == "PERMISSION_DENIED"


def test_storms_are_outlasted(azure, tmp_path):
    door = Door(azure.port)
    counts = {}

    def storm(request, body):
        counts[request.path] = counts.get(request.path, 0) + 1
        if counts[request.path] == 1:
            return 503, {"x-ms-error-code": "ServerBusy"}, b""
        return "cut" if counts[request.path] == 2 else None

    door.decide = storm
    settings = azure.settings(port=door.port)
    assert store(settings, "head", "storm")[0] == "RESOURCE_EXHAUSTED"
    counts.clear()
    assert store(settings, "--retry", "put", "storm", "/etc/hostname")[0] == "OK"
    assert store(settings, "--retry", "get", "storm", tmp_path / "back")[0] == "OK"
    assert (tmp_path / "back").read_bytes() == open("/etc/hostname", "rb").read()
    door.close()

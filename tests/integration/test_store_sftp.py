"""The SFTP driver against OpenSSH: with keys and passwords, with hosts that are unknown or have changed, and with a server that dies."""

import os

import pytest

from support.stores import Sftp, contract, running, store


@pytest.fixture(scope="module")
def sftp():
    with running(Sftp) as server:
        yield server


def test_contract(sftp):
    contract(sftp.settings())


@pytest.mark.parametrize("kind", ["ecdsa", "ed25519"])
def test_keys(sftp, tmp_path, kind):
    sftp.make_key(tmp_path / "key", kind)
    # Debian's libssh2 leaks a few bytes of OpenSSL's for each key of this kind.
    (tmp_path / "leaks").write_text("leak:CRYPTO_zalloc\n")
    settings = sftp.settings(SFTP_PRIVATE_KEY=tmp_path / "key", LSAN_OPTIONS=f"suppressions={tmp_path}/leaks")
    status, output = store(settings, "probe")
    assert status == "UNAUTHENTICATED" and "key" in output
    with open(sftp.home / "authorized", "a") as authorized:
        authorized.write((tmp_path / "key.pub").read_text())
    assert store(settings, "probe")[0] == "OK"
    assert store(sftp.settings(SFTP_PRIVATE_KEY=tmp_path / "none"), "probe")[0] == "INVALID_ARGUMENT"


def test_passwords(sftp):
    with sftp.password_user() as (user, password, folder):
        settings = sftp.settings(OFFSITE_BUCKET=folder, SFTP_USER=user, SFTP_PRIVATE_KEY=None, SFTP_PASSWORD=password)
        assert store(settings, "put", "a", "/etc/hostname")[0] == "OK"
        status, output = store(settings, "probe", SFTP_PASSWORD="a-wrong-password")
        assert status == "UNAUTHENTICATED" and "password" in output


def test_a_host_that_is_unknown_or_has_changed_is_refused(sftp, tmp_path):
    (tmp_path / "known").write_text("")
    status, output = store(sftp.settings(SFTP_KNOWN_HOSTS=tmp_path / "known"), "probe")
    assert status == "UNAUTHENTICATED" and "not in SFTP_KNOWN_HOSTS" in output
    assert store(sftp.settings(SFTP_KNOWN_HOSTS=tmp_path / "none"), "probe")[0] == "FAILED_PRECONDITION"
    for kind in ("ed25519", "ecdsa"):
        sftp.make_key(tmp_path / kind, kind)
        sftp.know(tmp_path / "known", tmp_path / f"{kind}.pub")
        status, output = store(sftp.settings(SFTP_KNOWN_HOSTS=tmp_path / "known"), "put", "refused", "/etc/hostname")
        assert status == "UNAUTHENTICATED" and "refused" in output
    assert store(sftp.settings(), "head", "refused")[0] == "NOT_FOUND"


def test_a_host_under_a_hashed_name_is_known(sftp, tmp_path):
    sftp.know(tmp_path / "known", sftp.home / "host.pub")
    sftp.hash_names(tmp_path / "known")
    assert "127.0.0.1" not in (tmp_path / "known").read_text()
    assert store(sftp.settings(SFTP_KNOWN_HOSTS=tmp_path / "known"), "probe")[0] == "OK"


def test_folders_that_are_missing_or_closed_are_told(sftp, tmp_path):
    for verb in (("probe",), ("head", "a"), ("put", "a", "/etc/hostname"), ("delete", "a"), ("get", "a", tmp_path / "x")):
        status, output = store(sftp.settings(OFFSITE_BUCKET=sftp.home / "not-mounted"), *verb)
        assert status == "FAILED_PRECONDITION" and "does not exist" in output
    assert not (sftp.home / "not-mounted").exists()
    kind, key = (sftp.home / "host.pub").read_text().split()[:2]
    (tmp_path / "known").write_text(f"[127.0.0.1]:1 {kind} {key}\n")
    assert store(sftp.settings(OFFSITE_ENDPOINT="127.0.0.1:1", SFTP_KNOWN_HOSTS=tmp_path / "known"), "probe")[0] == "UNAVAILABLE"


def test_a_put_whose_server_dies_leaves_nothing_to_be_seen(tmp_path):
    large = tmp_path / "large"
    large.write_bytes(os.urandom(30 * 1024 * 1024))
    with running(Sftp) as server:
        settings = server.settings()
        assert store(settings, "put", "small", "/etc/hostname")[0] == "OK"
        door = server.cutting_door(after_bytes=10 * 1024 * 1024)
        # The host is known under the port of the door, too.
        cut = settings | {"OFFSITE_ENDPOINT": f"127.0.0.1:{door.port}", "SFTP_KNOWN_HOSTS": tmp_path / "known"}
        kind, key = (server.home / "host.pub").read_text().split()[:2]
        (tmp_path / "known").write_text(f"[127.0.0.1]:{door.port} {kind} {key}\n")
        assert store(cut, "put", "large", large)[0] == "UNAVAILABLE"
        door.close()
        assert store(settings, "head", "large")[0] == "NOT_FOUND"
        assert store(settings, "list", "")[1].splitlines()[0].startswith("small ")
        assert "0 removed" in store(settings, "sweep", "3600")[1]
        assert "1 removed" in store(settings, "sweep", "0")[1]
        assert store(settings, "put", "large", large)[0] == "OK"
        assert (server.folder / "shop/one/large").read_bytes() == large.read_bytes()

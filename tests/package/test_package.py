"""The Debian package on a clean root: installed, run as its unit runs it, upgraded, removed, purged. As root; `make test-package`.

No systemd runs in a bare root, so the test starts what the units say (ExecStart, User, EnvironmentFile, AmbientCapabilities) itself, and
has systemd-analyze judge the units.
"""

import configparser
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from support.program import ROOT
from support.root import BUILD, new_root, run

STATE = "var/lib/mosaajii"


@pytest.fixture(scope="module")
def package():
    (found,) = BUILD.glob("mosaajii-backup_*.deb")
    return found


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with new_root(tmp_path_factory.mktemp("system")) as system:
        yield system


def install(system, package):
    shutil.copy(package, system.path("tmp/package.deb"))
    # Keeps changed settings, as an unattended upgrade does.
    return system.run("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "/tmp/package.deb").stdout


def unit_of(system, name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(system.path(f"usr/lib/systemd/system/{name}.service"))
    return parser["Service"]


class Service:
    """What systemd would start for mosaajii-server.service."""

    def __init__(self, system):
        self.system = system
        unit = unit_of(system, "mosaajii-server")
        lines = system.path(unit["EnvironmentFile"]).read_text().splitlines()
        settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        state = system.path(f"var/lib/{unit['StateDirectory']}")
        if not state.exists():
            state.mkdir()
            system.run("chown", f"{unit['User']}:{unit['Group']}", f"/var/lib/{unit['StateDirectory']}")
            state.chmod(int(unit["StateDirectoryMode"], 8))
        capability = unit["AmbientCapabilities"].removeprefix("CAP_").lower()
        self.process = subprocess.Popen(
            ["chroot", system.folder, "setpriv", f"--reuid={unit['User']}", f"--regid={unit['Group']}", "--clear-groups", "--no-new-privs",
             f"--inh-caps=-all,+{capability}", f"--ambient-caps=+{capability}", f"--bounding-set=-all,+{capability}", unit["ExecStart"]],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | settings | {"MOSAAJII_LISTEN": self.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self.log = []
        for line in self.process.stdout:
            self.log.append(line)
            if "event=ready" in line:
                return
        raise AssertionError("".join(self.log))

    def cli(self, *arguments, check=True):
        settings = {"MOSAAJII_SERVER": self.address, "MOSAAJII_TOKEN_FILE": f"/{STATE}/admin.token"}
        return self.system.run("mosaajii", *arguments, env=settings, check=check)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
            self.process.wait()
            return
        self.process.send_signal(signal.SIGTERM)
        rest = self.process.communicate(timeout=60)[0]
        assert self.process.returncode == 0, "".join(self.log) + rest


def set_setting(system, name, value):
    path = system.path("etc/mosaajii/mosaajii.env")
    text = re.sub(rf"^#?{name}=.*$", f"{name}={value}", path.read_text(), flags=re.M)
    assert f"{name}={value}" in text
    path.write_text(text)


def newer(package, folder):
    """The same package under the next version."""
    run("dpkg-deb", "-R", package, folder)
    control = folder / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: (.*)$", r"Version: \1+1", control.read_text(), flags=re.M))
    result = folder.parent / "newer.deb"
    run("dpkg-deb", "--root-owner-group", "-b", folder, result)
    return result


def test_life_of_an_installation(system, package, tmp_path):
    said = install(system, package)
    assert "mosaajii key export" in said
    settings = system.path("etc/mosaajii/mosaajii.env")
    assert settings.stat().st_mode & 0o777 == 0o640

    # Not the service's to read but by what its unit gives the engine.
    private = system.path("srv/private")
    private.mkdir()
    (private / "ledger").write_text("only root reads this")
    (private / "ledger").chmod(0o600)
    private.chmod(0o700)
    set_setting(system, "BACKUP_FILES_PATHS", "/srv/private")
    with Service(system) as service:
        status = Path(f"/proc/{service.process.pid}/status").read_text()
        assert re.search(r"^CapEff:\s+0+$", status, re.M), status
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
        service.cli("backup", "create", "--type", "FILES", "--wait")

    said = install(system, newer(package, tmp_path / "newer"))
    assert "Mosaajii Backup is installed" not in said
    assert "BACKUP_FILES_PATHS=/srv/private" in settings.read_text()
    with Service(system) as service:
        listed = service.cli("backup", "list").stdout
        assert "VERIFIED" in listed, listed
        # Done, with the warning that a service that may only read all files leaves the owner as it is.
        restored = service.cli("backup", "restore", "latest", "--target", f"/{STATE}/restore/again", check=False)
        assert restored.returncode == 3 and "only root may set them" in restored.stderr, restored.stderr
    (restored,) = system.path(f"{STATE}/restore").rglob("ledger")
    assert restored.read_text() == "only root reads this"

    said = system.run("apt-get", "remove", "-y", "mosaajii-backup").stdout
    assert f"stay in /{STATE}" in said
    assert not system.path("usr/bin/mosaajii-server").exists()
    assert system.path(f"{STATE}/catalog.db").exists() and settings.exists()

    said = system.run("dpkg", "--purge", "mosaajii-backup").stdout
    assert "Removing the settings in /etc/mosaajii" in said and f"Kept: the backups in /{STATE}/repo" in said
    assert not settings.exists() and not system.path(f"{STATE}/catalog.db").exists()
    # Backups outlive their program.
    assert list(system.path(f"{STATE}/repo").rglob("*")) and system.path(f"{STATE}/keys/keyring").exists()


@pytest.mark.parametrize("unit", ["mosaajii-server", "mosaajii-gateway"])
def test_units_are_hardened(unit, tmp_path):
    path = ROOT / f"deploy/package/{unit}.service"
    judged = run("systemd-analyze", "security", "--offline=true", path).stdout
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", judged)[1])
    assert exposure <= 3.0, judged
    # Verified with programs and man pages that are there.
    text = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", path.read_text(), flags=re.M)
    text = re.sub(r"^(Documentation|EnvironmentFile|User|Group)=.*\n", "", text, flags=re.M)
    (tmp_path / path.name).write_text(text)
    verified = run("systemd-analyze", "verify", "--man=no", tmp_path / path.name)
    assert not [line for line in verified.stderr.splitlines() if unit in line], verified.stderr


def test_man_pages_and_completion(tmp_path):
    files = BUILD / "package-files"
    for path in files.glob("*.[158].gz"):
        shown = run("man", "--warnings", "-l", path, env=os.environ | {"LC_ALL": "C.UTF-8", "MANROFFSEQ": ""})
        assert "SYNOPSIS" in shown.stdout or "SETTINGS" in shown.stdout
        assert not shown.stderr, shown.stderr
    script = f'source {files}/mosaajii; COMP_WORDS=(mosaajii backup re); COMP_CWORD=2; _mosaajii; echo "${{COMPREPLY[@]}}"'
    assert run("bash", "-c", script).stdout.split() == ["restore"]

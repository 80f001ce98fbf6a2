"""A clean Debian in a folder, made by debootstrap, that programs are installed and run in. As root."""

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from support.program import ROOT

BUILD = Path(os.environ.get("MOS_TEST_BUILD", ROOT / "build"))


def run(*command, check=True, timeout=900, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)
    assert not check or result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


def archive():
    """An archive of a root that holds Debian and nothing else, kept between runs."""
    kept = BUILD / "package-root.tar"
    if not kept.exists():
        folder = BUILD / "package-root.new"
        shutil.rmtree(folder, ignore_errors=True)
        uris = re.search(r"^URIs: (\S+)", Path("/etc/apt/sources.list.d/debian.sources").read_text(), re.M)
        run("debootstrap", "--variant=minbase", "bookworm", folder, *([uris[1]] if uris else []))
        run("tar", "-C", folder, "-cf", f"{kept}.new", ".")
        shutil.rmtree(folder)
        os.rename(f"{kept}.new", kept)
    return kept


class System:
    """A root of its own."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, *command, check=True, **options):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        return run("chroot", self.folder, *command, check=check, env=environment | options.pop("env", {}), **options)

    def path(self, name):
        return self.folder / str(name).lstrip("/")


@contextlib.contextmanager
def new_root(folder):
    """A System in `folder` that knows this machine's mirror."""
    run("tar", "-C", folder, "-xf", archive())
    shutil.copytree("/etc/apt", folder / "etc/apt", dirs_exist_ok=True)
    shutil.copytree("/usr/share/keyrings", folder / "usr/share/keyrings", dirs_exist_ok=True)
    shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
    # Of its own, and never the machine's: what clears temporary folders away must find nothing in it that it could harm.
    run("mount", "-t", "proc", "proc", folder / "proc")
    try:
        system = System(folder)
        system.run("apt-get", "update", "-qq")
        yield system
    finally:
        run("umount", "-l", folder / "proc")

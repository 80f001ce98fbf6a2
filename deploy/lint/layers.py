#!/usr/bin/env python3
"""Reads every #include and fails where a layer is crossed.

The folders are the layers; RULES says for each which folders it may include from, LIBRARIES which folders may include a library's
headers. docs/design/architecture.md explains why.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# folder -> the folders it may include from (itself is always allowed)
RULES = {
    "common": set(),
    "control/audit": {"common"},
    "control/catalog": {"control/audit", "common"},
    "control/access": {"control/audit", "control/catalog", "control/rpc", "common"},
    "control/key": {"common"},
    "control/job": {"control/key", "control/audit", "control/catalog", "common"},
    "control/alert": {"control/job", "control/audit", "control/catalog", "common"},
    "control/offsite": {"control/alert", "control/job", "control/audit", "control/catalog", "common"},
    "control/schedule": {"control/alert", "control/job", "control/audit", "control/catalog", "common"},
    "control/dr": {"control/offsite", "control/schedule", "control/alert", "control/job", "control/audit", "control/catalog", "common"},
    "control/metrics": {"control/rpc", "control/alert", "control/job", "control/audit", "control/catalog", "common"},
    "control/rpc": {"common"},
    "control/service": {
        "control/rpc",
        "control/access",
        "control/job",
        "control/key",
        "control/alert",
        "control/offsite",
        "control/schedule",
        "control/dr",
        "control/audit",
        "control/catalog",
        "common",
    },
    "control": {
        "control/service",
        "control/metrics",
        "control/rpc",
        "control/access",
        "control/job",
        "control/key",
        "control/alert",
        "control/offsite",
        "control/schedule",
        "control/dr",
        "control/catalog",
        "common",
    },
    "engine/crypto": {"common"},
    "engine/chunk": {"engine/crypto", "common"},
    "engine/repo": {"engine/crypto", "engine/chunk", "common"},
    "engine/source": {"engine/crypto", "engine/chunk", "engine/repo", "common"},
    "engine/pipeline": {"engine/source", "engine/repo", "engine/chunk", "engine/crypto", "common"},
    "engine": {"engine/pipeline", "engine/source", "engine/repo", "engine/chunk", "engine/crypto", "common"},
    "lib": {"common"},
    "cli": {"lib", "control/audit", "common"},
}

# header prefix -> folders that may include it
LIBRARIES = {
    "grpc/": {"control/rpc", "lib"},
    "sqlite3.h": {"control/catalog", "engine/source"},
    "curl/": {"control/offsite", "control/alert", "control/key", "control/dr"},
    # BoringSSL's in the engine; OpenSSL's, which libcurl brings, in control/offsite.
    "openssl/": {"engine/crypto", "control/offsite"},
    "libssh2": {"control/offsite"},
    "expat.h": {"control/offsite"},
    "sodium.h": {"control/access", "control/audit", "control/key", "control/alert", "control/offsite", "control/dr"},
    "microhttpd.h": {"control/metrics"},
    "zstd.h": {"engine/chunk", "engine/repo", "engine/pipeline"},
}

# Generated headers: which of them a folder may see.
GENERATED = {
    "mosaajii/engine/": ("engine", "control/job", "control/alert", "control/offsite", "control/dr", "control/service", "control"),
    "mosaajii/backup/": ("control/service", "control/access", "control/rpc", "control/job", "control/dr", "control", "lib", "cli"),
    "mosaajii/recovery/": ("control/dr", "control/service"),
    "grpc/health/v1/health.pb-c.h": ("control/rpc", "lib", "cli"),
}

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)


def folder_of(path):
    """The layer that a source file or an include belongs to, or None."""
    parts = pathlib.PurePosixPath(path).parts[:-1]
    for length in (2, 1):
        name = "/".join(parts[:length])
        if len(parts) >= length and name in RULES:
            return name
    return None


def main():
    faults = []
    for base in ("server", "client"):
        for path in sorted((ROOT / base).rglob("*.[ch]")):
            relative = path.relative_to(ROOT / base).as_posix()
            layer = folder_of(relative)
            where = f"{base}/{relative}"
            if layer is None:
                faults.append(f"{where}: lies in no known layer")
                continue
            for include in INCLUDE.findall(path.read_text(errors="replace")):
                target = folder_of(include)
                if target and target != layer and target not in RULES[layer]:
                    faults.append(f"{where}: {layer} may not include {include}")
                for prefix, allowed in LIBRARIES.items():
                    if include.startswith(prefix) and layer not in allowed and not include.startswith(tuple(GENERATED)):
                        faults.append(f"{where}: only {', '.join(sorted(allowed))} may include {include}")
                for prefix, allowed in GENERATED.items():
                    if include.startswith(prefix) and not any(layer == a or layer.startswith(a + "/") for a in allowed):
                        faults.append(f"{where}: {layer} may not include {include}")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

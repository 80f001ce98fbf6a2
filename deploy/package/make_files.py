#!/usr/bin/env python3
"""Makes what the package holds beside the programs, and the configuration reference, from what the code says of itself.

    make_files.py BIN SETTINGS_DEF OUTPUT     man pages, completion and settings files, into the folder OUTPUT
    make_files.py --reference SETTINGS_DEF    docs/operations/configuration.md, to standard output
"""

import gzip
import re
import subprocess
import sys
from pathlib import Path

# Settings whose defaults suit a service, and those that only the gateway reads.
SERVICE = {"MOSAAJII_HOME": "/var/lib/mosaajii"}
GATEWAY = {"MOSAAJII_GATEWAY_LISTEN", "MOSAAJII_GATEWAY_TLS_CERT", "MOSAAJII_GATEWAY_TLS_KEY", "MOSAAJII_CORS_ORIGINS"}
SHARED = {"MOSAAJII_SERVER", "MOSAAJII_TLS_CLIENT_CA", "MOSAAJII_LOG_FORMAT", "MOSAAJII_LOG_LEVEL", "MOSAAJII_TRUSTED_PROXIES"}
CLIENT = {"MOSAAJII_TOKEN", "MOSAAJII_TOKEN_FILE"}


def settings(path):
    """(name, type, secret, default, meaning) of each X(...) of settings.def."""
    rows = re.findall(r'^X\((\w+), (\w+), (true|false), ("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*")\)$', path.read_text(), re.M)
    listed = path.read_text().count("\nX(")
    assert len(rows) == listed, f"{path}: {listed} settings, {len(rows)} understood"
    unquote = lambda text: text[1:-1].replace('\\"', '"').replace("\\\\", "\\")  # noqa: E731
    return [(name, kind, secret == "true", unquote(default), unquote(meaning)) for name, kind, secret, default, meaning in rows]


KINDS = {
    "TEXT": "text", "PATH": "path", "PATHS": "colon separated paths", "FLAG": "true or false", "DAYS": "days, 1 to 36500",
    "MINUTES": "minutes, 1 to 525600", "PORT": "port", "COUNT": "number", "ADDRESS": "host:port", "FORMAT": "logfmt or json",
    "NICE": "0 to 19", "SMTP_SECURITY": "STARTTLS, TLS or NONE", "SEVERITY": "INFO, WARNING, ERROR or CRITICAL",
    "LEVEL": "debug, info, warning or error", "URLS": "comma separated URLs", "PROVIDER": "LOCAL_REMOTE, S3, AZURE_BLOB, GOOGLE_CLOUD or SFTP",
    "KMS": "LOCAL, AWS_KMS or VAULT",
}  # fmt: skip


def reference(rows):
    lines = [
        "# Settings",
        "",
        "<!-- Made from server/common/settings.def by deploy/package/make_files.py --reference; a test compares. -->",
        "",
        "Environment variables, read once at start; `mosaajii-server --print-config` shows each with its value (secrets masked) and where it",
        "came from. A wrong or unknown one is refused with a sentence that names it. As a service they stand in `/etc/mosaajii/mosaajii.env`.",
        "",
        "| variable | default | what it takes | meaning |",
        "|---|---|---|---|",
    ]
    escape = lambda text: text.replace("|", "\\|")  # noqa: E731
    for name, kind, secret, default, meaning in rows:
        takes = KINDS.get(kind, kind.lower()) + (", secret" if secret else "")
        lines.append(f"| {name} | {f'`{escape(default)}`' if default else 'none'} | {takes} | {escape(meaning)} |")
    return "\n".join(lines) + "\n"


# ---- Settings files ----


def settings_file(rows, title, wanted):
    lines = [f"# {title}", "# Read by systemd (EnvironmentFile): NAME=value, no shell. What stays commented has the default that is shown.", ""]
    for name, _, _, default, meaning in rows:
        if wanted(name):
            lines += [f"# {meaning}", f"{name}={SERVICE[name]}" if name in SERVICE else f"#{name}={default}", ""]
    return "\n".join(lines)


# ---- Man pages ----


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.splitlines())


def page(name, section, summary, parts):
    lines = [f'.TH {name.upper()} {section} "" "mosaajii\\-backup" "Mosaajii Backup"', ".SH NAME", f"{roff(name)} \\- {roff(summary)}"]
    for title, text in parts:
        lines += [f".SH {title}", ".nf", roff(text.strip("\n")), ".fi"]
    return "\n".join(lines) + "\n"


def help_of(program, *words):
    return subprocess.run([program, *words, "--help"], check=True, capture_output=True, text=True).stdout


def listed(text, heading):
    """The first words of the lines below a heading, as the command line's help lists groups and commands."""
    found = re.search(rf"^{heading}:\n((?:  .*\n)+)", text, re.M)
    return [line.split()[0] for line in found[1].splitlines() if re.match(r"  \S", line)] if found else []


def command_tree(program):
    """{group: {command: help}}; a group that is a command by itself has the one command ''."""
    tree = {}
    for group in listed(help_of(program), "Groups"):
        text = help_of(program, group)
        commands = listed(text, "Commands")
        tree[group] = {command: help_of(program, group, command) for command in commands} if commands else {"": text}
    return tree


def options_of(text):
    return sorted(set(re.findall(r"(?:^|[ ,])(--[a-z][a-z-]*)", text)))


# ---- Completion ----


def completion(tree):
    lines = [
        "# bash completion for mosaajii",
        "_mosaajii() {",
        "  local current=${COMP_WORDS[COMP_CWORD]} words",
        '  case "$COMP_CWORD:${COMP_WORDS[1]}:${COMP_WORDS[2]}" in',
        f'  1:*) words="{" ".join(tree)}" ;;',
    ]
    for group, commands in tree.items():
        if "" in commands:
            lines.append(f'  *:{group}:*) words="{" ".join(options_of(commands[""]))}" ;;')
            continue
        lines.append(f'  2:{group}:*) words="{" ".join(commands)}" ;;')
        lines += [f'  *:{group}:{command}) words="{" ".join(options_of(text))}" ;;' for command, text in commands.items()]
    lines += [
        "  *) words= ;;",
        "  esac",
        '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")',
        "}",
        "complete -o default -F _mosaajii mosaajii",
    ]
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1] == "--reference":
        sys.stdout.write(reference(settings(Path(sys.argv[2]))))
        return
    bin_folder, output = Path(sys.argv[1]), Path(sys.argv[3])
    rows = settings(Path(sys.argv[2]))
    output.mkdir(parents=True, exist_ok=True)

    def write(name, text, packed=False):
        data = text.encode()
        (output / (name + ".gz" if packed else name)).write_bytes(gzip.compress(data, 9, mtime=0) if packed else data)

    server_wants = lambda name: name not in GATEWAY | CLIENT | {"MOSAAJII_SERVER"}  # noqa: E731
    gateway_wants = lambda name: name in GATEWAY | SHARED  # noqa: E731
    write("mosaajii.env", settings_file(rows, "Settings of mosaajii-server; man mosaajii.env", server_wants))
    write("gateway.env", settings_file(rows, "Settings of mosaajii-gateway; man mosaajii.env", gateway_wants))

    program = bin_folder / "mosaajii"
    tree = command_tree(program)
    commands = [
        (f"{group} {command}".strip().upper(), text) for group, group_commands in tree.items() for command, text in group_commands.items()
    ]
    write("mosaajii.1", page("mosaajii", 1, "command line of Mosaajii Backup", [("SYNOPSIS", help_of(program)), *commands]), True)
    for name, section, summary in (
        ("mosaajii-engine", 1, "restore and look after a repository without any server"),
        ("mosaajii-server", 8, "backup and disaster recovery server"),
        ("mosaajii-gateway", 8, "REST and dashboard in front of mosaajii-server"),
    ):
        write(f"{name}.{section}", page(name, section, summary, [("SYNOPSIS", help_of(bin_folder / name))]), True)
    meanings = "\n\n".join(f"{name} ({KINDS.get(kind, kind)})\n    {meaning}. Default: {default or 'none'}." for name, kind, _, default, meaning in rows)
    write("mosaajii.env.5", page("mosaajii.env", 5, "settings of Mosaajii Backup", [("SETTINGS", meanings)]), True)
    write("mosaajii", completion(tree))


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# Installs the programs that peers.py measures ours beside: peers.sh FOLDER. Packages of Debian, and Go modules in FOLDER; a module that
# cannot be had or built is told and left out.
set -euo pipefail
folder=$(realpath -m "$1")
mkdir -p "$folder"

missing=()
for package in restic borgbackup zstd openssl time e2fsprogs; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo --preserve-env=DEBIAN_FRONTEND "$@"; fi; }
  root apt-get update -qq
  root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

for module in github.com/restic/restic/cmd/restic github.com/kopia/kopia; do
  if [ ! -x "$folder/${module##*/}" ] && ! answer=$(GOBIN=$folder go install "$module@latest" 2>&1); then
    echo "the Go module $module cannot be built and is left out: $(tail -n 1 <<<"$answer" | tr -d "\t" | cut -c1-200)"
  fi
done

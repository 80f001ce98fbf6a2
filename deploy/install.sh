#!/usr/bin/env bash
# Installs what building, running and testing need and this Debian machine lacks: install.sh [--build]; with --build only what building
# needs. As root, or as a user with sudo. Asks nothing.
set -euo pipefail

packages=(
  gcc libc6-dev cmake ninja-build pkg-config protobuf-compiler libprotoc-dev protobuf-c-compiler libprotobuf-c-dev grpc-proto
  libgrpc-dev android-libboringssl-dev libzstd-dev libsqlite3-dev libsodium-dev libcurl4-openssl-dev libmicrohttpd-dev
  libssl-dev libexpat1-dev libssh2-1-dev libcunit1-dev python3 ca-certificates
)
[ "${1:-}" = --build ] || packages+=(
  # tests
  python3-venv sqlite3 rsync acl attr openssl binutils git chromium prometheus
  # database servers and their programs, which the tests start themselves
  postgresql postgresql-client mariadb-server mariadb-client
  # the package, and a clean root to install it in
  dpkg-dev debootstrap systemd man-db
  # a server of SFTP that the tests start themselves, and what the transfers are measured against
  openssh-server openssh-client rclone
  # lint, fuzz
  clang clang-format clang-tidy libclang-rt-14-dev
)

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done

# For the Node client; a Node from elsewhere brings its own npm.
command -v npm >/dev/null || missing+=(nodejs npm)

# grpcurl is a Go program, and newer than the Go of Debian 12; a Go from 1.21 on fetches the toolchain that a module asks for.
go_is_recent() {
  local version
  version=$(go env GOVERSION 2>/dev/null) || return 1
  [ "$(printf '%s\n' go1.21 "$version" | sort -V | head -n 1)" = go1.21 ]
}
backports=()
go_is_recent || backports=(golang-1.23-go golang-1.23-src)

root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo --preserve-env=DEBIAN_FRONTEND "$@"; fi
}

export DEBIAN_FRONTEND=noninteractive
if [ ${#missing[@]} -gt 0 ] || [ ${#backports[@]} -gt 0 ]; then
  echo "installing: ${missing[*]} ${backports[*]}"
  if [ ${#backports[@]} -gt 0 ] && ! grep -rqs bookworm-backports /etc/apt/; then
    # The same mirror that the machine already uses.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Release: bookworm' | head -n 1)
    [ -n "$mirror" ] || { echo "apt knows no Debian 12 mirror to take a newer Go from" >&2; exit 1; }
    echo "deb $mirror bookworm-backports main" | root tee /etc/apt/sources.list.d/bookworm-backports.list >/dev/null
  fi
  root apt-get update -qq
  [ ${#missing[@]} -eq 0 ] || root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  if [ ${#backports[@]} -gt 0 ]; then
    root apt-get install -y -qq --no-install-recommends "${backports[@]}" >/dev/null
    root ln -sf /usr/lib/go-1.23/bin/go /usr/local/bin/go
  fi
fi

#!/usr/bin/env bash
# Builds the gateway: build.sh [OUTPUT]; `build.sh --generate` only makes the generated files, `build.sh --test` also runs the tests,
# `build.sh --docs` also renews docs/api, `build.sh --lint` looks at the dashboard's format and types.
set -euo pipefail
cd "$(dirname "$0")"
export PATH=$PATH:/usr/local/go/bin
# The dependencies ask for a newer Go than Debian 12 has; any Go from 1.21 on fetches it, if it may.
export GOTOOLCHAIN=auto

# The dashboard is built anew only where one of its files has changed.
dashboard() {
  local now
  now=$(find web -name node_modules -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
  [ "$now" != "$(cat ../build/dashboard.stamp 2>/dev/null)" ] || [ ! -e internal/dashboard/dist/index.html ] || return 0
  dashboard_packages
  (cd web && node_modules/.bin/vite build --logLevel warn)
  echo "$now" >../build/dashboard.stamp
}

# What the lock file names, fetched once for each version of it.
dashboard_packages() {
  cmp -s web/package-lock.json web/node_modules/.lock && return 0
  (cd web && npm ci --no-audit --no-fund --loglevel=error --cache ../../build/npm >/dev/null)
  cp web/package-lock.json web/node_modules/.lock
}

# Several builds may share this source tree.
mkdir -p ../build
(
  flock 9
  dashboard
  go run ./internal/generate --proto ../proto --settings ../server/common/settings.def --tools ../build/go-tools
) 9>../build/go-generate.lock

case ${1:-} in
--generate) ;;
--lint) dashboard_packages && cd web && npm run --silent check ;;
--docs)
  cp internal/gen/openapi.json ../docs/api/openapi.json
  python3 ../deploy/docs/api_reference.py ../docs/api/openapi.json ../server/control/access/rights.c >../docs/api/reference.md
  ;;
--test)
  go vet ./...
  [ -z "$(gofmt -l .)" ] || { echo "gofmt would change: $(gofmt -l .)" >&2; exit 1; }
  go test "${@:2}" ./...
  ;;
*)
  version=$(sed -n 's/^project(mosaajii VERSION \([0-9.]*\).*/\1/p' ../CMakeLists.txt)
  go build -trimpath -ldflags "-X main.version=$version" -o "${1:-../build/bin/mosaajii-gateway}" ./cmd/mosaajii-gateway
  ;;
esac

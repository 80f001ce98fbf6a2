#!/usr/bin/env bash
# Builds the gateway: build.sh [OUTPUT]; `build.sh --generate` only makes the generated files, `build.sh --test` also runs the tests,
# `build.sh --docs` also renews docs/api/openapi.json.
set -euo pipefail
cd "$(dirname "$0")"
export PATH=$PATH:/usr/local/go/bin
# The dependencies ask for a newer Go than Debian 12 has; any Go from 1.21 on fetches it, if it may.
export GOTOOLCHAIN=auto

# Several builds may share this source tree.
mkdir -p ../build
(
  flock 9
  go run ./internal/generate --proto ../proto --settings ../server/common/settings.def --tools ../build/go-tools
) 9>../build/go-generate.lock

case ${1:-} in
--generate) ;;
--docs) cp internal/gen/openapi.json ../docs/api/openapi.json ;;
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

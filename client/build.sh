#!/usr/bin/env bash
# Makes the client packages from proto/: build.sh OUTPUT [python|node|go]…; all of them by default. Each lands in OUTPUT/<language>:
# Python as a wheel, Node as a tarball, Go as a module.
set -euo pipefail
output=$(mkdir -p "$1" && cd "$1" && pwd)
shift
cd "$(dirname "$0")"
protos=$(cd ../proto && pwd)
files=(mosaajii/backup/v1/{admin,alert,backup,offsite,recovery}.proto)
version=$(sed -n 's/^project(mosaajii VERSION \([0-9.]*\).*/\1/p' ../CMakeLists.txt)

# A fresh copy of a package's own files; what tools fetched before stays.
copy() {
  mkdir -p "$output/$1"
  rsync -a --delete --exclude node_modules --exclude package-lock.json --exclude __pycache__ --exclude .venv "$1/" "$output/$1/"
}

python() {
  copy python
  cd "$output/python"
  [ -x .venv/bin/pip ] || python3 -m venv .venv
  .venv/bin/pip install -q --disable-pip-version-check grpcio-tools==1.* setuptools wheel
  .venv/bin/python -m grpc_tools.protoc -I"$protos" --python_out=. --pyi_out=. --grpc_python_out=. "${files[@]}"
  sed -i "s/^version = .*/version = \"$version\"/" pyproject.toml
  .venv/bin/pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w dist .
}

node() {
  copy node
  cd "$output/node"
  npm install --no-audit --no-fund --loglevel=error
  protoc -I"$protos" --plugin=protoc-gen-es=node_modules/.bin/protoc-gen-es --es_out=. --es_opt=target=js+dts,import_extension=js "${files[@]}"
  npm pkg set version="$version"
  npm pack --silent >/dev/null
}

go_() {
  copy go
  cd "$output/go"
  export GOTOOLCHAIN=auto PATH=$PATH:/usr/local/go/bin
  mkdir -p tools
  go build -o tools google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
  protoc -I"$protos" --plugin=tools/protoc-gen-go --plugin=tools/protoc-gen-go-grpc --go_out=. --go-grpc_out=. \
    --go_opt=module=github.com/mosaajii/backup/client/go --go-grpc_opt=module=github.com/mosaajii/backup/client/go "${files[@]}"
  rm -r tools
  go vet ./...
}

[ $# -gt 0 ] || set -- python node go
for language in "$@"; do
  case $language in
  go) (go_) ;;
  python | node) ("$language") ;;
  *) echo "no such language: $language" >&2; exit 2 ;;
  esac
done

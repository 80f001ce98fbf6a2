#!/usr/bin/env bash
# Format, layers, clang-tidy: lint.sh BUILD
set -euo pipefail
build=$1
cd "$(dirname "$0")/../.."
mapfile -t files < <(git ls-files --cached --others --exclude-standard 'server/*.[ch]' 'client/*.[ch]' 'proto/plugin/*.[ch]' 'tests/*.[ch]')

clang-format --dry-run -Werror "${files[@]}"
python3 deploy/lint/layers.py
python3 deploy/package/make_files.py --reference server/common/settings.def | diff docs/operations/configuration.md - >&2 ||
  { echo "docs/operations/configuration.md is not what settings.def says: deploy/package/make_files.py --reference makes it" >&2; exit 1; }
python3 deploy/docs/api_reference.py docs/api/openapi.json server/control/access/rights.c | diff docs/api/reference.md - >&2 ||
  { echo "docs/api/reference.md is not what openapi.json and rights.c say: gateway/build.sh --docs makes it" >&2; exit 1; }

# Each source is looked at once for each version of it and of what it includes: the stamp is the preprocessed text's hash.
stamps=$build/lint
mkdir -p "$stamps"
cp .clang-tidy "$stamps/config"
check() {
  local file=$1 hash
  hash=$( (cat .clang-tidy; gcc -std=gnu17 -D_GNU_SOURCE -DMOSAAJII_VERSION='""' -E -P -Iserver -Iclient -Itests -Iproto/plugin -I"$build/gen" \
    -I/usr/include/android "$file" 2>/dev/null || cat "$file") | sha256sum | cut -c1-32)
  [ -e "$stamps/$hash" ] && return 0
  clang-tidy --quiet -p "$build" "$file" 2>&1 | grep -v -E '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header' || true
  [ "${PIPESTATUS[0]}" = 0 ] || return 1
  touch "$stamps/$hash"
}
export -f check
export stamps build
printf '%s\n' "${files[@]}" | grep -E '^(server|client|proto/plugin)/.*\.c$' | xargs -P 2 -I{} bash -c 'check {}'
echo "lint: ${#files[@]} files clean"

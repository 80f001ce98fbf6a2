#!/usr/bin/env bash
# Runs every fuzzer for a bounded time: fuzz.sh BUILD SECONDS
set -euo pipefail
build=$1 seconds=$2
here=$(cd "$(dirname "$0")/.." && pwd)
failed=0 ran=0
for fuzzer in "$build"/fuzz/fuzz.*; do
  name=${fuzzer##*/fuzz.}
  work=$build/corpus/$name
  mkdir -p "$work"
  echo "== $name, $seconds s"
  if ! "$fuzzer" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=0 -verbosity=0 \
    -artifact_prefix="$build/crash-$name-" "$work" "$here/tests/fuzz/corpus/$name"; then
    failed=$((failed + 1))
  fi
  ran=$((ran + 1))
done
echo "$((ran - failed)) passed, $failed failed"
[ "$failed" = 0 ]

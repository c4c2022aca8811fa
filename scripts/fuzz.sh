#!/bin/sh
# Runs every fuzz target for a while: scripts/fuzz.sh [seconds per target, 120 unless given] [target...]
#
# Needs a nightly compiler and `cargo install cargo-fuzz`. What the fuzzer finds on its way stays under fuzz/target; an
# input that fails is to be copied to fuzz/corpus/<target>/ under a name that says what it shows, where `cargo test`
# replays it ever after.
set -eu
cd "$(dirname "$0")/.."

seconds=${1:-120}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- $(cargo +nightly fuzz list)

failed=""
for target in "$@"; do
  found="fuzz/target/found/$target"
  artifacts="fuzz/target/artifacts/$target"
  mkdir -p "$found" "$artifacts" "fuzz/corpus/$target"
  echo "== $target, $seconds s"
  cargo +nightly fuzz run "$target" "$found" "fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$artifacts/" || failed="$failed $target"
done

if [ -n "$failed" ]; then
  echo "failed:$failed; the inputs are under fuzz/target/artifacts" >&2
  exit 1
fi

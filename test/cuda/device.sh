#!/usr/bin/env bash
# Tests and measures the CUDA backend on this machine, in under 8 minutes:
#
#   bash test/cuda/device.sh OUT [--quick] [--device cuda:N]
#
# Writes a JSON line for each result to OUT/results.jsonl at once, and all of them to one file at the
# end. --quick: ends after ten calls. Exits with 1 if something failed. Needs NVIDIA's driver, and
# CUDA's libraries or the wheels that torch brings; neither Bun, npm nor a network: where the checkout
# has no node_modules, all else comes from .native/device-kit.tar, which device/pack.ts makes on another
# machine (or the file that ADALORA_DEVICE_KIT names).
set -u
unset CDPATH # with it, cd may go elsewhere and prints where
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit
. "$root/scripts/bootstrap.sh"
kit=${ADALORA_DEVICE_KIT:-$root/.native/device-kit.tar}

fail() {
  echo "device.sh: $1" >&2
  echo "  $2" >&2
  exit 1
}

[ $# -gt 0 ] || fail "no folder for the results" "bash test/cuda/device.sh OUT [--quick]"
case $1 in -*) fail "$1 is not a folder for the results" "bash test/cuda/device.sh OUT [--quick]" ;; esac
mkdir -p "$1" || exit
out=$(cd "$1" && pwd) || exit
[ -w "$out" ] || fail "$out can't be written" "name another folder for the results"
shift

scratch=$(mktemp -d "${TMPDIR:-/tmp}/adalora-device.XXXXXX") || exit
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# unxz FILE: decompresses to standard output, by whatever can; the kit has the xz that packed it.
unxz_file() {
  if command -v xz >/dev/null; then
    xz -dc "$1"
  elif LD_LIBRARY_PATH=$scratch/kit "$scratch/kit/xz" --version >/dev/null 2>&1; then
    LD_LIBRARY_PATH=$scratch/kit "$scratch/kit/xz" -dc "$1"
  else
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$1"
  fi
}

# Copies what runs beside the kit's native files, so that the checkout stays as it is.
unpack_kit() {
  mkdir "$scratch/kit" "$scratch/tree" "$scratch/tree/.native" || exit
  tar -xf "$kit" -C "$scratch/kit" || fail "$kit can't be unpacked" "is the disk full? TMPDIR names another"
  unxz_file "$scratch/kit/bun.xz" >"$scratch/bun" && chmod +x "$scratch/bun" &&
    unxz_file "$scratch/kit/native.tar.xz" | tar -xf - -C "$scratch/tree/.native" ||
    fail "$kit can't be unpacked" "is the disk full? TMPDIR names another"
  (cd "$root" && cp -R cli core ffi models plugins scripts test package.json tsconfig.json "$scratch/tree") || exit
  rm -rf "$scratch/kit"
  bun=$scratch/bun tree=$scratch/tree
}

if find_bun; then
  tree=$root
elif [ -f "$kit" ]; then
  unpack_kit
else
  fail "no Bun: there is neither node_modules nor $kit" \
    "on a machine with the packages: node_modules/.bin/bun test/cuda/device/pack.ts; then bring .native/device-kit.tar here"
fi

# The wheels of the Python in use, which may lie in no usual place.
if [ -z "${VIRTUAL_ENV-}" ] && command -v python3 >/dev/null; then
  VIRTUAL_ENV=$(python3 -c 'import sys; print(sys.prefix)') && export VIRTUAL_ENV
fi
"$bun" --version >/dev/null || fail "$bun does not run" "is its folder mounted noexec? TMPDIR names another"
export XDG_CACHE_HOME=$scratch/cache # compiled kernels: none are there yet

cd "$tree" || exit
"$bun" --no-env-file --no-install test/cuda/device/main.ts "$out" "$@"

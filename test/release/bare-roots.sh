#!/bin/sh
# bare-roots.sh EXECUTABLE ROOTS CASE [STEPS]: trains and predicts in minimal Debian 11 and 12 systems, as a
# user that they do not know, without network, programs or PATH, each with a /tmp and HOME that may
# not be executed, without HOME, with a read-only one, and without libstdc++ and libgcc_s. Prints a line for each;
# all must give the same adapter, bit for bit, of the demo and of a plugin's family. ROOTS: folder that keeps the
# systems, which debootstrap fetches. CASE: folder of plugin-case.ts, which gets the plugin's adapter. STEPS shortens the demo, which then need not reach its accuracy. Needs root.
set -eu
executable=$(readlink -f "$1")
mkdir -p "$2"
roots=$(readlink -f "$2")
plugin_case=$(readlink -f "$3")
steps=${4-}
user=54321
accuracy=${steps:+0.5}
accuracy=${accuracy:-0.99}

fetch_root() { # SUITE
  [ -f "$roots/$1/complete" ] && return
  rm -rf "${roots:?}/$1"
  debootstrap --variant=minbase "$1" "$roots/$1" >"$roots/$1.log" 2>&1 ||
    { tail -n 5 "$roots/$1.log"; exit 1; }
  touch "$roots/$1/complete"
}

# Runs in mount, network and process namespaces of its own, which take the mounts with them.
if [ "${5-}" = inside ]; then
  root=$6 case=$7 scratch=$8
  mount --make-rprivate /
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  touch "$root/opt/adalora"
  mount --bind "$executable" "$root/opt/adalora"
  mount -t tmpfs -o "mode=1777$([ "$case" = noexec ] && echo ,noexec)" tmpfs "$root/tmp"
  mount -t tmpfs -o "uid=$user$([ "$case" = noexec ] && echo ,noexec)" tmpfs "$root/home"
  [ "$case" = read-only-home ] && mount -o remount,ro "$root/home"
  mount --bind "$scratch" "$root/srv"
  [ "$case" = no-home ] || home=HOME=/home
  bare() { chroot --userspec=$user:$user "$root" /usr/bin/env -i PATH= ${home-} "$@"; }
  # shellcheck disable=SC2086 # no word without steps
  bare /opt/adalora run --out /srv/run --threads 2 --json ${steps:+--max-steps $steps} >"$scratch/run.json" 2>"$scratch/log"
  bare /opt/adalora predict --adapter /srv/run "the fox followed the lion ." \
    "the lion was followed by the fox ." >"$scratch/prediction" 2>>"$scratch/log"
  # shellcheck disable=SC2046 # several words
  bare /opt/adalora $(sed 's|CASE|/srv/case|g' "$scratch/case/words") --out /srv/plugin >"$scratch/log" 2>&1
  exit
fi

try() { # ROOT CASE
  scratch=$(mktemp -d)
  cp -R "$plugin_case" "$scratch/case"
  chown -R $user "$scratch"
  what="$(basename "$1") $2"
  if ! unshare --mount --net --pid --fork sh "$0" "$executable" "$roots" "$plugin_case" "$steps" inside "$1" "$2" "$scratch"; then
    tail -n 5 "$scratch/log"
    echo "$what: failed"
    exit 1
  fi
  # The first is the run's own; baselines follow.
  reached=$(grep -o '"accuracy":[0-9.]*' "$scratch/run.json" | head -n 1 | cut -d : -f 2)
  predicted=$(sed -n 's/.*"prediction":"\([a-z]*\)".*/\1/p' "$scratch/prediction")
  bits=$(sha256sum "$scratch/run/adapter/adapter_model.safetensors" | cut -c 1-16)
  plugin_bits=$(sha256sum "$scratch/plugin/adapter/adapter_model.safetensors" | cut -c 1-16)
  echo "$what: accuracy ${reached:-none}, predicts ${predicted:-nothing}, adapter $bits, plugin's $plugin_bits"
  mkdir -p "$plugin_case/bare"
  cp -R "$scratch/plugin/adapter" "$plugin_case/bare/"
  rm -rf "$scratch"
  [ -n "$predicted" ] && awk "BEGIN { exit !(${reached:-0} >= $accuracy) }" || { echo "$what: failed"; exit 1; }
  [ "$bits$plugin_bits" = "${first:=$bits$plugin_bits}" ] || { echo "$what: another adapter than before"; exit 1; }
}

for suite in bullseye bookworm; do
  fetch_root $suite
  for case in plain noexec no-home read-only-home; do try "$roots/$suite" $case; done
  bare=$roots/$suite-without-libstdc++
  rm -rf "$bare"
  cp -al "$roots/$suite" "$bare"
  find "$bare" \( -name 'libstdc++*' -o -name 'libgcc_s*' \) -delete
  try "$bare" plain
  rm -rf "$bare"
done
echo "bare roots: all passed"

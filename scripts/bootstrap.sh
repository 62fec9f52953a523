# shellcheck shell=sh
# Sourced with $root set to the checkout. Finds Bun and sets up; needs a POSIX shell and npm (or Bun).

# Whether set-up has run and none of its inputs has changed since. Runs at every start, so it starts
# no process.
is_set_up() {
  [ -f "$root/.native/ready" ] || return 1
  for input in "$root/package-lock.json" "$root"/scripts/*.sh "$root"/scripts/setup/* \
    "$root"/ffi/cpu/*.ts "$root"/ffi/cpu/kernels/*; do
    [ "$input" -nt "$root/.native/ready" ] && return 1
  done
  find_bun
}

# Sets bun to the binary in node_modules: in the platform package, or where the install script of the
# package "bun" (which may be disabled) moves it.
find_bun() {
  for bun in "$root"/node_modules/@oven/bun-linux-x64*/bin/bun "$root/node_modules/bun/bin/bun.exe"; do
    [ -x "$bun" ] && return 0
  done
  return 1
}

# Installs what is missing and reports each component that cannot be installed. Only a missing Bun or
# npm package is fatal: without oneDNN or a C compiler, all but the CPU backend works.
set_up() {
  case $(uname -sm) in
  "Linux x86_64") ;;
  *) give_up "this is $(uname -sm)" "adalora runs on Linux x86_64" ;;
  esac
  mkdir -p "$root/.native" || give_up "cannot write to $root" "run it as the owner of that folder"
  find "$root/.native" -maxdepth 1 -name 'tmp.*' -mmin +60 -exec rm -rf {} + # left by killed runs
  have_packages || install_packages
  find_bun || give_up "node_modules has no Bun for this machine" "remove node_modules, then: npm run setup"
  run_bun scripts/setup/main.ts "$@"
}

# Runs a script in the checkout, ignoring settings in the caller's folder.
run_bun() (
  cd "$root" || exit
  exec "$bun" --no-env-file --no-install "$@"
)

say() { echo "set-up: $*" >&2; }

give_up() {
  say "$1"
  say "  $2"
  exit 1
}

# Whether the packages match the lock file: by our stamp, or by npm's, which it writes last, if they
# were installed by hand.
have_packages() {
  modules=$root/node_modules
  find_bun || return 1
  [ "$(lock_sum)" = "$(cat "$modules/.adalora" 2>/dev/null)" ] && return 0
  [ -f "$modules/.package-lock.json" ] && [ ! "$root/package-lock.json" -nt "$modules/.package-lock.json" ]
}

lock_sum() { cksum <"$root/package-lock.json"; }

# Installs into a temporary folder, then renames it: an interrupted install leaves nothing behind, and
# the slower of two concurrent ones finds the packages installed. Runs no install scripts.
install_packages() {
  part=$(mktemp -d "$root/.native/tmp.XXXXXX") || give_up "cannot write to $root/.native" "is the disk full?"
  trap 'rm -rf "$part"' EXIT
  trap 'exit 130' INT TERM
  cp "$root/package.json" "$root/package-lock.json" "$part"
  started=$(date +%s)
  if command -v npm >/dev/null; then
    set -- npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  elif command -v bun >/dev/null; then
    set -- bun install --ignore-scripts --silent
  else
    give_up "neither npm nor bun is installed" "apt-get install npm (it must be of Node 18 or newer), or see bun.com"
  fi
  say "npm packages: installing with $1 ..."
  if ! (cd "$part" && "$@") >"$part/log" 2>&1 </dev/null; then
    tail -n 8 "$part/log" >&2
    give_up "$1 could not install the packages" "see its output above; check the network"
  fi
  link_bun "$part/node_modules"
  lock_sum >"$part/node_modules/.adalora"
  [ -d "$root/node_modules" ] && mv -T "$root/node_modules" "$part/old"
  mv -T "$part/node_modules" "$root/node_modules" 2>/dev/null || have_packages ||
    give_up "cannot write $root/node_modules" "remove it, then: npm run setup"
  rm -rf "$part"
  trap - EXIT INT TERM
  say "npm packages: installed in $(($(date +%s) - started)) s"
}

# Links node_modules/.bin/bun to the real binary, as the install script of the package "bun" would.
link_bun() {
  for real in "$1"/@oven/bun-linux-x64*/bin/bun; do
    [ -x "$real" ] && ln -f "$real" "$1/bun/bin/bun.exe" && return
  done
}

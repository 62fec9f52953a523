# shellcheck shell=sh
# Sourced with $root set to the checkout. Finds Bun and sets up; needs a POSIX shell and npm (or Bun).

# Whether npm installed this as a package, beside its packages or above them: npm never packs the lock
# file.
is_package() { [ ! -f "$root/package-lock.json" ]; }

# Sets native to the folder of native files: .native, or one in the user's cache where this one can't be
# written (see ffi/paths.ts).
find_native() {
  native=$root/.native
  [ -f "$native/ready" ] && return
  if [ -e "$native" ]; then [ -w "$native" ] && return; else [ -w "$root" ] && return; fi
  case ${XDG_CACHE_HOME-} in /*) cache=$XDG_CACHE_HOME ;; *) cache=${HOME:+$HOME/.cache} ;; esac
  [ -n "$cache" ] || return 0
  while read -r key value _; do
    [ "$key" = '"version":' ] && version=${value%\",} && break
  done <"$root/package.json"
  native=$cache/adalora/package-${version#\"}
}

# Whether set-up has run and none of its inputs has changed since. Runs at every start, so it starts
# no process.
is_set_up() {
  find_native
  [ -f "$native/ready" ] || return 1
  for input in "$root/package-lock.json" "$root"/scripts/*.sh "$root"/scripts/setup/* \
    "$root"/ffi/cpu/*.ts "$root"/ffi/cpu/kernels/*; do
    [ "$input" -nt "$native/ready" ] && return 1
  done
  find_bun
}

# Whether these arguments compute: help, the version, plans and a new plugin need no native files.
computes() {
  case ${1-} in "" | -* | completion | help | plan | version) return 1 ;; esac
  case ${1-}:${2-} in plugin:new | plugin:list | plugin:) return 1 ;; esac
  for word; do
    case $word in --) return 0 ;; -h | --help) return 1 ;; esac
  done
}

# Sets bun to the binary in the nearest node_modules: in the platform package, or where the install
# script of the package "bun" (which may be disabled) moves it. A package's may be above it, as another
# project's may be: the nearest is the one that was installed for it.
find_bun() {
  level=$root
  case $level in /*) ;; *) level=$PWD/$level ;; esac
  while :; do
    for bun in "$level"/node_modules/bun/node_modules/@oven/bun-linux-x64*/bin/bun \
      "$level"/node_modules/bun/../@oven/bun-linux-x64*/bin/bun \
      "$level"/node_modules/@oven/bun-linux-x64*/bin/bun "$level/node_modules/bun/bin/bun.exe"; do
      [ -x "$bun" ] && return 0
    done
    is_package && [ -n "$level" ] || return 1
    level=${level%/*}
  done
}

# Installs the npm packages that are missing. Enough for what does not compute.
set_up_packages() {
  find_native
  case $(uname -sm) in
  "Linux x86_64") ;;
  *) give_up "this is $(uname -sm)" "adalora runs on Linux x86_64" ;;
  esac
  have_packages && return
  is_package && give_up "npm installed no Bun for this machine" "install adalora again, with optional packages"
  make_native
  install_packages
  find_bun || give_up "node_modules has no Bun for this machine" "remove node_modules, then: npm run setup"
}

make_native() {
  mkdir -p "$native" 2>/dev/null || give_up "cannot write to $native" "set XDG_CACHE_HOME to a writable folder"
  find "$native" -maxdepth 1 -name 'tmp.*' -mmin +60 -exec rm -rf {} + # left by killed runs
}

# Installs what is missing and reports each component that cannot be installed. Only a missing Bun or
# npm package is fatal: without oneDNN or a C compiler, all but the CPU backend works.
set_up() {
  set_up_packages
  make_native
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
  is_package && return 0
  [ "$(lock_sum)" = "$(cat "$modules/.adalora" 2>/dev/null)" ] && return 0
  [ -f "$modules/.package-lock.json" ] && [ ! "$root/package-lock.json" -nt "$modules/.package-lock.json" ]
}

lock_sum() { cksum <"$root/package-lock.json"; }

# Installs into a temporary folder, then renames it: an interrupted install leaves nothing behind, and
# the slower of two concurrent ones finds the packages installed. Runs no install scripts.
install_packages() {
  part=$(mktemp -d "$native/tmp.XXXXXX") || give_up "cannot write to $native" "is the disk full?"
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

#!/bin/sh
# npx.sh TARBALL OUT CASE: runs the packed package as a new user would, with npm's own installs: in an empty folder,
# inside a project that has another bun, from a read-only folder, without a compiler, and as what a
# plugin imports. Trains a few steps into OUT/npm, and the plugin of CASE (plugin-case.ts) into CASE/npm. Needs npm and the network.
set -eu
tarball=$(readlink -f "$1")
out=$(readlink -f "$2")
plugin_case=$(readlink -f "$3")
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
export HOME="$scratch/home" npm_config_cache="$scratch/npm" npm_config_update_notifier=false
mkdir "$HOME"

fail() { echo "npx: $1: failed"; [ ! -f "$scratch/log" ] || tail -n 8 "$scratch/log"; exit 1; }
project() { # NAME: an empty project's folder
  mkdir -p "$scratch/$1"
  cd "$scratch/$1"
  echo '{ "name": "project", "type": "module", "scripts": { "test": "bun test" } }' >package.json
}
install() { npm install --no-audit --no-fund --loglevel=error "$@" >"$scratch/log" 2>&1 || fail "npm install $*"; }

mkdir "$scratch/empty"
cp "$tarball" "$scratch/adalora.tgz"
cd "$scratch/empty"
npx --yes ../adalora.tgz --help >"$scratch/log" 2>&1 || fail "an empty folder"
grep -q 'Usage: adalora' "$scratch/log" || fail "an empty folder"
[ -z "$(find "$scratch/npm/_npx" -name .native)" ] || fail "help without set-up"
[ -z "$(ls -A)" ] || fail "an empty folder stays empty"
npx --yes ../adalora.tgz run --max-steps 60 --threads 2 --out "$out/npm" >"$scratch/log" 2>&1 || fail "training in an empty folder"
# shellcheck disable=SC2046 # several words
npx --yes ../adalora.tgz $(sed "s|CASE|$plugin_case|g" "$plugin_case/words") --out "$plugin_case/npm" >"$scratch/log" 2>&1 || fail "a plugin's family"
echo "npx: an empty folder: passed"

project other
mkdir bun-of-the-project
echo '{ "name": "bun", "version": "0.0.1", "bin": { "bun": "bun.sh" } }' >bun-of-the-project/package.json
printf '#!/bin/sh\necho the other bun\n' >bun-of-the-project/bun.sh
chmod +x bun-of-the-project/bun.sh
install ./bun-of-the-project "$tarball"
[ "$(node_modules/.bin/bun)" = "the other bun" ] || fail "the project's own bun"
node_modules/.bin/adalora --help >"$scratch/log" 2>&1 || fail "beside another bun"
grep -q 'Usage: adalora' "$scratch/log" || fail "beside another bun"
echo "npx: a project with another bun: passed"

project plugin
install "$tarball"
cat >plugin.ts <<'PLUGIN'
import { definePlugin, type ModelPlugin } from "adalora";
import { deberta } from "adalora/plugins/deberta/index";
export const mine: ModelPlugin = definePlugin({ ...deberta, name: "mine", modelTypes: ["mine"] });
PLUGIN
cat >plugin.test.ts <<'PLUGIN'
import { expect, test } from "bun:test";
import { mine } from "./plugin.ts";
test("the plugin", () => expect(mine.modelTypes).toEqual(["mine"]));
PLUGIN
npm test >"$scratch/log" 2>&1 || fail "npm test of a project that imports a plugin"
echo "npx: a project that imports a plugin: passed"

mkdir "$scratch/bin"
for name in sh env cat readlink uname find mkdir rm; do ln -s "$(command -v $name)" "$scratch/bin/$name"; done
PATH=$scratch/bin node_modules/.bin/adalora doctor >"$scratch/log" 2>&1 && fail "doctor without a compiler"
grep -q 'C kernels missing: no C compiler' "$scratch/log" || fail "the message without a compiler"
grep -q 'apt-get install gcc' "$scratch/log" || fail "the hint without a compiler"
echo "npx: without a compiler: passed"

rm -rf node_modules/adalora/lib/.native
export HOME="$scratch/home-of-another"
mkdir "$HOME"
chmod -R a-w node_modules
as_user=
[ "$(id -u)" != 0 ] || { as_user="setpriv --reuid=54321 --regid=54321 --clear-groups" && chown 54321 "$HOME"; }
# shellcheck disable=SC2086 # several words
(cd "$HOME" && $as_user "$scratch/plugin/node_modules/.bin/adalora" doctor) >"$scratch/log" 2>&1 || fail "a read-only package folder"
[ ! -e node_modules/adalora/lib/.native ] || fail "a read-only package folder stays as it is"
grep -q "kernels .*$HOME/.cache/adalora/package-" "$scratch/log" || fail "kernels in the user's cache"
echo "npx: a read-only package folder: passed"
echo "npx: all passed"

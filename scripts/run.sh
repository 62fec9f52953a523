#!/bin/sh
# run.sh VERB [arguments]: sets up, then runs the package script of that name.
root=$(cd "$(dirname "$0")/.." && pwd) || exit
. "$root/scripts/bootstrap.sh"
verb=$1
shift
[ "$verb" = setup ] && { set_up --verbose "$@"; exit; }
set_up || [ $? = 3 ] || exit # 3: a component is missing, already reported
[ "$verb" = demo ] && exec "$root/adalora" run "$@"
[ "$verb" = bench ] && exec "$root/adalora" bench "$@"
run_bun "scripts/$verb.ts" "$@"

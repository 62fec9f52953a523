#!/bin/sh
# run.sh VERB [arguments]: sets up, then does what the package script of that name promises.
root=$(cd "$(dirname "$0")/.." && pwd) || exit
. "$root/scripts/bootstrap.sh"
verb=$1
shift
[ "$verb" = setup ] && { set_up --verbose "$@"; exit; }
set_up || [ $? = 3 ] || exit # 3: not all of it could be had, and that was said
[ "$verb" = demo ] && exec "$root/adalora" run "$@"
[ "$verb" = bench ] && exec "$root/adalora" bench "$@"
run_bun "scripts/$verb.ts" "$@"

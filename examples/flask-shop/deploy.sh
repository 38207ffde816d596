#!/bin/sh
# Starts one release of the shop under gunicorn in the slot that belay names, as a deploy script does.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=${SHOP_RUN:-$here/run}
mkdir -p "$run"
pid="$run/$BELAY_SLOT.pid"
if [ -f "$pid" ] && kill "$(cat "$pid")" 2>/dev/null; then
  while kill -0 "$(cat "$pid")" 2>/dev/null; do sleep 0.1; done
fi
export DATABASE_URL="sqlite:///$run/shop.db" SHOP_VERSION="$BELAY_VERSION"
set -a; . "$here/releases/$BELAY_VERSION.env"; set +a
setsid gunicorn --chdir "$here" --workers 1 --threads 8 --graceful-timeout 5 --bind "$BELAY_SLOT_ADDRESS" --pid "$pid" \
  --access-logfile /dev/null shop:app >"$run/$BELAY_SLOT.log" 2>&1 </dev/null &
echo "shop $BELAY_VERSION is starting in slot $BELAY_SLOT on $BELAY_SLOT_ADDRESS"

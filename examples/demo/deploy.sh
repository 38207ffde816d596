#!/bin/sh
# Starts one release of the shop in a slot, as a deploy script does. belay gives the version and the slot.
set -eu
cd "${DEMO_DIR:?the folder to keep logs and process ids in}"
case "$BELAY_SLOT" in
  blue)  addr=127.0.0.1:8493 ;;
  green) addr=127.0.0.1:8494 ;;
  *) echo "unknown slot $BELAY_SLOT" >&2; exit 1 ;;
esac
if [ -f "$BELAY_SLOT.pid" ]; then
  old=$(cat "$BELAY_SLOT.pid")
  if kill "$old" 2>/dev/null; then
    while kill -0 "$old" 2>/dev/null; do sleep 0.05; done
  fi
fi
# What differs between releases: their own settings.
set -a; . "$DEMO_RELEASES/$BELAY_VERSION.env"; set +a
setsid "$DEMO_SHOP" -addr "$addr" -version "$BELAY_VERSION" >"$BELAY_SLOT.log" 2>&1 </dev/null &
echo $! >"$BELAY_SLOT.pid"
echo "shop $BELAY_VERSION is starting in slot $BELAY_SLOT on $addr"

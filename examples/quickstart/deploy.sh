#!/bin/sh
# Brings the release that belay names in BELAY_VERSION: forwards in a deployment, backwards in a rollback.
[ -f shop.pid ] && kill "$(cat shop.pid)" && sleep 0.5
setsid python3 shop.py >shop.log 2>&1 </dev/null &
echo $! >shop.pid

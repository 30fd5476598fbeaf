#!/bin/sh
# What happens in the virtual machine, at every boot. Lines that begin with `vm:` are read by the test outside.
# First boot: a drill breaks three things and then waits; the machine is reset from outside while they are broken.
# Second boot: the unit that `install-recovery` wrote heals what has outlived the reset. This script heals nothing.
export BLACKSTART_STATE_DIR=/var/lib/blackstart COLUMNS=120 PATH=/usr/local/bin:$PATH
say() { echo "vm: $*"; }

# How everything that the drill touches is now.
look() {
  say "$1 service $(systemctl is-active victim.service)"
  say "$1 disk $(df --output=pcent /srv | tail -n 1 | tr -d ' ') files $(find /srv -maxdepth 1 -name '*bs-*' | wc -l)"
  say "$1 queue $(tc qdisc show dev line0 | cut -d' ' -f2 | head -n 1)"
}

ip link add line0 type dummy
ip link set line0 up

if [ ! -e /var/lib/first-boot ]; then
  install -m 755 /media/test/blackstart /usr/local/bin/blackstart
  cp -r /media/test/drill /root/drill
  systemctl start victim.service
  blackstart install-recovery
  look before
  blackstart doctor | grep -E 'netem|tbf|nft'
  # Kept by the disk before the reset, which comes later and without a warning.
  touch /var/lib/first-boot
  sync
  cd /root/drill || exit 1
  blackstart run reboot.yaml --reports /var/lib/reports --output plain &
  until grep -qs waiting /run/drill || ! kill -0 $!; do sleep 0.1; done
  if ! kill -0 $!; then
    say "the drill ended"
    say open
  fi
  look broken
  say open
  wait
  say "the drill ended with $?"
  exit 1
fi

say "booted again"
# Until the unit has run to an end; it is not started by hand.
ended() { systemctl show --property=ExecMainExitTimestampMonotonic --value blackstart-recover.service; }
tries=0
until [ "$(ended)" != 0 ]; do
  tries=$((tries + 1))
  if [ "$tries" -gt 1200 ]; then break; fi
  sleep 0.1
done
blackstart status
say "status $?"
look after
blackstart recover
say "recover $?"
systemctl status --no-pager --full --lines=40 blackstart-recover.service
say "unit $(systemctl show --property=Result --value blackstart-recover.service)"
say done
systemctl poweroff --no-block

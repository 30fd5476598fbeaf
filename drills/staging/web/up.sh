#!/usr/bin/env bash
# Brings up small web servers on loopback: web1, web2, … on PORT, PORT+1, …
#
#   up.sh --dir DIR PORT [COUNT] [--supervised] [--tls] [--faketime]
#
# --supervised  a supervisor starts each again when it ends
# --tls         they serve HTTPS with a certificate of their own, $DIR/cert.pem and key.pem; trusted.pem is a copy
# --faketime    they run under libfaketime, which reads the offset of their clock from $DIR/offset
#
# Prints dir=… and port=… when all serve.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
PORT=${1:?a port} COUNT=1 SUPERVISED='' FAKETIME='' TLS=()
shift
for word in "$@"; do
  case $word in
    --supervised) SUPERVISED=yes ;;
    --faketime) FAKETIME=yes ;;
    --tls) TLS=(--tls "$DIR/cert.pem" "$DIR/key.pem") ;;
    *) COUNT=$word ;;
  esac
done
mkdir -p "$DIR"
if ((${#TLS[@]})) && [[ ! -f $DIR/cert.pem ]]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=web.test \
    -addext "subjectAltName=DNS:web.test,DNS:localhost,IP:127.0.0.1" \
    -keyout "$DIR/key.pem" -out "$DIR/cert.pem" 2>"$DIR/openssl.log" || die "$(tail -n 1 "$DIR/openssl.log")"
fi
[[ ! -f $DIR/cert.pem ]] || cp "$DIR/cert.pem" "$DIR/trusted.pem"
if [[ -n $FAKETIME ]]; then
  library=$(compgen -G '/usr/lib/*/faketime/libfaketime.so.1' | head -n 1) || die "libfaketime is not installed"
  echo +0 >"$DIR/offset"
fi
for ((n = 1; n <= COUNT; n++)); do
  [[ -z $FAKETIME ]] || printf '%s\n' "LD_PRELOAD=$library" "FAKETIME_TIMESTAMP_FILE=$DIR/offset" FAKETIME_NO_CACHE=1 \
    FAKETIME_DONT_FAKE_MONOTONIC=1 >"$DIR/web$n.env"
  echo "$((PORT + n - 1)) ${TLS[*]}" >"$DIR/web$n.args"
  if [[ -n $SUPERVISED ]]; then
    setsid "$HERE/supervise.sh" --dir "$DIR" "web$n" </dev/null >/dev/null 2>&1 &
  fi
done
for ((n = 1; n <= COUNT; n++)); do
  if [[ -n $SUPERVISED ]]; then until_it live "web$n" >/dev/null; fi
  "$HERE/start.sh" --dir "$DIR" "web$n"
done
echo "dir=$DIR"
echo "port=$PORT"

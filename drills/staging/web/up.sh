#!/usr/bin/env bash
# Brings up small web servers on loopback: web1, web2, … on PORT, PORT+1, …
#
#   up.sh --dir DIR PORT [COUNT] [--supervised] [--tls]
#
# --supervised  a supervisor starts each again when it ends
# --tls         they serve HTTPS with a certificate of their own, $DIR/cert.pem and key.pem
#
# Prints dir=… and port=… when all serve.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"
PORT=${1:?a port} COUNT=1 SUPERVISED='' TLS=()
shift
for word in "$@"; do
  case $word in
    --supervised) SUPERVISED=yes ;;
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
for ((n = 1; n <= COUNT; n++)); do
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

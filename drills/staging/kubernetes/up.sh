#!/usr/bin/env bash
# Brings up a small shop in a namespace of its own of the cluster that kubectl is pointed at (KUBECONFIG): a page in some
# pods spread over zones, a Service, a disruption budget. Waits until all pods are ready.
#
#   up.sh --namespace NAME [--context CONTEXT] [--replicas N] [--dir DIR]
#
# --dir DIR  also a Git repository there with the manifests, as a team would keep them: DIR/shop.git
#
# The namespace must not be there, or be this script's. Prints its fields as key=value lines. What clients visit is not
# made here: a load balancer or an Ingress that leads to the Service `shop` of that namespace.

# shellcheck source=common.sh
source "$(dirname "$0")/common.sh"

if there && ! ours; then die "the namespace $NAMESPACE is there already and is not of this staging; name another"; fi

manifests() {
  local budget=policy/v1
  k api-versions | grep -qx policy/v1 || budget=policy/v1beta1
  sed -e "s|^apiVersion: policy/v1\$|apiVersion: $budget|" -e "s|^  replicas: 3\$|  replicas: $REPLICAS|" "$HERE/shop.yaml"
  echo ---
  k create configmap shop-program --from-file="$HERE/shop.py" --dry-run=client -o yaml
}

cat <<NAMESPACE_OF_OURS | k apply -f - >/dev/null
apiVersion: v1
kind: Namespace
metadata:
  name: $NAMESPACE
  labels: {$MINE: shop, blackstart: allowed}
NAMESPACE_OF_OURS
account() { k -n "$NAMESPACE" get serviceaccount default >/dev/null 2>&1; }
within 30 "the namespace has its account" account
manifests | k -n "$NAMESPACE" apply -f - >/dev/null
ready() {
  local said
  said=$(k -n "$NAMESPACE" get deployment shop -o 'jsonpath={.status.readyReplicas}/{.status.updatedReplicas}/{.status.replicas}')
  [[ $said == "$REPLICAS/$REPLICAS/$REPLICAS" ]]
}
within 120 "all $REPLICAS pods of the shop are ready" ready

if [[ -n $DIR ]]; then
  mkdir -p "$DIR"
  rm -rf "$DIR/checkout" "$DIR/shop.git"
  git init -q --bare -b main "$DIR/shop.git"
  git clone -q "$DIR/shop.git" "$DIR/checkout" 2>/dev/null
  mkdir "$DIR/checkout/shop"
  manifests >"$DIR/checkout/shop/shop.yaml"
  git -C "$DIR/checkout" add -A
  git -C "$DIR/checkout" -c user.name=staging -c user.email=staging@localhost commit -qm "the shop"
  git -C "$DIR/checkout" push -q origin HEAD:main
  echo "repository=$DIR/shop.git"
fi
echo "namespace=$NAMESPACE"

#!/usr/bin/env bash
# A script of the kind that `deploy` replaces.
set -euo pipefail

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
APP="" CHART="" CHART_VERSION="" IMAGES=""
while [[ $# -gt 0 ]]; do
  case "$1" in
    --app) APP="$2"; shift 2 ;;
    --chart) CHART="$2"; shift 2 ;;
    --chart-version) CHART_VERSION="$2"; shift 2 ;;
    --images) IMAGES="$2"; shift 2 ;;
    *) echo "unknown argument: $1" >&2; exit 2 ;;
  esac
done

args=(upgrade --install "$APP" "$CHART" --version "$CHART_VERSION"
  --namespace "$APP" --create-namespace --wait --timeout "${DEPLOY_TIMEOUT:-10m}")
if [[ -f "$HERE/$APP.values.yaml" ]]; then
  args+=(-f "$HERE/$APP.values.yaml")
fi
if [[ "${DEPLOY_ATOMIC:-1}" == "1" ]]; then
  args+=("$ATOMIC_FLAG")
fi
for key in api web; do
  ref="$(sed -n "s/.*\"$key\":\"\([^\"]*\)\".*/\1/p" <<<"$IMAGES")"
  args+=(--set "$key.image.repository=${ref%:*}" --set "$key.image.tag=${ref##*:}")
done
exec helm "${args[@]}"

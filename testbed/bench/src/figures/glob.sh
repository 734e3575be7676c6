#!/bin/bash
# What a script of this kind checks of a chart.
while [ $# -gt 0 ]; do
    case $1 in
    --app) app=$2 ;;
    --chart) chart=$2 ;;
    --chart-version) version=$2 ;;
    --images) images=$2 ;;
    *) exit 2 ;;
    esac
    shift 2
done
[[ -n $app && -n $version && -n $images ]] || exit 2
if [[ $chart != oci://ghcr.io/*/charts/* ]]; then
    echo "invalid --chart: $chart" >&2
    exit 2
fi

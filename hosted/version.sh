#!/usr/bin/env bash
# version.sh CHART_VERSION: the version that the chart of this commit is pushed
# as. A tag vX.Y.Z, or one such as shop-v1.2.3 or shop/v1.2.3, names it; else it
# is the chart's own with the commit behind.
#
# The `g` keeps a commit id of digits alone, with a zero first, from being a
# number that SemVer refuses. A pre-release that is there is kept, so that the
# order is right; build metadata is dropped: a tag of a registry has no `+`.
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

number='(0|[1-9][0-9]*)'
part='(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)'
semver="$number\.$number\.$number(-$part(\.$part)*)?"

if [ "$GITHUB_REF_TYPE" = tag ] && [ "$commit" = "$GITHUB_SHA" ]; then
    if [[ ${GITHUB_REF_NAME%%+*} =~ ^(.*[-/])?v($semver)$ ]]; then
        version=${BASH_REMATCH[2]}
    else
        die "the tag $GITHUB_REF_NAME names no version" "Push a tag such as v1.2.3 or v1.2.3-rc.1."
    fi
else
    version=${1%%+*}
    if [[ ! $version =~ ^$semver$ ]]; then
        die "the chart's version $1 is not SemVer" "Write one such as 0.1.0 into Chart.yaml."
    fi
    case $version in
    *-*) version=$version.g${commit:0:12} ;;
    *) version=$version-g${commit:0:12} ;;
    esac
fi
printf '%s\n' "$version"

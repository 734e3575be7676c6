#!/usr/bin/env bash
# Packages the chart and pushes it to oci://ghcr.io/<owner>/charts. `helm push`
# overwrites without a word, so the tag is asked for first: the same source is
# taken as it is, another one ends the job, and only where nothing is there is
# it pushed. Puts out `chart`, `chart_version` and `chart_digest`.
#
# Takes $CHART, the chart's folder, and $REGISTRY_TOKEN.
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The annotation that says of what a chart was made.
mark=io.deploy-signal.source

# Helm's own files: none of the account's are read or written.
export HELM_CACHE_HOME=$scratch/helm/cache HELM_CONFIG_HOME=$scratch/helm/config HELM_DATA_HOME=$scratch/helm/data

# Chart.yaml as helm writes it again, with our address as the first of `sources`
# (the registry ties the package to it) and the mark. Helm sorts the keys and
# indents by two, so lines can be told apart.
marked() {
    awk -v url="$source_url" -v mark="$mark" -v source="$1" '
        BEGIN { item = "- " url; line = "  " mark ": " source }
        /^annotations:/ { print "annotations:"; print line; annotated = 1; next }
        /^sources:/ { print; print item; listed = 1; next }
        $0 == item { next }
        { print }
        END {
            if (!annotated) { print "annotations:"; print line }
            if (!listed) { print "sources:"; print item }
        }'
}

# The mark of the chart that was asked for last; empty where it has none.
its_mark() {
    jq -r --arg mark "$mark" '.annotations[$mark] // ""' "$scratch/body"
}

# Dependencies as Chart.lock pins them. Helm wants to be told each repository first.
dependencies() {
    if [ ! -f "$1/Chart.lock" ]; then
        return 0
    fi
    local url count=0
    while read -r url; do
        count=$((count + 1))
        helm repo add "dependency-$count" "$url" >/dev/null
    done < <(sed -n 's/^ *repository: *"\{0,1\}\(https:[^" ]*\)"\{0,1\}$/\1/p' "$1/Chart.lock" | sort -u)
    helm dependency build "$1" >&2
}

CHART=${CHART%/}
sign_in
use_commit_time
if ! helm show chart "$CHART" >"$scratch/Chart.yaml" 2>"$scratch/said"; then
    die "$CHART is no chart: $(<"$scratch/said")" "\`chart:\` of the calling workflow names the folder with Chart.yaml."
fi
name=$(sed -n 's/^name: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$scratch/Chart.yaml")
own=$(sed -n 's/^version: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$scratch/Chart.yaml")
version=$("$(dirname "${BASH_SOURCE[0]}")/version.sh" "$own")

tree=$(git rev-parse "HEAD:./$CHART")
lock=none
if [ -f "$CHART/Chart.lock" ]; then
    lock=$(sha256sum <"$CHART/Chart.lock" | cut -c 1-12)
fi
mine=$tree.$lock
package=$owner/charts/$name

if exists "$package" "$version"; then
    theirs=$(its_mark)
    if [ "$theirs" != "$mine" ]; then
        die "oci://$registry/$package $version is there, made of ${theirs:-something without a mark of this workflow}; this commit's chart is $mine" \
            "A version is never overwritten: push a new tag, or raise \`version\` in Chart.yaml. (The first part is the git tree of the chart, the second the digest of its Chart.lock.)"
    fi
    printf 'oci://%s/%s %s is there, of the same source\n' "$registry" "$package" "$version"
else
    tell_if_new "$package"
    folder=$scratch/chart/$name
    mkdir -p "$scratch/chart" "$scratch/package"
    cp -RL "$CHART" "$folder"
    marked "$mine" <"$scratch/Chart.yaml" >"$folder/Chart.yaml"
    dependencies "$folder"
    # Helm 4 dates the files of a package by SOURCE_DATE_EPOCH, helm 3 by the clock.
    helm package "$folder" --version "$version" --destination "$scratch/package" >&2
    if ! helm push "$scratch/package/$name-$version.tgz" "oci://$registry/$owner/charts" >"$scratch/push.log" 2>&1; then
        show "helm push" "$scratch/push.log"
        push_failed "the chart $name $version" "$scratch/push.log"
    fi
    if ! exists "$package" "$version"; then
        die "$registry does not have oci://$registry/$package $version, which was pushed just now" "Run the job again."
    fi
    if [ "$(its_mark)" != "$mine" ]; then
        die "oci://$registry/$package $version is of another source than what was pushed just now" \
            "Another run pushed the same version at the same time. Run the job again."
    fi
fi
output chart "oci://$registry/$package"
output chart_version "$version"
output chart_digest "$(digest_of_body)"
printf 'oci://%s/%s %s %s\n' "$registry" "$package" "$version" "$(digest_of_body)"

#!/usr/bin/env bash
# Packs the chart into $CHART_FOLDER, and pushes nothing. The same commit gives the
# same bytes with every Helm, today and in a year: files in order, of nobody, at
# the commit's time. Puts out `name`, `version`, `layer` (the digest of the
# package, which is that of the chart's layer in the registry) and `artifact`,
# the name to hand it on by.
#
# Takes $APP, $CHART (the chart's folder), $REGISTRY_TOKEN (it only reads) and
# $REGISTRIES for dependencies.
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Helm's own files: none of the account's are read or written.
export HELM_CACHE_HOME=$scratch/helm/cache HELM_CONFIG_HOME=$scratch/helm/config HELM_DATA_HOME=$scratch/helm/data
export HELM_NO_PLUGINS=1

# Chart.yaml as helm writes it again, with the repository's address as the first
# of `sources` (the registry ties the package to it) and the commit. Helm sorts
# the keys and indents by two, so lines can be told apart.
marked() {
    awk -v url="$source_url" -v commit="$commit" '
        BEGIN {
            item = "- " url
            key = "  org.opencontainers.image."
            lines = key "revision: " commit "\n" key "source: " url
        }
        /^[^ -]/ { inside = /^annotations:/ }
        inside && (index($0, key "revision:") == 1 || index($0, key "source:") == 1) { next }
        /^annotations:/ { print "annotations:"; print lines; annotated = 1; next }
        /^sources:/ { print; print item; listed = 1; next }
        $0 == item { next }
        { print }
        END {
            if (!annotated) { print "annotations:"; print lines }
            if (!listed) { print "sources:"; print item }
        }'
}

# repositories FILE: where a Chart.yaml or Chart.lock has dependencies from.
repositories() {
    sed -n 's/^[ -]*repository: *"\{0,1\}\([^" ]*\)"\{0,1\} *$/\1/p' "$1"
}

# bring FOLDER: copies a folder of the repository to the same place below
# $scratch/tree, and those that it takes by file://. A link is what it leads to,
# and must lead to a file of that folder: the package would hold whatever it is,
# /proc/self/environ included. What was brought stands in `brought`.
brought=()
bring() {
    local folder=$1 link at other wanted
    if ! inside "$folder" .; then
        die "$folder is not there, or leads out of the repository" \
            "The chart and what it takes by file:// lie in the repository."
    fi
    while IFS= read -r -d '' link; do
        if ! inside "$link" "$folder"; then
            die "$link leads out of $folder" "Put the file itself there: the chart would hold whatever the link leads to."
        fi
    done < <(find "$folder/" -type l -print0)
    mkdir -p "$scratch/tree/$folder"
    cp -RL -T -- "$folder" "$scratch/tree/$folder" || die "$folder cannot be copied" "Does a link in it lead back to a folder above?"
    brought+=("$folder")
    helm show chart "$folder" >"$scratch/shown" 2>"$scratch/said" ||
        die "$folder is no chart: $(<"$scratch/said")" "\`chart:\` of the calling workflow names the folder with Chart.yaml."
    mapfile -t wanted < <(repositories "$scratch/shown")
    for at in "${wanted[@]}"; do
        if [[ $at != file://* ]]; then
            continue
        fi
        other=$(realpath -m -s --relative-to=. -- "$folder/${at#file://}")
        if [[ " ${brought[*]} " != *" $other "* ]]; then
            bring "$other"
        fi
    done
}

# Dependencies as Chart.lock pins them; helm wants to be told each repository
# first. Without a lock only those of the repository itself are taken.
dependencies() {
    local folder=$1 url count=0 locked=no from=$scratch/shown wanted
    helm show chart "$folder" >"$scratch/shown"
    if [ -f "$folder/Chart.lock" ]; then
        locked=yes
        from=$folder/Chart.lock
    fi
    mapfile -t wanted < <(repositories "$from" | sort -u)
    for url in "${wanted[@]}"; do
        if [ "$locked" = no ] && [[ $url != file://* ]]; then
            return 0
        fi
        if [[ $url == https:* ]]; then
            count=$((count + 1))
            helm repo add "dependency-$count" "$url" >/dev/null
        fi
    done
    if [ ${#wanted[@]} -eq 0 ]; then
        return 0
    fi
    helm dependency build "$folder" >&2
    # Helm wrote one that holds the time.
    if [ "$locked" = no ]; then
        rm -f "$folder/Chart.lock"
    fi
}

CHART=${CHART%/}
if [[ ! $CHART =~ ^[A-Za-z0-9_.][A-Za-z0-9_./-]*$ || /$CHART/ == */../* ]]; then
    die "chart: $CHART is no path inside the repository" "An example: deploy/chart"
fi
sign_in
use_commit_time
if [ ! -d "$CHART" ]; then
    die "$CHART is no chart: there is no such folder" "\`chart:\` of the calling workflow names the folder with Chart.yaml."
fi
CHART=$(realpath -m -s --relative-to=. -- "$CHART")
bring "$CHART"
for ((at = ${#brought[@]} - 1; at >= 0; at--)); do
    dependencies "$scratch/tree/${brought[at]}"
done
folder=$scratch/tree/$CHART
helm show chart "$folder" >"$scratch/Chart.yaml"
name=$(sed -n 's/^name: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$scratch/Chart.yaml")
own=$(sed -n 's/^version: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$scratch/Chart.yaml")
version=$("$(dirname "${BASH_SOURCE[0]}")/version.sh" "$own")
if [[ ! $name =~ ^[a-z0-9]+([._-][a-z0-9]+)*$ ]]; then
    die "the chart's name $name is no part of a package's name" "Lower-case letters and digits, and . _ - between them."
fi
marked <"$scratch/Chart.yaml" >"$folder/Chart.yaml"

mkdir "$scratch/package"
if ! helm package "$folder" --version "$version" --destination "$scratch/package" >"$scratch/said" 2>&1; then
    show "helm package" "$scratch/said"
    die "the chart $name could not be packed" "Where a dependency is missing: \`helm dependency update\`, and commit Chart.lock; and .helmignore must not leave charts/*.tgz out."
fi
# Helm's package holds the time of packing, and its files in no order that is promised.
mkdir -p "$scratch/files" "$CHART_FOLDER"
tar -xzf "$scratch/package/$name-$version.tgz" -C "$scratch/files"
(cd "$scratch/files" && find . -type f -printf '%P\0' | LC_ALL=C sort -z) |
    tar --create --directory "$scratch/files" --format gnu --no-recursion --owner 0 --group 0 \
        --numeric-owner --mode 0644 --mtime "@$SOURCE_DATE_EPOCH" --null --files-from - |
    gzip --no-name --best >"$CHART_FOLDER/$name-$version.tgz"
layer=sha256:$(sha256sum <"$CHART_FOLDER/$name-$version.tgz" | cut -d ' ' -f 1)
output name "$name"
output version "$version"
output layer "$layer"
output artifact "deploy-signal-$APP-chart-$GITHUB_RUN_ATTEMPT"
printf '%s %s %s\n' "$name" "$version" "$layer"

#!/bin/bash
# What deploy checks of images, with as few calls of jq as that takes.
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
[[ -n $app && -n $version && $chart == oci://ghcr.io/*/charts/* ]] || exit 2
refuse() {
    echo "invalid --images: $1" >&2
    exit 2
}
((${#images} <= 65536)) || refuse "too long"
# A duplicate key is only seen before jq has made an object of it.
keys=$(jq -r --stream 'select(length == 2) | .[0][0] | tostring' <<<"$images" 2>&1) || refuse "$keys"
duplicates=$(sort <<<"$keys" | uniq -d)
[[ -z $duplicates ]] || refuse "duplicate $duplicates"
checked=$(jq -er '
    if type != "object" then error("not an object") else . end
    | if has("api") and has("web") then . else error("api and web are required") end
    | (keys - ["api", "web", "worker"]) as $unknown
    | if $unknown != [] then error("unknown: \($unknown)") else . end
    | to_entries[]
    | if (.value | type) != "string" then error("\(.key): not a string") else . end
    | "\(.key) \(.value)"' <<<"$images" 2>&1) || refuse "$checked"
name='[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*'
reference="^ghcr\.io/$name(/$name)+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$"
while read -r key image; do
    [[ $image =~ $reference ]] || refuse "$key: $image"
    [[ -n ${BASH_REMATCH[6]}${BASH_REMATCH[7]} ]] || refuse "$key: $image has neither tag nor digest"
done <<<"$checked"

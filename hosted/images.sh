#!/usr/bin/env bash
# Builds the image of each component for one platform, all at once, into OCI
# layouts below $LAYOUTS: one folder for each. Pushes nothing, and has no right
# to: the caller's code runs in this job. Always builds; the cache makes that
# fast. Puts out `digests`, a JSON object from component to digest, and
# `artifact`, the name to hand the layouts on by.
#
# Takes $APP, $COMPONENTS, $PLATFORM, $BUILD_ARGS and $BUILD_SECRETS (NAME=VALUE,
# one a line), $REGISTRY_TOKEN (it only reads) and $REGISTRIES for base images,
# and $ACTIONS_RUNTIME_TOKEN with $ACTIONS_RESULTS_URL where there is a cache.
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What builds, where no builder is named: Docker's own one can write no layouts.
buildkit=moby/buildkit:v0.32.2@sha256:28a898719c18a33f4e8000685287fa36fd0dd9560c6440227d3a732d79bb41d8

# pairs TEXT WHAT: the lines of a list of NAME=VALUE.
pairs() {
    local line
    while IFS= read -r line; do
        line=${line%$'\r'}
        if [ -z "$line" ]; then
            continue
        fi
        if [[ ! $line =~ ^[A-Za-z_][A-Za-z0-9_.-]*= ]]; then
            die "a line of $2 is not NAME=VALUE" "One to a line; the name begins with a letter or _."
        fi
        printf '%s\n' "$line"
    done <<<"$1"
}

# build NAME FOLDER DOCKERFILE TARGET
build() {
    local name=$1 target=() cached=()
    if [ -n "$4" ]; then
        target=(--target "$4")
    fi
    # GitHub keeps each branch's entries apart: a run reads those of its own and
    # of the default branch, and writes its own.
    if [ -n "${ACTIONS_RUNTIME_TOKEN:-}" ] && [ -n "${ACTIONS_RESULTS_URL:-}" ]; then
        local at=type=gha,version=2,scope=deploy-signal-$APP-$1-$arch
        cached=(--cache-from "$at" --cache-to "$at,mode=max,ignore-error=true")
    fi
    docker buildx build --builder "$BUILDX_BUILDER" --platform "$PLATFORM" \
        --provenance=false --sbom=false --progress plain \
        --file "$3" "${target[@]}" "${args[@]}" "${secrets[@]}" "${cached[@]}" \
        --label "org.opencontainers.image.source=$source_url" \
        --label "org.opencontainers.image.revision=$commit" \
        --annotation "manifest:org.opencontainers.image.source=$source_url" \
        --annotation "manifest:org.opencontainers.image.revision=$commit" \
        --annotation "manifest:io.deploy-signal.run=$source_url/actions/runs/$GITHUB_RUN_ID" \
        --output "type=oci,tar=false,dest=$LAYOUTS/$name" \
        --metadata-file "$scratch/$name.json" "$2" >"$scratch/$name.log" 2>&1 || return 1
    jq -er '."containerimage.digest"' "$scratch/$name.json" >"$scratch/$name.digest"
}

arch=${PLATFORM#linux/}
sign_in
use_commit_time
components >"$scratch/list"
pairs "${BUILD_ARGS:-}" build-args >"$scratch/args"
args=()
while IFS= read -r line; do
    args+=(--build-arg "$line")
done <"$scratch/args"

secrets=()
(umask 077 && mkdir "$scratch/secrets" && pairs "${BUILD_SECRETS:-}" build-secrets >"$scratch/secrets/all")
while IFS= read -r line; do
    name=${line%%=*}
    (umask 077 && printf '%s' "${line#*=}" >"$scratch/secrets/of-$name")
    # Told alone, it is not the text that GitHub knows as the secret.
    if [ -n "${line#*=}" ]; then
        printf '::add-mask::%s\n' "$(command_data "${line#*=}")"
    fi
    secrets+=(--secret "id=$name,src=$scratch/secrets/of-$name")
done <"$scratch/secrets/all"

if [ -z "${BUILDX_BUILDER:-}" ]; then
    export BUILDX_BUILDER=deploy-signal
    docker buildx create --name "$BUILDX_BUILDER" --driver docker-container --driver-opt "image=$buildkit" >&2
fi

mkdir -p "$LAYOUTS"
names=()
declare -A running=()
while IFS=$'\t' read -r name context dockerfile target; do
    for path in "$context" "$dockerfile"; do
        if ! inside "$path" .; then
            die "$path of the component $name is not there, or is a link that leads out of the repository" \
                "Folder and Dockerfile of a component lie in the repository."
        fi
    done
    names+=("$name")
    build "$name" "$context" "$dockerfile" "$target" &
    running[$name]=$!
done <"$scratch/list"

failed=()
for name in "${names[@]}"; do
    wait "${running[$name]}" || failed+=("$name")
    show "$name for $PLATFORM" "$scratch/$name.log"
done
if [ ${#failed[@]} -gt 0 ]; then
    die "the image of ${failed[*]} could not be built for $PLATFORM" "The job's log has what was said, above."
fi

digests='{}'
for name in "${names[@]}"; do
    digest=$(<"$scratch/$name.digest")
    if [ -z "$(blob "$LAYOUTS/$name" "$digest")" ]; then
        die "the layout of $name does not hold $digest, which was built just now" "Run the job again."
    fi
    digests=$(jq -c --arg name "$name" --arg digest "$digest" '.[$name] = $digest' <<<"$digests")
done
output digests "$digests"
output artifact "deploy-signal-$APP-$arch-$GITHUB_RUN_ATTEMPT"
printf '%s\n' "$digests"

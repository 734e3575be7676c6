#!/usr/bin/env bash
# Builds and pushes the image of each component, all at once, as
# ghcr.io/<owner>/<repository>/<component>:<commit>. One that is there already is
# taken as it is. Puts out `images`: a JSON object of references.
#
# Takes $COMPONENTS, $REFERENCES (digest or tag), $REGISTRY_TOKEN.
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# build NAME FOLDER DOCKERFILE TARGET: its digest goes to $scratch/NAME.digest.
# Docker 29 pushes an index with an attestation unless told not to; older ones a
# manifest. The digest is read from a file made for it, never from output.
build() {
    local name=$1 image=$registry/$repository/$1 log=$scratch/$1.log metadata=$scratch/$1.json
    local target=()
    if [ -n "$4" ]; then
        target=(--target "$4")
    fi
    docker buildx build --push --provenance=false --sbom=false --progress plain \
        --tag "$image:$GITHUB_SHA" --file "$3" "${target[@]}" \
        --label "org.opencontainers.image.source=$source_url" \
        --label "org.opencontainers.image.revision=$GITHUB_SHA" \
        --metadata-file "$metadata" "$2" >"$log" 2>&1 || return 1
    jq -er '."containerimage.digest"' "$metadata" >"$scratch/$name.digest"
}

case $REFERENCES in
digest | tag) ;;
*) die "references: $REFERENCES is neither digest nor tag" ;;
esac
sign_in
use_commit_time
components >"$scratch/list"

names=()
declare -A running=()
while IFS=$'\t' read -r name context dockerfile target; do
    names+=("$name")
    if exists "$repository/$name" "$GITHUB_SHA"; then
        digest_of_body >"$scratch/$name.digest"
        printf '%s is there: built of this commit before\n' "$registry/$repository/$name:$GITHUB_SHA"
        continue
    fi
    tell_if_new "$repository/$name"
    build "$name" "$context" "$dockerfile" "$target" &
    running[$name]=$!
done <"$scratch/list"

failed=()
logs=()
for name in "${names[@]}"; do
    if [ -z "${running[$name]:-}" ]; then
        continue
    fi
    if ! wait "${running[$name]}"; then
        failed+=("$name")
        logs+=("$scratch/$name.log")
    fi
    show "$name" "$scratch/$name.log"
done
if [ ${#failed[@]} -gt 0 ]; then
    push_failed "the image of ${failed[*]}" "${logs[@]}"
fi

images='{}'
for name in "${names[@]}"; do
    digest=$(<"$scratch/$name.digest")
    if ! exists "$repository/$name" "$digest"; then
        die "$registry does not have $repository/$name@$digest, which was pushed just now" "Run the job again."
    fi
    reference=$registry/$repository/$name@$digest
    if [ "$REFERENCES" = tag ]; then
        reference=$registry/$repository/$name:$GITHUB_SHA
    fi
    images=$(jq -c --arg name "$name" --arg reference "$reference" '.[$name] = $reference' <<<"$images")
done
output images "$images"
printf '%s\n' "$images"

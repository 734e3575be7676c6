#!/usr/bin/env bash
# Pushes what the jobs before have built and packed, and reads it back. The
# caller's code runs in those, so nothing of what they hand on is believed: a
# file is what the output of its own job says, to the digest, or the job fails.
# Puts out `images`, a JSON object of references, `chart`, `chart_version` and
# `chart_digest`.
#
# Takes $COMPONENTS, $PLATFORMS, $REFERENCES (digest or tag), $IMAGE_PATH;
# $LAYOUTS, with a folder for each architecture, and $DIGESTS_AMD64 and
# $DIGESTS_ARM64, what was built; $CHART_FOLDER, the folder with the chart, and
# $CHART_NAME, $CHART_VERSION and $CHART_LAYER, what was packed; $REGISTRY_TOKEN.
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

replaced="What a job hands on is held against its output: it was changed, or deleted and made again, in between. Find out by whom before this is run again."

# check_image LAYOUT DIGEST ARCHITECTURE: that the layout holds this image, whole,
# and for this architecture.
check_image() {
    local manifest config digest size path
    manifest=$(blob "$1" "$2") || die "${1##*/} for $3 does not hold ${2:-the digest that its job should have put out}" "$replaced"
    jq -e '.schemaVersion == 2 and .mediaType == "application/vnd.oci.image.manifest.v1+json"
        and ([.config.digest, .layers[].digest] | all(type == "string"))' "$manifest" >/dev/null 2>&1 ||
        die "${1##*/} for $3: $2 is no manifest of one image" "$replaced"
    while IFS=$'\t' read -r digest size; do
        path=$(blob "$1" "$digest") || path=
        if [ -z "$path" ] || [ "$(stat -c %s "$path")" != "$size" ]; then
            die "${1##*/} for $3 does not hold $digest, a part of $2" "$replaced"
        fi
    done < <(jq -r '.config, .layers[] | [.digest, .size] | @tsv' "$manifest")
    config=$(blob "$1" "$(jq -r .config.digest "$manifest")")
    jq -e --arg arch "$3" '.os == "linux" and .architecture == $arch' "$config" >/dev/null 2>&1 ||
        die "${1##*/} for $3: $2 is built for another platform" "$replaced"
}

# its_layer: the digest of the chart's layer in the manifest that was asked for last.
its_layer() {
    jq -r --arg type "$chart_media" '[.layers[]? | select(.mediaType == $type) | .digest] | join(" ")' "$scratch/body" 2>/dev/null
}

case $REFERENCES in
digest | tag) ;;
*) die "references: $REFERENCES is neither digest nor tag" ;;
esac
if [[ ! $commit =~ ^[0-9a-f]{40}$ ]]; then
    die "$commit is no commit" "this is a bug of the workflow: report it"
fi
components >"$scratch/list"
platforms >"$scratch/platforms"
path=${IMAGE_PATH:-$repository}
sign_in

# All of it is looked at before anything is pushed.
sources=()
while read -r platform; do
    arch=${platform#linux/}
    digests=DIGESTS_${arch^^}
    [ "$(jq -r type <<<"${!digests:-}" 2>/dev/null)" = object ] ||
        die "the job that builds for $platform put out no digests" \
            "Is one masked by a secret? GitHub empties an output that holds the value of a secret."
    while IFS=$'\t' read -r name _; do
        digest=$(jq -r --arg name "$name" '.[$name] | strings' <<<"${!digests}")
        check_image "$LAYOUTS/$arch/$name" "$digest" "$arch"
        sources+=("$name"$'\t'"oci-layout://$LAYOUTS/$arch/$name@$digest"$'\t'"$digest")
    done <"$scratch/list"
done <"$scratch/platforms"
file=$CHART_FOLDER/$CHART_NAME-$CHART_VERSION.tgz
if [[ ! $CHART_NAME =~ ^[a-z0-9._-]+$ || ! $CHART_VERSION =~ ^[0-9A-Za-z.-]+$ || ! $CHART_LAYER =~ $is_digest ]]; then
    die "the job that packs the chart put out no chart" \
        "Is one of its outputs masked by a secret? GitHub empties an output that holds the value of a secret."
fi
if [ ! -f "$file" ] || [ -L "$file" ] || [ "sha256:$(sha256sum <"$file" | cut -d ' ' -f 1)" != "$CHART_LAYER" ]; then
    die "${file##*/} is not $CHART_LAYER, which was packed" "$replaced"
fi

images='{}'
while IFS=$'\t' read -r name _; do
    image=$path/$name
    tell_if_new "$image"
    from=()
    digest=
    for source in "${sources[@]}"; do
        IFS=$'\t' read -r of layout one <<<"$source"
        if [ "$of" = "$name" ]; then
            from+=("$layout")
            digest=$one
        fi
    done
    annotations=()
    if [ ${#from[@]} -gt 1 ]; then
        annotations=(--annotation "index:org.opencontainers.image.source=$source_url"
            --annotation "index:org.opencontainers.image.revision=$commit"
            --annotation "index:io.deploy-signal.run=$source_url/actions/runs/$GITHUB_RUN_ID")
    fi
    # The tag is for people, and so that nobody tidies the image away: what is
    # deployed is the digest.
    if ! docker buildx imagetools create --prefer-index=false "${annotations[@]}" --progress plain \
        --metadata-file "$scratch/metadata" --tag "$registry/$image:$commit" "${from[@]}" >"$scratch/push.log" 2>&1; then
        show "$name" "$scratch/push.log"
        push_failed "the image $name" "$scratch/push.log"
    fi
    pushed=$(jq -r '."containerimage.descriptor".digest | strings' "$scratch/metadata")
    if [ ${#from[@]} -eq 1 ] && [ "$pushed" != "$digest" ]; then
        die "$registry/$image was pushed as ${pushed:-nothing}, built as $digest" "this is a bug of the workflow: report it"
    fi
    if ! [[ $pushed =~ $is_digest ]] || ! exists "$image" "$pushed" || [ "$(digest_of_body)" != "$pushed" ]; then
        die "$registry does not have $image@$pushed, which was pushed just now" "Run the job again."
    fi
    if [ ${#from[@]} -gt 1 ]; then
        built=$(printf '%s\n' "${from[@]}" | sed 's/.*@//' | sort)
        if [ "$(jq -r '.manifests[].digest' "$scratch/body" | sort)" != "$built" ]; then
            die "$registry/$image@$pushed is not made of what was built" "this is a bug of the workflow: report it"
        fi
    fi
    reference=$registry/$image@$pushed
    if [ "$REFERENCES" = tag ]; then
        reference=$registry/$image:$commit@$pushed
    fi
    images=$(jq -c --arg name "$name" --arg reference "$reference" '.[$name] = $reference' <<<"$images")
done <"$scratch/list"

# `helm push` overwrites without a word, so the version is asked for first.
package=$owner/charts/$CHART_NAME
if ! exists "$package" "$CHART_VERSION"; then
    tell_if_new "$package"
    if ! helm push "$file" "oci://$registry/$owner/charts" >"$scratch/push.log" 2>&1; then
        show "helm push" "$scratch/push.log"
        push_failed "the chart $CHART_NAME $CHART_VERSION" "$scratch/push.log"
    fi
    if ! exists "$package" "$CHART_VERSION"; then
        die "$registry does not have oci://$registry/$package $CHART_VERSION, which was pushed just now" "Run the job again."
    fi
else
    printf 'oci://%s/%s %s is there\n' "$registry" "$package" "$CHART_VERSION"
fi
theirs=$(its_layer)
if [ "$theirs" != "$CHART_LAYER" ]; then
    die "oci://$registry/$package $CHART_VERSION is there as ${theirs:-no chart}; this commit's chart is $CHART_LAYER" \
        "A version is never overwritten: push a new tag, or raise \`version\` in Chart.yaml. Where this commit was released before, somebody else pushed that chart, or a dependency is no longer what it was."
fi
output images "$images"
output chart "oci://$registry/$package"
output chart_version "$CHART_VERSION"
output chart_digest "$(digest_of_body)"
printf '%s\noci://%s/%s %s %s\n' "$images" "$registry" "$package" "$CHART_VERSION" "$(digest_of_body)"

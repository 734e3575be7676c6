#!/usr/bin/env bash
# Signs what was pushed, by digest, with the key in $SIGNING_KEY: for each image
# and the chart a bundle as cosign 3 writes it, listed under the tag
# sha256-<digest>, since ghcr.io has no referrers API. Nothing is signed where
# there is no key.
#
# Takes $IMAGES, $CHART and $CHART_DIGEST, the outputs of push.sh; $SIGNING_KEY,
# a private key for ECDSA on P-256 in PEM; $REGISTRY_TOKEN.
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ -z "${SIGNING_KEY:-}" ]; then
    printf 'nothing is signed: there is no signing-key\n'
    exit 0
fi
bundle_media=application/vnd.dev.sigstore.bundle.v0.3+json
manifest_media=application/vnd.oci.image.manifest.v1+json
index_media=application/vnd.oci.image.index.v1+json
# How the DER form of a public key for ECDSA on P-256 begins (RFC 5480).
p256=3059301306072a8648ce3d020106082a8648ce3d030107034200

key=$scratch/signing-key
(umask 077 && printf '%s\n' "$SIGNING_KEY" >"$key")
unset SIGNING_KEY
# An empty password: one that asks for another is refused, and never waited for.
if ! openssl pkey -in "$key" -passin pass: -pubout -outform der -out "$scratch/public" 2>/dev/null ||
    [ "$(head -c 26 "$scratch/public" | od -An -v -tx1 | tr -d ' \n')" != "$p256" ]; then
    die "the secret signing-key is no private key for ECDSA on P-256 in PEM, without a password" \
        "Make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
fi
sign_in

# hash FILE: its digest's 64 digits.
hash() {
    sha256sum <"$1" | cut -d ' ' -f 1
}

# send METHOD URL FILE TYPE: sends a file with $token; sets $status, and leaves the
# answer's headers in $scratch/headers.
send() {
    status=$(printf '%s\n' "Authorization: Bearer $token" "Content-Type: $4" | curl --silent --show-error --max-time 60 \
        --request "$1" --header @- --data-binary "@$3" --dump-header "$scratch/headers" \
        --output "$scratch/body" --write-out '%{http_code}' "$2") || true
}

refused() {
    die "$registry does not take the signature of $1 ($status $(said))" \
        "Run the job again. Where it is refused: on the package's page, Package settings, Manage Actions access, add $GITHUB_REPOSITORY with the role Write."
}

# push_blob REPOSITORY FILE
push_blob() {
    local location
    : >"$scratch/nothing"
    send POST "https://$registry/v2/$1/blobs/uploads/" "$scratch/nothing" application/octet-stream
    location=$(sed -n 's/\r$//; s/^[Ll]ocation: *//p' "$scratch/headers" | tail -n 1)
    if [ "$status" != 202 ] || [ -z "$location" ]; then
        refused "$1"
    fi
    case $location in
    "https://$registry/"*) ;;
    /*) location=https://$registry$location ;;
    *) die "$registry sends the upload of a signature to another host" "Run the job again." ;;
    esac
    case $location in
    *'?'*) location=$location'&' ;;
    *) location=$location'?' ;;
    esac
    send PUT "${location}digest=sha256:$(hash "$2")" "$2" application/octet-stream
    [ "$status" = 201 ] || refused "$1"
}

# descriptor FILE TYPE: as JSON.
descriptor() {
    jq -cn --arg digest "sha256:$(hash "$1")" --argjson size "$(stat -c %s "$1")" --arg type "$2" \
        '{mediaType: $type, digest: $digest, size: $size}'
}

# bundle_of DIGEST: writes the bundle that says that the digest is signed.
bundle_of() {
    local type=application/vnd.in-toto+json statement signature
    statement=$(jq -cn --arg hex "${1#sha256:}" '{_type: "https://in-toto.io/Statement/v1",
        subject: [{digest: {sha256: $hex}}],
        predicateType: "https://sigstore.dev/cosign/sign/v1", predicate: {}}')
    # What a DSSE signature is made of; all of it is ASCII, a character a byte.
    printf 'DSSEv1 %d %s %d %s' "${#type}" "$type" "${#statement}" "$statement" >"$scratch/signed"
    signature=$(openssl dgst -sha256 -sign "$key" -passin pass: "$scratch/signed" | base64 -w 0)
    jq -cn --arg media "$bundle_media" --arg hint "$(openssl dgst -sha256 -binary "$scratch/public" | base64 -w 0)" \
        --arg type "$type" --arg payload "$(printf %s "$statement" | base64 -w 0)" --arg signature "$signature" \
        '{mediaType: $media, verificationMaterial: {publicKey: {hint: $hint}},
          dsseEnvelope: {payload: $payload, payloadType: $type, signatures: [{sig: $signature}]}}' >"$scratch/bundle"
}

# sign REPOSITORY DIGEST
sign() {
    local basic subject tag=${2/:/-} entry digest
    exists "$1" "$2" || die "$registry does not have $1@$2, which was pushed just now" "Run the job again."
    # Helm leaves the media type of its manifests out.
    subject=$(jq -c --arg digest "$2" --argjson size "$(stat -c %s "$scratch/body")" --arg media "$manifest_media" \
        '{mediaType: (.mediaType // $media), digest: $digest, size: $size}' "$scratch/body")
    basic=$(jq -r --arg registry "$registry" '.auths[$registry].auth' "$HELM_REGISTRY_CONFIG")
    fetch "https://$registry/token?service=$registry&scope=repository:$1:pull,push" "Authorization: Basic $basic"
    [ "$status" = 200 ] || refused "$1"
    token=$(jq -r .token "$scratch/body")
    bundle_of "$2"
    printf '{}' >"$scratch/config"
    push_blob "$1" "$scratch/config"
    push_blob "$1" "$scratch/bundle"
    jq -cn --arg media "$manifest_media" --arg type "$bundle_media" --argjson subject "$subject" \
        --argjson config "$(descriptor "$scratch/config" application/vnd.oci.empty.v1+json)" \
        --argjson layer "$(descriptor "$scratch/bundle" "$bundle_media")" \
        '{schemaVersion: 2, mediaType: $media, artifactType: $type, config: $config, layers: [$layer], subject: $subject,
          annotations: {"dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"}}' >"$scratch/manifest"
    digest=sha256:$(hash "$scratch/manifest")
    send PUT "https://$registry/v2/$1/manifests/$digest" "$scratch/manifest" "$manifest_media"
    [ "$status" = 201 ] || refused "$1"
    entry=$(descriptor "$scratch/manifest" "$manifest_media")
    # Others may list theirs at the same time: it is read back until it is there.
    for _ in 1 2 3; do
        if exists "$1" "$tag"; then
            cp "$scratch/body" "$scratch/list"
        else
            jq -cn --arg media "$index_media" '{schemaVersion: 2, mediaType: $media, manifests: []}' >"$scratch/list"
        fi
        jq -c --argjson entry "$entry" --arg type "$bundle_media" '.manifests += [$entry + {artifactType: $type}]' \
            "$scratch/list" >"$scratch/index"
        send PUT "https://$registry/v2/$1/manifests/$tag" "$scratch/index" "$index_media"
        [ "$status" = 201 ] || refused "$1"
        if exists "$1" "$tag" && jq -e --arg digest "$digest" 'any(.manifests[]; .digest == $digest)' "$scratch/body" >/dev/null; then
            printf '%s/%s@%s is signed\n' "$registry" "$1" "$2"
            return 0
        fi
    done
    die "the signature of $1 is not in the list of $tag, though it was put there three times" "Run the job again."
}

for reference in $(jq -r '[.[]] | unique | .[]' <<<"$IMAGES"); do
    name=${reference%@*}
    name=${name#"$registry/"}
    digest=${reference##*@}
    if [[ ! $digest =~ $is_digest ]]; then
        die "$reference names no digest" "this is a bug of the workflow: report it"
    fi
    sign "${name%%:*}" "$digest"
done
if [[ ! $CHART_DIGEST =~ $is_digest ]]; then
    die "the chart has no digest" "this is a bug of the workflow: report it"
fi
sign "${CHART#"oci://$registry/"}" "$CHART_DIGEST"

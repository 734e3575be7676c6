#!/usr/bin/env bash
# Joins what was pushed into the signal. GitHub empties an output that holds the
# value of a secret, without failing anything: that is told here. The signal
# names a chart by its version, which somebody may have moved since: it is read
# once more. And a commit that is no longer its branch's head is not deployed
# over a newer one; deploy.yml asks that again when its turn has come.
#
# Takes $CHART, $CHART_VERSION, $CHART_DIGEST, $IMAGES, $COMPONENTS,
# $REGISTRY_TOKEN (it only reads); and $APP and $SIGNAL_FOLDER, where the signal
# is to be kept for those who want to go back to it (former-signal.sh).
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

masked="Is it masked by a secret? GitHub empties an output that holds the value of a secret. A secret whose value is a common word, such as the owner's name, does that: make it a variable (vars), or give it another value."

for name in CHART CHART_VERSION CHART_DIGEST IMAGES; do
    if [ -z "${!name}" ]; then
        die "the output ${name,,} came empty" "$masked"
    fi
done
components >"$scratch/list"
while IFS=$'\t' read -r name _; do
    image=$(jq -r --arg name "$name" '.[$name] | strings' <<<"$IMAGES" 2>/dev/null) || image=
    if [ -z "$image" ]; then
        die "the output images came without $name" "$masked"
    fi
    if [[ $image != "$registry/$owner/"* || ! sha256:${image##*@sha256:} =~ $is_digest ]]; then
        die "the image of $name is $image, without a digest or not of $owner" "this is a bug of the workflow: report it"
    fi
done <"$scratch/list"
sign_in
package=${CHART#"oci://$registry/"}
if ! exists "$package" "$CHART_VERSION" || [ "$(digest_of_body)" != "$CHART_DIGEST" ]; then
    die "$CHART $CHART_VERSION is now $(digest_of_body); it was pushed as $CHART_DIGEST" \
        "Somebody pushed another chart under the version meanwhile. Find out by whom before this is run again."
fi

# Runs wait for each other, but in the order in which they came to wait. A
# re-run, a tag and a manual run are somebody's will, and may go back.
superseded=false
if [ "$GITHUB_EVENT_NAME" = push ] && [ "$GITHUB_REF_TYPE" = branch ] && [ "$GITHUB_RUN_ATTEMPT" = 1 ]; then
    authorization=$(printf 'x-access-token:%s' "$REGISTRY_TOKEN" | base64 -w 0)
    export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=1
    export GIT_CONFIG_KEY_0=http.$GITHUB_SERVER_URL/.extraheader GIT_CONFIG_VALUE_0="Authorization: Basic $authorization"
    head=$(git ls-remote "$source_url" "$GITHUB_REF" 2>"$scratch/said") ||
        die "the head of $GITHUB_REF_NAME cannot be asked for: $(<"$scratch/said")" "Run the job again."
    # It lists every ref that ends so: a branch may be called a/refs/heads/main.
    head=$(awk -F '\t' -v ref="$GITHUB_REF" '$2 == ref { print $1 }' <<<"$head")
    if [ "$head" != "$commit" ]; then
        superseded=true
        notice "superseded: $GITHUB_REF_NAME is at ${head:-no commit} now, so $commit is not deployed. To deploy it all the same, run the job again."
        printf '### Superseded\n\n%s is not deployed: its branch is at %s now. To deploy it all the same, run it again.\n' \
            "$commit" "${head:-no commit}" >>"$GITHUB_STEP_SUMMARY"
    fi
fi
for name in CHART CHART_VERSION CHART_DIGEST IMAGES; do
    output "${name,,}" "${!name}"
done
output superseded "$superseded"
if [ -n "${SIGNAL_FOLDER:-}" ]; then
    mkdir -p "$SIGNAL_FOLDER"
    jq -n --arg app "$APP" --arg run "$GITHUB_RUN_ID" --arg commit "$commit" --arg chart "$CHART" \
        --arg chart_version "$CHART_VERSION" --arg chart_digest "$CHART_DIGEST" --argjson images "$IMAGES" \
        '$ARGS.named' >"$SIGNAL_FOLDER/signal.json"
    output artifact "deploy-signal-$APP-signal-$GITHUB_RUN_ATTEMPT"
fi

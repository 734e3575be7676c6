#!/usr/bin/env bash
# Joins what was pushed into the signal. GitHub empties an output that holds the
# value of a secret, without failing anything: that is told here. And a commit
# that is no longer its branch's head is not deployed over a newer one.
#
# Takes $CHART, $CHART_VERSION, $CHART_DIGEST, $IMAGES, $COMPONENTS, $READ_TOKEN.
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

masked="Is it masked by a secret? GitHub empties an output that holds the value of a secret. A secret whose value is a common word, such as the owner's name, does that: make it a variable (vars), or give it another value."

for name in CHART CHART_VERSION CHART_DIGEST IMAGES; do
    if [ -z "${!name}" ]; then
        die "the output ${name,,} came empty" "$masked"
    fi
    output "${name,,}" "${!name}"
done
components >"$scratch/list"
while IFS=$'\t' read -r name _; do
    if ! jq -e --arg name "$name" '.[$name] | strings | length > 0' <<<"$IMAGES" >/dev/null 2>&1; then
        die "the output images came without $name" "$masked"
    fi
done <"$scratch/list"

# Runs wait for each other, but in the order in which they came to wait. A
# re-run, a tag and a manual run are somebody's will, and may go back.
superseded=false
if [ "$GITHUB_EVENT_NAME" = push ] && [ "$GITHUB_REF_TYPE" = branch ] && [ "$GITHUB_RUN_ATTEMPT" = 1 ]; then
    authorization=$(printf 'x-access-token:%s' "$READ_TOKEN" | base64 -w 0)
    export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=1
    export GIT_CONFIG_KEY_0=http.$GITHUB_SERVER_URL/.extraheader GIT_CONFIG_VALUE_0="Authorization: Basic $authorization"
    head=$(git ls-remote "$source_url" "$GITHUB_REF" 2>"$scratch/said") ||
        die "the head of $GITHUB_REF_NAME cannot be asked for: $(<"$scratch/said")" "Run the job again."
    head=${head%%$'\t'*}
    if [ "$head" != "$GITHUB_SHA" ]; then
        superseded=true
        notice "superseded: $GITHUB_REF_NAME is at ${head:-no commit} now, so ${GITHUB_SHA} is not deployed. To deploy it all the same, run the job again."
        printf '### Superseded\n\n%s is not deployed: its branch is at %s now. To deploy it all the same, run it again.\n' \
            "$GITHUB_SHA" "${head:-no commit}" >>"$GITHUB_STEP_SUMMARY"
    fi
fi
output superseded "$superseded"

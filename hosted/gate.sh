#!/usr/bin/env bash
# Whether this run may deploy: by its event AND by its ref. A no is a failed job
# that says what to do, never a silent skip.
#
# Takes $EVENTS, $BRANCHES and $TAGS (names and patterns, blanks between),
# $REF_PROTECTED, $COMPONENTS.
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# matches NAME PATTERNS
matches() {
    local pattern patterns
    read -ra patterns <<<"${2//$'\n'/ }"
    for pattern in "${patterns[@]}"; do
        # shellcheck disable=SC2053 # The right side is a pattern.
        if [[ $1 == $pattern ]]; then
            return 0
        fi
    done
    return 1
}

# Whatever `events` says: these carry what somebody without a right to push wrote.
case $GITHUB_EVENT_NAME in
pull_request* | merge_group | workflow_run | issue* | discussion* | fork | watch)
    die "$GITHUB_EVENT_NAME never deploys" "Call this workflow on push, on a tag or by hand (workflow_dispatch)."
    ;;
esac
if ! matches "$GITHUB_EVENT_NAME" "$EVENTS"; then
    die "$GITHUB_EVENT_NAME does not deploy here; these do: $EVENTS" \
        "Take the event out of the calling workflow's \`on:\`, or name it in its \`events:\`."
fi

case $GITHUB_REF in
refs/heads/*)
    if [ "$REF_PROTECTED" != true ] && ! matches "$GITHUB_REF_NAME" "$BRANCHES"; then
        die "the branch $GITHUB_REF_NAME is not protected, so this commit was not reviewed" \
            "Protect it (Settings, Rules), or, where that is not to be had, name it in \`branches:\` of the calling workflow. A workflow that is not meant to deploy it takes it out of its \`on:\`."
    fi
    ;;
refs/tags/*)
    if ! matches "$GITHUB_REF_NAME" "$TAGS"; then
        die "the tag $GITHUB_REF_NAME does not deploy here; these do: $TAGS" \
            "Push a tag such as v1.2.3, or change \`tags:\` of the calling workflow."
    fi
    ;;
*)
    die "$GITHUB_REF is neither a branch nor a tag" "Call this workflow on push, on a tag or by hand (workflow_dispatch)."
    ;;
esac
components >"$scratch/list"
printf '%s of %s may deploy; it builds %s\n' "$GITHUB_EVENT_NAME" "$GITHUB_REF" "$(cut -f 1 "$scratch/list" | paste -sd ' ')"

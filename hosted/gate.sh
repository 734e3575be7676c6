#!/usr/bin/env bash
# Whether this run may deploy: by its event AND by its ref, and where that is a
# tag, or a manual run names a commit, by the branch that the commit is on. A no
# is a failed job that says what to do, never a silent skip.
#
# Takes $EVENTS, $BRANCHES and $TAGS (names and patterns, blanks between),
# $TAGS_ANYWHERE, $REF_PROTECTED, $COMMIT; $READ_TOKEN to ask GitHub with; and
# $APP, $COMPONENTS, $PLATFORMS and $IMAGE_PATH, to judge them early.
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

# api PATH: asks GitHub of this repository. Sets $status; the body is in $scratch/body.
api() {
    fetch "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/$1" "Authorization: Bearer $READ_TOKEN" \
        'Accept: application/vnd.github+json' 'X-GitHub-Api-Version: 2022-11-28'
    if [ "$status" != 200 ]; then
        die "GitHub did not say on which branches $commit is ($status for ${1%%\?*})" "Run the job again."
    fi
}

# reviewed: whether the commit is on a branch that may deploy: a protected one, or
# one that the caller names.
reviewed() {
    local page=1 name head
    : >"$scratch/heads"
    while :; do
        api "branches?per_page=100&page=$page"
        while IFS=$'\t' read -r head protected name; do
            if [ "$protected" = true ] || matches "$name" "$BRANCHES"; then
                printf '%s\n' "$head" >>"$scratch/heads"
            fi
        done < <(jq -r '.[] | [.commit.sha, .protected, .name] | @tsv' "$scratch/body")
        if [ "$(jq length "$scratch/body")" -lt 100 ]; then
            break
        fi
        page=$((page + 1))
    done
    while read -r head; do
        api "compare/$head...$commit?per_page=1"
        if jq -e '.status == "identical" or .status == "behind"' "$scratch/body" >/dev/null; then
            return 0
        fi
    done < <(sort -u "$scratch/heads")
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
    if [ "$TAGS_ANYWHERE" != true ] && ! reviewed; then
        die "the tag $GITHUB_REF_NAME is of $commit, which is on no protected branch, so it was not reviewed" \
            "Merge it first. Where tags are protected themselves, \`tags-anywhere: true\` of the calling workflow lets them deploy from anywhere; a branch that GitHub does not protect is named in \`branches:\`."
    fi
    ;;
*)
    die "$GITHUB_REF is neither a branch nor a tag" "Call this workflow on push, on a tag or by hand (workflow_dispatch)."
    ;;
esac
if [ "$commit" != "$GITHUB_SHA" ]; then
    if [ "$GITHUB_EVENT_NAME" != workflow_dispatch ] || [[ ! $commit =~ ^[0-9a-f]{40}$ ]]; then
        die "commit: $commit is not the full id of a commit, or the run is not a manual one" \
            "Only workflow_dispatch names a commit to go back to: 40 hexadecimal digits."
    fi
    if ! reviewed; then
        die "$commit is on no protected branch, so it was not reviewed" "Name a commit of a branch that may deploy."
    fi
fi
if [[ ! $APP =~ ^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$ ]]; then
    die "app: $APP is no application's name" "Lower-case letters, digits and -, a letter or digit first and last, at most 53."
fi
# Below the owner: this run's token writes nobody else's packages.
if [ -n "$IMAGE_PATH" ] && [[ $IMAGE_PATH != "$owner"/* || ! $IMAGE_PATH =~ ^[a-z0-9]+(([._/]|__|-+)[a-z0-9]+)*$ ]]; then
    die "image-path: $IMAGE_PATH is no path of $owner's packages" "An example: $repository/shop"
fi
platforms >"$scratch/platforms"
components >"$scratch/list"
printf '%s of %s may deploy; it builds %s\n' "$GITHUB_EVENT_NAME" "$GITHUB_REF" "$(cut -f 1 "$scratch/list" | paste -sd ' ')"

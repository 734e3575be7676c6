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

# Whatever `events` says.
if never_deploys "$GITHUB_EVENT_NAME"; then
    die "$GITHUB_EVENT_NAME never deploys" "Call this workflow on push, on a tag or by hand (workflow_dispatch)."
fi
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
    if [ "$TAGS_ANYWHERE" != true ] && ! reviewed "$commit"; then
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
    if ! reviewed "$commit"; then
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

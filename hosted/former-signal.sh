#!/usr/bin/env bash
# What a former run has signalled, put out again: the same digests, nothing is
# built. No other run can write that run's artifacts; whoever may push some branch
# can write packages, so chart and images are held against the signal.
#
# Takes $APP, $RUN, $BRANCHES; $SIGNAL, the file that the run has left, and
# $RUN_COMMIT; $READ_TOKEN and $REGISTRY_TOKEN (they only read).
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# signalled KEY: a text of the signal, or nothing.
signalled() {
    jq -r --arg key "$1" '.[$key] | strings' "$SIGNAL"
}

if [ -L "$SIGNAL" ] || ! jq -e --arg app "$APP" --arg run "$RUN" '.app == $app and .run == $run
        and (.images | type) == "object" and all(.images[]; type == "string")' "$SIGNAL" >/dev/null 2>&1; then
    die "what the run $RUN has left is no signal of $APP" "Name another run."
fi
# A manual run may itself have named a commit.
commit=$(signalled commit)
if [ "$commit" != "$RUN_COMMIT" ] && { [[ ! $commit =~ ^[0-9a-f]{40}$ ]] || ! reviewed "$commit"; }; then
    die "the run $RUN has signalled $commit, which is on no protected branch, so it was not reviewed" "Name another run."
fi
chart=$(signalled chart)
if [[ ! $chart =~ ^"oci://$registry/$owner/charts/"[a-z0-9._-]+$ ]]; then
    die "the run $RUN has signalled $chart, which is no chart of $owner" "Name another run."
fi
sign_in
images=$(jq -c .images "$SIGNAL")
while IFS=$'\t' read -r name image; do
    path=${image%%@*}
    path=${path#"$registry/"}
    digest=sha256:${image##*@sha256:}
    if [[ $path != "$owner"/* || ! $digest =~ $is_digest ]] || ! exists "${path%:*}" "$digest"; then
        die "$registry does not have $image, the image of $name in the run $RUN" "It was removed since. Name its commit as \`commit\` of build.yml, which builds it again."
    fi
    # Written into it when it was built.
    if ! jq -e --arg run "$source_url/actions/runs/$RUN" --arg commit "$commit" '.annotations
        | ."io.deploy-signal.run" == $run and ."org.opencontainers.image.revision" == $commit' "$scratch/body" >/dev/null 2>&1; then
        die "$image, the image of $name, is not of the run $RUN and of $commit" "Find out by whom it was pushed before this is run again."
    fi
done < <(jq -r '.images | to_entries[] | [.key, .value] | @tsv' "$SIGNAL")
printf 'the run %s has signalled %s of %s\n' "$RUN" "$images" "$commit"

CHART=$chart CHART_VERSION=$(signalled chart_version) CHART_DIGEST=$(signalled chart_digest) IMAGES=$images \
    COMPONENTS=$(jq -c '.images | keys' "$SIGNAL") "$(dirname "${BASH_SOURCE[0]}")/signal.sh"

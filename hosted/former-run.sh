#!/usr/bin/env bash
# Whether a former run may be gone back to. Whoever may push some branch can start
# runs, so one counts where it is of this repository and of the workflow that
# deploys, ended well, and is of a commit on a branch that may deploy: GitHub says
# so. Puts out `artifact`, in which it has left its signal, and `head`, its commit.
#
# Takes $APP, $RUN (the id), $WORKFLOW (a path), $BRANCHES, and $READ_TOKEN to ask
# GitHub with.
# shellcheck source=hosted/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# of_run KEY: a text of what GitHub says of the run, or nothing.
of_run() {
    jq -r --arg key "$1" 'getpath($key / ".") | strings' "$scratch/run"
}

if [ "$GITHUB_EVENT_NAME" != workflow_dispatch ]; then
    die "$GITHUB_EVENT_NAME goes back to no run" "Only workflow_dispatch names one."
fi
if [[ ! $RUN =~ ^[1-9][0-9]{0,17}$ ]]; then
    die "run: $RUN is no run's id" "It ends the address of the run's page: $source_url/actions/runs/ID"
fi
if [[ ! $APP =~ ^[a-z0-9-]+$ ]]; then
    die "app: $APP is no application's name" "Lower-case letters, digits and -."
fi

api "actions/runs/$RUN" "what the run $RUN was" \
    "Is it the id of a run of this repository, and does the caller grant \`actions: read\`?"
cp "$scratch/body" "$scratch/run"
event=$(of_run event)
from=$(of_run head_repository.full_name)
if [ "$from" != "$GITHUB_REPOSITORY" ] || never_deploys "$event"; then
    die "the run $RUN is of the event $event in $from, and never deploys" "Name a run that has deployed."
fi
path=$(of_run path)
path=${path%%@*}
if [ "$path" != "$WORKFLOW" ]; then
    die "the run $RUN is of $path, not of $WORKFLOW" "\`workflow:\` of the calling workflow names the one whose runs have deployed."
fi
conclusion=$(of_run conclusion)
if [ "$conclusion" != success ]; then
    die "the run $RUN ended as ${conclusion:-nothing yet}, not as success" "Name a run that has deployed."
fi
head=$(of_run head_sha)
if [[ ! $head =~ ^[0-9a-f]{40}$ ]] || ! reviewed "$head"; then
    die "the run $RUN is of $head, which is on no protected branch, so it was not reviewed" "Name a run of a branch that may deploy."
fi

# Where only some jobs ran again, an earlier attempt has left the signal.
attempt=$(jq -r '.run_attempt | numbers' "$scratch/run")
found=0
while [ "$found" = 0 ] && [ "${attempt:-0}" -gt 0 ]; do
    name=deploy-signal-$APP-signal-$attempt
    api "actions/runs/$RUN/artifacts?name=$name" "what the run $RUN has left"
    found=$(jq --arg name "$name" '[.artifacts[] | select(.name == $name and .expired == false)] | length' "$scratch/body")
    attempt=$((attempt - 1))
done
if [ "$found" != 1 ]; then
    die "GitHub keeps no signal of $APP from the run $RUN" \
        "It is kept for 90 days, or as long as the repository's settings say. Name its commit ($head) as \`commit\` of build.yml, which builds it again; or call deploy.sh on the node with what \`deploy show\` prints of it."
fi
output artifact "$name"
output head "$head"
printf 'the run %s of %s may be gone back to\n' "$RUN" "$head"

# shellcheck shell=bash
# What the scripts beside it share. Sourced, never run.
#
# Writes only to $RUNNER_TEMP and to the files that the runner names. A secret
# stands in no argument of a program: those can be read by every process.
set -euo pipefail

registry=ghcr.io
# Owners and repositories keep their case on GitHub; OCI names have none.
repository=${GITHUB_REPOSITORY,,}
# shellcheck disable=SC2034 # Those who source this use it.
owner=${repository%%/*}
# shellcheck disable=SC2034
source_url=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY
# What is built: the run's commit, or the one that a manual run names.
# shellcheck disable=SC2034
commit=${COMMIT:-$GITHUB_SHA}
# shellcheck disable=SC2034
is_digest='^sha256:[0-9a-f]{64}$'
# shellcheck disable=SC2034
chart_media=application/vnd.cncf.helm.chart.content.v1.tar+gzip

scratch=$(mktemp -d "$RUNNER_TEMP/deploy-signal.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# Text as the data of a workflow command: what came from outside cannot begin one.
command_data() {
    local text=$1
    text=${text//'%'/%25}
    text=${text//$'\r'/%0D}
    printf '%s' "${text//$'\n'/%0A}"
}

# die WHAT [HINT]: ends the job with one annotation.
die() {
    printf '::error title=deploy-signal::%s\n' "$(command_data "$1${2:+$'\n'$2}")" >&2
    exit 1
}

notice() {
    printf '::notice title=deploy-signal::%s\n' "$(command_data "$1")" >&2
}

# output NAME VALUE
output() {
    if [[ $2 == *$'\n'* || $2 == *$'\r'* ]]; then
        die "the output $1 would have more than one line" "this is a bug of the workflow: report it"
    fi
    printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
}

# Credentials for helm, buildx and curl alike, in a file that goes with the
# script: the account's real files are left alone. $REGISTRIES, where it is set,
# names those of other registries.
sign_in() {
    export DOCKER_CONFIG=$scratch/credentials
    export HELM_REGISTRY_CONFIG=$DOCKER_CONFIG/config.json
    (
        umask 077
        mkdir "$DOCKER_CONFIG"
        jq -n --arg registry "$registry" '
            def pair: if (.username | type) == "string" and (.password | type) == "string"
                then {auth: ("\(.username):\(.password)" | @base64)} else error end;
            {auths: (((env.REGISTRIES // "") | if . == "" then {} else fromjson | map_values(pair) end)
                + {($registry): {auth: ("\(env.GITHUB_ACTOR):\(env.REGISTRY_TOKEN)" | @base64)}})}
            ' >"$HELM_REGISTRY_CONFIG" 2>/dev/null
    ) || die "the secret registries is not a JSON object from a registry's name to its username and password" \
        'An example: {"registry.example.com": {"username": "ci", "password": "…"}}'
}

# fetch URL HEADER...: a GET whose body goes to $scratch/body; sets $status, 000
# where no answer came. Headers go by standard input. curl tries again what may pass.
fetch() {
    local url=$1
    shift
    status=$(printf '%s\n' "$@" | curl --silent --show-error --location --max-time 60 --retry 2 --retry-delay 1 \
        --header @- --output "$scratch/body" --write-out '%{http_code}' "$url") || true
}

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

# api PATH WHAT [HINT]: asks GitHub of this repository, with $READ_TOKEN; without an
# answer the job ends. The body is in $scratch/body.
api() {
    fetch "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/$1" "Authorization: Bearer $READ_TOKEN" \
        'Accept: application/vnd.github+json' 'X-GitHub-Api-Version: 2022-11-28'
    if [ "$status" != 200 ]; then
        die "GitHub did not say $2 ($status for ${1%%\?*})" "${3:-Run the job again.}"
    fi
}

# never_deploys EVENT: these carry what somebody without a right to push wrote.
never_deploys() {
    case $1 in
    pull_request* | merge_group | workflow_run | issue* | discussion* | fork | watch) ;;
    *) return 1 ;;
    esac
}

# reviewed COMMIT: whether it is on a branch that may deploy: a protected one, or
# one that the caller names in $BRANCHES.
reviewed() {
    local page=1 name head protected
    : >"$scratch/heads"
    while :; do
        api "branches?per_page=100&page=$page" "on which branches $1 is"
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
        api "compare/$head...$1?per_page=1" "on which branches $1 is"
        if jq -e '.status == "identical" or .status == "behind"' "$scratch/body" >/dev/null; then
            return 0
        fi
    done < <(sort -u "$scratch/heads")
    return 1
}

# ask REPOSITORY PATH: asks the registry with our own credentials. Sets $status;
# the body is in $scratch/body.
ask() {
    local basic
    basic=$(jq -r --arg registry "$registry" '.auths[$registry].auth' "$HELM_REGISTRY_CONFIG")
    fetch "https://$registry/token?service=$registry&scope=repository:$1:pull" "Authorization: Basic $basic"
    if [ "$status" != 200 ]; then
        return 0
    fi
    fetch "https://$registry/v2/$1/$2" "Authorization: Bearer $(jq -r .token "$scratch/body")" \
        'Accept: application/vnd.oci.image.manifest.v1+json' \
        'Accept: application/vnd.oci.image.index.v1+json' \
        'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        'Accept: application/vnd.docker.distribution.manifest.list.v2+json'
}

# exists REPOSITORY REFERENCE: whether a manifest is there. Only a definite
# "not found" is a no; where the registry does not say, the job ends.
exists() {
    ask "$1" "manifests/$2"
    case $status in
    200) return 0 ;;
    404) return 1 ;;
    401 | 403)
        die "$registry does not let this job read $1 ($status $(said))" \
            "The package belongs to another repository, or the job has no \`packages: write\`: on the package's page, Package settings, Manage Actions access, add $GITHUB_REPOSITORY with the role Write."
        ;;
    *)
        die "$registry did not say whether $1:$2 is there ($status $(said))" \
            "Nothing was pushed, since what may be there would be overwritten. Run the job again."
        ;;
    esac
}

# What the registry said last, short.
said() {
    if [ -f "$scratch/body" ]; then
        jq -r '.errors[0] | "\(.code): \(.message)"' "$scratch/body" 2>/dev/null || head -c 200 "$scratch/body"
    fi
}

# The digest of the manifest that was asked for last.
digest_of_body() {
    printf 'sha256:%s' "$(sha256sum <"$scratch/body" | cut -d ' ' -f 1)"
}

# tell_if_new REPOSITORY: a package is private on its first push, even from a
# public repository; nobody sees that before a node fails to pull.
tell_if_new() {
    ask "$1" 'tags/list?n=1'
    if [ "$status" = 404 ]; then
        notice "$registry/$1 is new. GitHub makes a new package private: the node needs credentials that may read it (a classic token with read:packages), or the package must be made public on its page."
    fi
}

# show TITLE LOG: what a tool printed, as a group in which no line is a command.
show() {
    local stop
    stop=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
    printf '::group::%s\n::stop-commands::%s\n' "$1" "$stop" >&2
    cat "$2" >&2
    printf '\n::%s::\n::endgroup::\n' "$stop" >&2
}

# push_failed WHAT LOG...: ends the job with what the registry's refusal means.
# The logs were shown.
push_failed() {
    local what=$1
    shift
    if grep -q 'write_package' "$@"; then
        die "$registry refuses to take $what: this repository may not write the package" \
            "It was first pushed by another repository or by hand. On the package's page: Package settings, Manage Actions access, add $GITHUB_REPOSITORY with the role Write. And the job that calls this workflow must grant \`packages: write\`."
    fi
    die "$what could not be built or pushed" "The job's log has what was said, above."
}

# inside PATH FOLDER: whether a path, its links followed, lies in a folder.
inside() {
    local path folder
    path=$(realpath -e -- "$1" 2>/dev/null) && folder=$(realpath -e -- "$2") || return 1
    [[ $path == "$folder" || $path == "$folder"/* ]]
}

# blob LAYOUT DIGEST: the path of a blob of an OCI layout, or nothing where it is
# not there or is not what its name says. A link may lead anywhere: it is none.
blob() {
    local path=$1/blobs/sha256/${2#sha256:}
    [[ $2 =~ $is_digest ]] && [ -f "$path" ] && [ ! -L "$path" ] &&
        [ "$(sha256sum <"$path")" = "${2#sha256:}  -" ] && printf '%s\n' "$path"
}

# The commit's time: what is built of it is the same whenever it is built.
use_commit_time() {
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
    export SOURCE_DATE_EPOCH TZ=UTC
}

# platforms: one line for each of $PLATFORMS, a JSON list.
platforms() {
    jq -er '
        def known: ["linux/amd64", "linux/arm64"];
        if type != "array" or length == 0 then error("platforms: a JSON list with at least one platform was expected") else . end
        | if (unique | length) != length then error("platforms: one stands twice") else . end
        | .[]
        | if IN(known[]) then . else error("platforms: \(.) is not known; there are \(known | join(", "))") end
    ' <<<"$PLATFORMS" 2>"$scratch/said" || die "$(sed 's/^jq: error[^:]*: //' "$scratch/said")" \
        'An example: ["linux/amd64", "linux/arm64"]'
}

# components: one line for each of $COMPONENTS, a JSON list: name, folder,
# Dockerfile and target, with tabs between.
components() {
    jq -er '
        def own: ["name", "context", "dockerfile", "target"];
        def bad(why): error("components: \(why)");
        def path: test("^[A-Za-z0-9_.][A-Za-z0-9_./-]*$") and (split("/") | any(. == "..") | not);
        if type != "array" or length == 0 then bad("a JSON list with at least one component was expected") else . end
        | map(if type == "string" then {name: ., context: .} else . end)
        | map(
            if type != "object" then bad("\(.) is neither a name nor an object") else . end
            | (keys - own) as $unknown
            | if $unknown != [] then bad("\($unknown | join(", ")): unknown; there are \(own | join(", "))") else . end
            | if any(.[]; type != "string") then bad("all fields are texts: \(.)") else . end
            | if (.name // "" | test("^[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*$") | not) then bad("the name \(.name) is no part of an image name: lower-case letters, digits, and . _ - between them") else . end
            | .context //= "." | .dockerfile //= "\(.context)/Dockerfile" | .target //= ""
            | if (.context | path) and (.dockerfile | path) then . else bad("\(.name): paths lie inside the repository") end)
        | if (map(.name) | unique | length) != length then bad("a name stands twice") else . end
        | if (map(.name) | contains(["api"])) and (map(.name) | contains(["web"])) then . else bad("api and web are needed") end
        | .[] | [.name, .context, .dockerfile, .target] | join("\t")
    ' <<<"$COMPONENTS" 2>"$scratch/components" || die "$(sed 's/^jq: error[^:]*: //' "$scratch/components")" \
        "An example: [\"api\", {\"name\": \"web\", \"context\": \"web\", \"dockerfile\": \"web/Dockerfile\"}]"
}

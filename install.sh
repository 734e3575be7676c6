#!/bin/sh
# Installs `deploy` on a node: the binary, and the symlink that workflows call.
#
#     sh install.sh                    the newest release
#     sh install.sh --from FILE        a binary that was built or copied here
#     sh install.sh --help             the rest
#
# A release is a directory of files, on GitHub or behind --base-url:
#
#     deploy-<version>-<target>.tar.gz               holds the program `deploy`
#     deploy-<version>-<target>.tar.gz.sigstore.json the archive's build provenance
#     SHA256SUMS                                     as sha256sum writes it
#     install.sh                                     this file, with `repository`
#                                                    and `release` below filled in
#
# where <target> is x86_64-unknown-linux-musl or aarch64-unknown-linux-musl.
#
# It fetches a program and checks it. What changes the node is the program's own
# `deploy install`, which knows how to do it as root in a home that is not root's.

set -eu

# OWNER/NAME of the repository whose releases these are, and one release's tag.
repository=
release=

usage() {
    cat <<'TEXT'
Usage: sh install.sh [options]              install or upgrade
       sh install.sh --rollback [options]   go back to the program before
       sh install.sh --uninstall [options]  take it away again

From where (default: this script's release, else the newest):
  --from FILE        a deploy binary
  --release TAG      a release, such as v1.2.3
  --repository NAME  the GitHub repository, OWNER/NAME
  --base-url URL     a directory with a release's files, instead of GitHub's

To where:
  --prefix DIR       DIR/bin/deploy, completions and man page below DIR/share
                     (default: /usr/local)
  --link PATH        the symlink that workflows call
                     (default: /home/github-runner/deploy.sh)
  --user USER        the runner's user, whom /var/lib/deploy is to belong to
                     (default: the owner of the directory of PATH)
  --receive          set up `deploy receive` too: a user `deploy` that is to hold
                     the credentials and /var/lib/deploy, and systemd's units

  --dry-run          tell every step, take none
  --help             this text

What stands at PATH and is not ours is kept as PATH.before. /etc/deploy/deploy.toml
is written only where there is none. --uninstall leaves configuration, values files
and the journal.
TEXT
}

say() {
    printf '%s\n' "$*"
}

# Ends with what was seen and, after it, what to do.
die() {
    printf 'install.sh: %s\n' "$1" >&2
    shift
    for line in "$@"; do
        printf '    %s\n' "$line" >&2
    done
    exit 1
}

# Where a command line is wrong.
misused() {
    printf 'install.sh: %s\n\n' "$1" >&2
    usage >&2
    exit 2
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Makes $1 absolute against the directory that we were called in.
absolute() {
    case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s/%s\n' "${called_in%/}" "$1" ;;
    esac
}

# The part of a release's names that says for which machine it is.
target() {
    case $(uname -s)-$(uname -m) in
    Linux-x86_64 | Linux-amd64) printf 'x86_64-unknown-linux-musl\n' ;;
    Linux-aarch64 | Linux-arm64) printf 'aarch64-unknown-linux-musl\n' ;;
    *) die "there is no release for $(uname -s) on $(uname -m)" \
        "build it on such a machine and give the binary: --from FILE" ;;
    esac
}

# Gets the file $1 of the release. Only this machine itself may be asked without TLS.
fetch() {
    from_url=$url/$1
    case $url in
    *@*) die "$url names a user, which is not needed" "give it without" ;;
    https://*) safe=https ;;
    http://127.0.0.1:* | http://127.0.0.1/* | http://localhost:* | http://localhost/*) safe=http,https ;;
    *) die "$url is not https: what comes from there could be anyone's" "give an https URL" ;;
    esac
    # Not wget: it follows https to http, and busybox's checks no certificate.
    have curl || die "there is no curl to get $from_url" \
        "install curl, or copy a binary here and give it: --from FILE"
    curl --fail --silent --show-error --location --proto "=$safe" --connect-timeout 20 \
        --max-time 900 --retry 2 --output "$work/$1" "$from_url" 2>"$work/said"
}

# Whether this gh knows the roots that today's provenance is signed under; one
# that does not say its version is tried.
gh_is_new() {
    gh --version 2>/dev/null </dev/null | awk '
        $1 == "gh" && $2 == "version" {
            split($3, part, ".")
            exit !(part[1] > 2 || (part[1] == 2 && part[2] >= 56))
        }'
}

# Whether the archive $1 was built by the release workflow of its own tag: an older
# release under a new name is not. Where no `gh` can say, the checksum has to do.
prove() {
    if ! have gh; then
        say "gh is not here, so the build's provenance was not checked"
        return 0
    fi
    if ! gh_is_new; then
        say "gh is older than 2.56 and cannot check today's provenance, so it was not checked: upgrade gh to have it checked"
        return 0
    fi
    fetch "$1.sigstore.json" || die "cannot get $url/$1.sigstore.json: $(cat "$work/said")" \
        "without it nobody knows who built this; do not install it"
    gh attestation verify "$work/$1" --bundle "$work/$1.sigstore.json" --repo "$repository" \
        --cert-identity "https://github.com/$repository/.github/workflows/release.yml@refs/tags/v$number" \
        >"$work/said" 2>&1 </dev/null || die "$1 is not what its provenance says: $(cat "$work/said")" \
        "do not install it; tell the owners of $repository"
    say "its provenance is right: built by $repository for v$number"
}

# Gets a release and leaves its binary as $work/deploy.
download() {
    if [ -z "$url" ]; then
        [ -n "$repository" ] || die "this copy of install.sh belongs to no release" \
            "take the install.sh of a release, or say which: --repository OWNER/NAME" \
            "or give a binary: --from FILE"
        url=https://github.com/$repository/releases/latest/download
        [ -z "$release" ] || url=https://github.com/$repository/releases/download/$release
    fi
    if have gh && [ -z "$repository" ]; then
        die "whose release is at $url? Its provenance cannot be checked without that" \
            "name the repository that built it: --repository OWNER/NAME"
    fi
    target=$(target)
    fetch SHA256SUMS || die "cannot get $url/SHA256SUMS: $(cat "$work/said")" \
        "see that the release is there and that this machine may go there"
    # `sum  name` or `sum *name`; of the name only what cannot lead elsewhere.
    name=$(awk -v end="-$target.tar.gz" '
        NF == 2 { sub(/^\*/, "", $2) }
        NF == 2 && length($1) == 64 && $2 ~ /^deploy-[0-9A-Za-z.+_-]+$/ &&
            substr($2, length($2) - length(end) + 1) == end { print $2; count++ }
        END { exit count != 1 }' "$work/SHA256SUMS") ||
        die "$url/SHA256SUMS does not name one archive for $target" "take another release"
    number=${name#deploy-}
    number=${number%"-$target.tar.gz"}
    [ -z "$release" ] || [ "$release" = "v$number" ] || die "$url has $name, which is not of $release" \
        "do not install it: somebody put another release there"
    fetch "$name" || die "cannot get $url/$name: $(cat "$work/said")" "try again"
    expected=$(awk -v name="$name" '{ sub(/^\*/, "", $2) } $2 == name { print $1 }' "$work/SHA256SUMS")
    seen=$(sha256sum "$work/$name" | awk '{ print $1 }')
    [ "$seen" = "$expected" ] || die "$name is not whole: its SHA-256 is $seen," \
        "expected $expected" "try again; if it stays so, do not install it"
    say "got $url/$name; its checksum is right"
    prove "$name"
    mkdir "$work/archive"
    tar -xzf "$work/$name" -C "$work/archive" 2>"$work/said" ||
        die "$name cannot be unpacked: $(cat "$work/said")" "take another release"
    for file in "$work/archive/deploy" "$work/archive/${name%.tar.gz}/deploy"; do
        if [ -f "$file" ] && [ ! -L "$file" ]; then
            mv "$file" "$work/deploy"
            return 0
        fi
    done
    die "$name does not hold the program deploy" "take another release"
}

# Leaves the binary as $work/deploy, and what it says it is as $version.
get_binary() {
    if [ -n "$from" ]; then
        [ -f "$from" ] || die "there is no file $from" \
            "give the deploy binary: --from target/release/deploy"
        cp "$from" "$work/deploy" || die "cannot copy $from to $work" \
            "see that it can be read and that there is room"
        from_where=$from
    else
        download
        from_where=$name
    fi
    chmod 755 "$work/deploy"
    # An archive of another release under this one's name is not what was asked for.
    version=$("$work/deploy" --version 2>/dev/null </dev/null) || version=
    case $version in
    'deploy '*) ;;
    *) die "$from_where does not run here as deploy: --version said '$version'" \
        "give the deploy binary built for this machine" \
        "where programs cannot be run in ${TMPDIR:-/tmp}, set TMPDIR to a place where they can" ;;
    esac
    [ -z "$number" ] || [ "$version" = "deploy $number" ] || die "$from_where holds $version" \
        "do not install it: another release under this name"
}

# Whether the installed program $1 may be run: as root only one of root's, in
# directories of root's.
is_ours_to_run() {
    [ "$(id -u)" = 0 ] || return 0
    path=$1
    while :; do
        # shellcheck disable=SC2012 # one entry of a known name; POSIX has no stat
        [ "$(LC_ALL=C ls -ldn "$path" 2>/dev/null | awk '{ print $3 }')" = 0 ] || return 1
        [ "$path" != / ] || return 0
        path=${path%/*}
        path=${path:-/}
    done
}

# Lets the program that is installed do it; one that does not run any more is what
# --rollback is for, so the one before does.
hand_over() {
    for program in "$prefix/bin/deploy" "$prefix/bin/deploy.previous"; do
        if [ -f "$program" ] && is_ours_to_run "$program" &&
            "$program" install --help >/dev/null 2>&1 </dev/null; then
            "$program" install "$@"
            return
        fi
    done
    if [ "$action" = uninstall ] && ! [ -e "$prefix/bin/deploy" ]; then
        say "there is no $prefix/bin/deploy: nothing to take away"
        return
    fi
    die "there is no $prefix/bin/deploy that could do it" \
        "name where it was installed: --prefix DIR" "or install again, with the same options as then"
}

cleanup() {
    [ -z "$work" ] || rm -rf "$work"
}

main() {
    umask 022
    called_in=$(pwd)
    action=install
    from=
    url=
    prefix=/usr/local
    number=
    work=
    # What `deploy install` is called with: the arguments in turn, but for our own.
    count=$#
    while [ "$count" -gt 0 ]; do
        argument=$1
        shift
        count=$((count - 1))
        case $argument in
        --help | -h)
            usage
            exit 0
            ;;
        --dry-run | --receive) set -- "$@" "$argument" ;;
        --rollback | --uninstall)
            [ "$action" = install ] || misused "--rollback and --uninstall do not go together"
            action=${argument#--}
            set -- "$@" "$argument"
            ;;
        --from | --release | --repository | --base-url | --prefix | --link | --user)
            if [ "$count" = 0 ] || [ -z "$1" ]; then
                misused "$argument needs a value"
            fi
            value=$1
            shift
            count=$((count - 1))
            case $argument in
            --from) from=$(absolute "$value") ;;
            --release) release=$value ;;
            --repository) repository=$value ;;
            --base-url) url=${value%/} ;;
            --prefix)
                prefix=$(absolute "$value")
                prefix=${prefix%/}
                set -- "$@" "$argument" "$value"
                ;;
            *) set -- "$@" "$argument" "$value" ;;
            esac
            ;;
        *) misused "unknown argument '$argument'" ;;
        esac
    done
    if [ "$action" != install ]; then
        hand_over "$@"
        return
    fi
    trap cleanup EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    work=$(mktemp -d) || die "no private folder can be made" "see ${TMPDIR:-/tmp}"
    get_binary
    "$work/deploy" install --from "$work/deploy" "$@"
}

# In braces: a line that was cut must not run without its arguments.
{ main "$@"; }

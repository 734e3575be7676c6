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
# Every name appears by rename, so that a deploy that starts meanwhile finds the
# old one or the new one, never half of one, and so does whoever runs this again
# after it was killed. The script that stood at the link's name is kept.
#
# The runner's user can write in its home and we may be root: a symlink that it
# put there must not lead us to another place. `enter` sees to that, and -T
# keeps ln and mv from stepping into a directory that a name suddenly is.

set -eu

# OWNER/NAME of the repository whose releases these are, and one release's tag.
repository=
release=

usage() {
    cat <<'TEXT'
Usage: sh install.sh [options]              install or upgrade
       sh install.sh --rollback [options]   go back to the binary before
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

# Whether a step is to be taken; in a dry run it is told instead.
due() {
    [ "$dry_run" = yes ] || return 0
    say "would $1"
    return 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# One thing that `ls` tells of $1 itself, not of what it leads to.
listed() {
    # shellcheck disable=SC2012 # one entry of a known name; POSIX has no stat
    LC_ALL=C ls -ldin "$1" | {
        read -r its_inode its_mode _ its_owner its_group _
        case $2 in
        inode) printf '%s\n' "$its_inode" ;;
        mode) printf '%s\n' "$its_mode" ;;
        owner) printf '%s\n' "$its_owner" ;;
        owner:group) printf '%s:%s\n' "$its_owner" "$its_group" ;;
        esac
    }
}

# Whether both names are one file.
same_file() {
    [ -e "$1" ] && [ -e "$2" ] && [ "$(listed "$1" inode)" = "$(listed "$2" inode)" ]
}

# Whether only root can change the entries of the current directory.
is_roots() {
    case $(listed . mode) in
    ?????w* | ????????w*) return 1 ;;
    esac
    [ "$(listed . owner)" = 0 ]
}

# Goes to the absolute directory $1; with `make` after it, what is missing of it
# is made. As root, a component that someone else could have put there must be a
# directory, not a symlink. The shell then stands in the directory itself:
# swapping a name on the way changes nothing. Fails where a dry run cannot go on.
enter() {
    rest=${1#/}
    make=${2:-}
    cd /
    while [ -n "$rest" ]; do
        part=${rest%%/*}
        case $rest in
        */*) rest=${rest#*/} ;;
        *) rest= ;;
        esac
        [ -n "$part" ] || continue
        here=$(pwd -P)
        trusted=yes
        if [ "$(id -u)" = 0 ] && ! is_roots; then
            trusted=no
        fi
        if [ "$make" = make ] && ! [ -e "./$part" ] && ! [ -L "./$part" ]; then
            due "make ${here%/}/$part" || return 1
            mkdir "./$part" 2>/dev/null || die "cannot make ${here%/}/$part" \
                "run this as root, or name a place of your own (--help)"
        fi
        [ -d "./$part" ] || die "there is no directory ${here%/}/$part" \
            "make it first, or name another place (--help)"
        cd -P "./$part" 2>/dev/null || die "cannot enter ${here%/}/$part" \
            "run this as root, or name a place of your own (--help)"
        if [ "$trusted" = no ] && [ "$(pwd -P)" != "${here%/}/$part" ]; then
            die "${here%/}/$part is a symlink in a directory that others can write to" \
                "as root it is not followed: name the real directory instead"
        fi
    done
}

# Makes $1 absolute against the directory that we were called in.
absolute() {
    case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s/%s\n' "${called_in%/}" "$1" ;;
    esac
}

# The directory part of an absolute path.
parent() {
    directory=${1%/*}
    printf '%s\n' "${directory:-/}"
}

# Removes what a killed run began here under the name $1.
sweep() {
    for left in ./."$1".new.*; do
        if [ "$dry_run" = yes ] || ! { [ -e "$left" ] || [ -L "$left" ]; }; then
            continue
        fi
        if ! kill -0 "${left##*.}" 2>/dev/null; then
            rm -f "$left" 2>/dev/null || rmdir "$left" 2>/dev/null || :
        fi
    done
}

# Gives the file $1 the name $2 here, with mode $3.
put() {
    new=./.$2.new.$$
    cp "$1" "$new" 2>/dev/null || die "cannot write to $(pwd -P)" \
        "run this as root, see that there is room, or name a place of your own (--help)"
    chmod "$3" "$new"
    mv -f -T "$new" "$2"
    new=
}

# --- From where

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
    # Before anything is replaced: is it deploy, and does it run on this machine?
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

# --- To where

enter_bin() {
    enter "$prefix/bin" "${1:-}" || return 1
    case "$(id -u) $(listed . owner)" in
    '0 0') ;;
    '0 '*) die "$prefix/bin is not root's: its owner could put another program in place of deploy" \
        "install to a directory of root's (--prefix), or run this as its owner" ;;
    esac
    [ ! -d deploy ] || die "$prefix/bin/deploy is a directory, expected a program or nothing" \
        "move it away, or name another place with --prefix"
    sweep deploy
    sweep deploy.previous
}

# The binary before stays as deploy.previous, for --rollback.
install_binary() {
    if ! enter_bin make; then
        say "would install $prefix/bin/deploy ($version)"
        return 0
    fi
    if [ -f deploy ] && [ ! -L deploy ] && cmp -s "$work/deploy" deploy; then
        say "$prefix/bin/deploy is this one already ($version)"
        return 0
    fi
    if [ -f deploy ] && ! same_file deploy deploy.previous; then
        if due "keep the present $prefix/bin/deploy as deploy.previous"; then
            new=./.deploy.previous.new.$$
            ln -T deploy "$new" || die "cannot write to $prefix/bin" "run this as root (--help)"
            mv -f -T "$new" deploy.previous
            new=
        fi
    fi
    if due "install $prefix/bin/deploy ($version)"; then
        put "$work/deploy" deploy 755
        say "installed $prefix/bin/deploy ($version)"
    fi
}

# One rename, and the same again once it is done: a second --rollback must not
# go forward to what was not wanted.
roll_back() {
    enter_bin || exit 1
    if ! [ -f deploy.previous ] || ! [ -f deploy ]; then
        die "there is no $prefix/bin/deploy.previous to go back to" \
            "install the version that is wanted: --release TAG or --from FILE"
    fi
    version=$(./deploy.previous --version 2>/dev/null </dev/null) || version=
    case $version in
    'deploy '*) ;;
    *) die "$prefix/bin/deploy.previous does not run here as deploy" \
        "install the version that is wanted: --release TAG or --from FILE" ;;
    esac
    if same_file deploy deploy.previous || cmp -s deploy deploy.previous; then
        say "$prefix/bin/deploy is the one before already ($version)"
        return 0
    fi
    due "go back to $version" || return 0
    new=./.deploy.new.$$
    ln -T deploy.previous "$new" || die "cannot write to $prefix/bin" "run this as root (--help)"
    mv -f -T "$new" deploy
    new=
    say "went back to $version"
}

# Writes what the installed binary prints for `deploy $1 $2` as $3 below
# $prefix/share. One that prints none is older than this script: no harm.
describe() {
    if ! "$prefix/bin/deploy" "$1" ${2:+"$2"} >"$work/printed" 2>/dev/null </dev/null; then
        say "$version has no '$1' to install"
        return 0
    fi
    enter "$prefix/share/$(parent "$3")" make || return 0
    sweep "${3##*/}"
    if [ -f "${3##*/}" ] && cmp -s "$work/printed" "${3##*/}"; then
        return 0
    fi
    if due "write $prefix/share/$3"; then
        put "$work/printed" "${3##*/}" 644
        say "wrote $prefix/share/$3"
    fi
}

# Completions and man page, below $prefix/share: kind, shell, where.
documents() {
    cat <<'TEXT'
completions bash bash-completion/completions/deploy
completions zsh zsh/site-functions/_deploy
completions fish fish/vendor_completions.d/deploy.fish
man - man/man1/deploy.1
TEXT
}

install_documents() {
    if [ "$dry_run" = yes ]; then
        documents | while read -r kind shell path; do
            say "would write $prefix/share/$path"
        done
        return 0
    fi
    documents >"$work/documents"
    while read -r kind shell path; do
        describe "$kind" "${shell#-}" "$path"
    done <"$work/documents"
}

# Finds out whom the state directory is to belong to, or ends.
find_user() {
    if [ "$(id -u)" != 0 ]; then
        owner=$(id -u):$(id -g)
    elif [ -n "$user" ] && [ -z "${user##*[!0-9]*}" ]; then
        owner=$(id -u "$user" 2>/dev/null):$(id -g "$user" 2>/dev/null) || owner=
        [ -n "$owner" ] || die "there is no user $user" "name the user that runs the runner: --user USER"
    elif [ -n "$user" ]; then
        # A number; whose it is need not be known here.
        owner=$user
    else
        owner=$(enter "$(parent "$link")" && listed . owner:group) || exit 1
        [ "${owner%%:*}" != 0 ] || die "$(parent "$link") belongs to root, so the runner's user is not known" \
            "name it: --user USER"
    fi
}

# Locks and journal lie there. Made under another name first: at its own it
# must never be seen as root's.
install_state() {
    if [ "$(id -u)" != 0 ]; then
        say "not root, so /var/lib/deploy was left out: deploy keeps its journal in ~/.local/state/deploy"
        return 0
    fi
    enter /var/lib make || return 0
    sweep deploy
    if [ -e deploy ] || [ -L deploy ]; then
        if [ "$(listed deploy owner)" != "${owner%%:*}" ]; then
            say "note: /var/lib/deploy belongs to user $(listed deploy owner), not to the runner's user ${owner%%:*}; it was left so"
        fi
        return 0
    fi
    if due "make /var/lib/deploy for user ${owner%%:*}"; then
        new=./.deploy.new.$$
        mkdir -m 700 "$new"
        chown "$owner" "$new"
        chmod 750 "$new"
        mv -T "$new" deploy
        new=
        say "made /var/lib/deploy for user ${owner%%:*}"
    fi
}

# What the file says, every key a comment: as it is, it changes nothing.
configuration() {
    cat <<'TEXT'
# What this node says of deploys. A signal says what; this says where and how.
# Every line is a comment, so that nothing differs from having no file at all;
# an unknown key is an error. docs/configuration.md lists all keys.

#[defaults]
#timeout    = "10m"         # one budget for the whole deploy
#on_failure = "rollback"    # or "keep"
#owners     = ["ORG"]       # GHCR owners that are trusted; else the chart's owner
#helm       = "/usr/local/bin/helm"
#kubeconfig = "/etc/rancher/k3s/k3s.yaml"

#[env]                      # given to helm and to the registry client
#HTTPS_PROXY = "http://proxy:3128"

# As soon as one app is listed, only listed apps may deploy.
#[apps.pytoya]
#namespace = "prod"         # else the app's name
#release   = "pytoya"       # else the app's name
#chart     = "oci://ghcr.io/ORG/charts/pytoya"   # no other chart may be used
#values    = ["pytoya.values.yaml"]              # relative to this file
TEXT
}

install_configuration() {
    if [ "$(id -u)" != 0 ]; then
        say "not root, so /etc/deploy/deploy.toml was left out: deploy.toml beside the script serves"
        return 0
    fi
    beside=$(parent "$link")/deploy.toml
    if [ -e "$beside" ] || [ -L "$beside" ]; then
        say "left $beside as it is: one in /etc/deploy would take its place"
        return 0
    fi
    if ! enter /etc/deploy make; then
        say "would write /etc/deploy/deploy.toml"
        return 0
    fi
    sweep deploy.toml
    if [ -e deploy.toml ] || [ -L deploy.toml ]; then
        return 0
    fi
    if due "write /etc/deploy/deploy.toml"; then
        configuration >"$work/deploy.toml"
        put "$work/deploy.toml" deploy.toml 644
        say "wrote /etc/deploy/deploy.toml: all comments, for a start"
    fi
}

# Keeps what stands at the link's name, unless it is ours. It is given a second
# name first, so that the old script can be called until the rename.
keep_old() {
    [ -e "$name" ] || [ -L "$name" ] || return 0
    points_to=
    if [ -L "$name" ]; then
        points_to=$(readlink "$name")
    elif [ ! -f "$name" ]; then
        die "$link is neither a file nor a symlink" \
            "move it away, or name another place with --link"
    fi
    kept=$name.before
    count=1
    while [ -e "$kept" ] || [ -L "$kept" ]; do
        # A run that was killed has kept it already.
        if [ -n "$points_to" ] && [ -L "$kept" ] && [ "$(readlink "$kept")" = "$points_to" ]; then
            return 0
        elif [ -z "$points_to" ] && [ ! -L "$kept" ] && same_file "$name" "$kept"; then
            return 0
        fi
        count=$((count + 1))
        kept=$name.before.$count
    done
    due "keep what is $link as ${link%/*}/$kept" || return 0
    if [ -n "$points_to" ]; then
        ln -s -T "$points_to" "$kept"
    else
        # Neither GNU's ln nor busybox's follows a symlink here.
        ln -T "$name" "$kept"
    fi
    say "kept what was $link as ${link%/*}/$kept"
}

# Whether the link is there and leads to our binary.
is_ours() {
    [ -L "$name" ] && [ "$(readlink "$name")" = "$prefix/bin/deploy" ]
}

install_link() {
    enter "$(parent "$link")" || exit 1
    name=${link##*/}
    [ ! -d "$name" ] || [ -L "$name" ] || die "$link is a directory, expected a script or nothing" \
        "move it away, or name another place with --link"
    sweep "$name"
    if is_ours; then
        say "$link leads to it already"
        return 0
    fi
    keep_old
    due "link $link -> $prefix/bin/deploy" || return 0
    begun=./.$name.new.$$
    ln -s -T "$prefix/bin/deploy" "$begun" 2>/dev/null || die "cannot write to $(parent "$link")" \
        "run this as root, or name a place of your own with --link"
    new=$begun
    # busybox's mv takes a symlink to a directory for one; nobody calls such a script.
    [ ! -d "$name" ] || rm -f "$name"
    mv -f -T "$new" "$name"
    new=
    say "linked $link -> $prefix/bin/deploy"
}

# Removes the name $1 of the current directory.
take_away() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        if due "remove $(pwd -P)/$1"; then
            rm -f "$1" || die "cannot remove $(pwd -P)/$1" "run this as root"
            say "removed $(pwd -P)/$1"
        fi
    fi
}

# The link first: at no time does it lead nowhere.
uninstall() {
    if [ -d "$(parent "$link")" ]; then
        enter "$(parent "$link")" || exit 1
        name=${link##*/}
        sweep "$name"
        if is_ours; then
            take_away "$name"
        elif [ -e "$name" ] || [ -L "$name" ]; then
            say "left $link: it is not ours"
        fi
        for kept in "$name".before*; do
            if [ -e "$kept" ] || [ -L "$kept" ]; then
                say "what was $link before is ${link%/*}/$kept"
            fi
        done
    fi
    documents | while read -r _ _ path; do
        if [ -d "$prefix/share/$(parent "$path")" ]; then
            enter "$prefix/share/$(parent "$path")"
            sweep "${path##*/}"
            take_away "${path##*/}"
        fi
    done
    if [ -d "$prefix/bin" ]; then
        enter_bin
        take_away deploy
        take_away deploy.previous
    fi
    say "left: /etc/deploy, values files, and /var/lib/deploy with the journal"
}

# What was begun and not renamed goes; the shell still stands beside it.
cleanup() {
    if [ -n "$new" ]; then
        rm -f "$new" 2>/dev/null || rmdir "$new" 2>/dev/null || :
    fi
    [ -z "$work" ] || rm -rf "$work"
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h)
            usage
            exit 0
            ;;
        --dry-run) dry_run=yes ;;
        --rollback | --uninstall)
            [ "$action" = install ] || misused "--rollback and --uninstall do not go together"
            action=${1#--}
            ;;
        --from | --release | --repository | --base-url | --prefix | --link | --user)
            if [ $# -lt 2 ] || [ -z "$2" ]; then
                misused "$1 needs a value"
            fi
            case $1 in
            --from) from=$2 ;;
            --release) release=$2 ;;
            --repository) repository=$2 ;;
            --base-url) url=${2%/} ;;
            --prefix) prefix=$2 ;;
            --link) link=$2 ;;
            --user) user=$2 ;;
            esac
            shift
            ;;
        *) misused "unknown argument '$1'" ;;
        esac
        shift
    done
    case $link in
    */ | . | .. | */. | */..) misused "--link wants the path of a script, not of a directory: '$link'" ;;
    esac
}

main() {
    umask 022
    called_in=$(pwd)
    action=install
    dry_run=no
    from=
    url=
    user=
    prefix=/usr/local
    link=/home/github-runner/deploy.sh
    number=
    new=
    work=
    parse "$@"
    [ -z "$from" ] || from=$(absolute "$from")
    prefix=$(absolute "$prefix")
    prefix=${prefix%/}
    link=$(absolute "$link")

    trap cleanup EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ "$action" = uninstall ]; then
        uninstall
        return 0
    fi
    work=$(mktemp -d) || die "no private folder can be made" "see ${TMPDIR:-/tmp}"
    if [ "$action" = rollback ]; then
        roll_back
        install_documents
        return 0
    fi
    # Looked at first: nothing is installed that could not be linked.
    (enter "$(parent "$link")")
    find_user
    get_binary
    install_binary
    install_documents
    install_state
    install_configuration
    install_link
    [ "$dry_run" = yes ] || say "try it: $link doctor"
}

# In braces: a line that was cut must not run without its arguments.
{ main "$@"; }

#!/bin/sh
# Installs `deploy` on a node: the binary, and the symlink that workflows call.
#
#     ./install.sh --from FILE [--prefix DIR] [--link PATH]
#
# It changes two names and nothing else: DIR/bin/deploy and PATH. Both appear
# by rename, so that a deploy that starts meanwhile finds the old one or the new
# one, never half of one. A script that stood at PATH is kept beside it.
#
# The runner's user can write in its home and we may be root: a symlink that it
# put there must not lead us to another place. `enter` sees to that, and -T
# keeps ln and mv from stepping into a directory that a name suddenly is.

set -eu

usage() {
    cat <<'TEXT'
Usage: ./install.sh --from FILE [--prefix DIR] [--link PATH]

  --from FILE    the deploy binary to install
  --prefix DIR   it goes to DIR/bin/deploy           (default: /usr/local)
  --link PATH    the symlink that workflows call     (default: /home/github-runner/deploy.sh)
  --help         this text

A file at PATH that is not ours is kept as PATH.before.
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

# Mode and owner of the current directory: `drwxr-xr-x 0`.
mode_and_owner() {
    # shellcheck disable=SC2012 # one entry of a known name; POSIX has no stat
    LC_ALL=C ls -ldn . | awk '{ print $1, $3 }'
}

# Whether only root can change the entries of the current directory.
is_roots() {
    case $(mode_and_owner) in
    ?????w*' '* | ????????w*' '*) return 1 ;;
    *' 0') return 0 ;;
    *) return 1 ;;
    esac
}

# Goes to the absolute directory $1; with `make` after it, what is missing of it
# is made. As root, a component that someone else could have put there must be a
# directory, not a symlink. The shell then stands in the directory itself:
# swapping a name on the way changes nothing.
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

install_binary() {
    [ -f "$from" ] || die "there is no file $from" \
        "give the deploy binary: --from target/release/deploy"
    enter "$prefix/bin" make
    case "$(id -u) $(mode_and_owner)" in
    '0 '*' 0') ;;
    '0 '*) die "$prefix/bin is not root's: its owner could put another program in place of deploy" \
        "install to a directory of root's (--prefix), or run this as its owner" ;;
    esac
    [ ! -d deploy ] || die "$prefix/bin/deploy is a directory, expected a program or nothing" \
        "move it away, or name another place with --prefix"
    new=$(mktemp ./.deploy.new.XXXXXX 2>/dev/null) || die "cannot write to $prefix/bin" \
        "run this as root, or name a place of your own with --prefix"
    cp "$from" "$new" || die "cannot copy $from to $prefix/bin" \
        "see that it can be read and that there is room"
    chmod 755 "$new"
    # Before anything is replaced: is it deploy, and does it run on this machine?
    version=$("$new" --version 2>/dev/null </dev/null) || version=
    case $version in
    'deploy '*) ;;
    *) die "$from does not run here as deploy: --version said '$version'" \
        "give the deploy binary built for this machine" ;;
    esac
    mv -f -T "$new" deploy
    new=
    say "installed $prefix/bin/deploy ($version)"
}

# Keeps what stands at the link's name, unless it is ours. It is given a second
# name first, so that the old script can be called until the rename.
keep_old() {
    [ -e "$name" ] || [ -L "$name" ] || return 0
    if [ -L "$name" ]; then
        points_to=$(readlink "$name")
        [ "$points_to" != "$prefix/bin/deploy" ] || return 0
    elif [ ! -f "$name" ]; then
        die "$link is neither a file nor a symlink" \
            "move it away, or name another place with --link"
    fi
    kept=$name.before
    count=1
    while [ -e "$kept" ] || [ -L "$kept" ]; do
        count=$((count + 1))
        kept=$name.before.$count
    done
    if [ -L "$name" ]; then
        ln -s -T "$points_to" "$kept"
    else
        # Neither GNU's ln nor busybox's follows a symlink here.
        ln -T "$name" "$kept"
    fi
    say "kept what was $link as ${link%/*}/$kept"
}

install_link() {
    enter "$(parent "$link")"
    name=${link##*/}
    [ ! -d "$name" ] || [ -L "$name" ] || die "$link is a directory, expected a script or nothing" \
        "move it away, or name another place with --link"
    keep_old
    begun=./.$name.new.$$
    ln -s -T "$prefix/bin/deploy" "$begun" 2>/dev/null || die "cannot write to $(parent "$link")" \
        "run this as root, or name a place of your own with --link"
    new=$begun
    mv -f -T "$new" "$name"
    new=
    say "linked $link -> $prefix/bin/deploy"
}

# What was begun and not renamed goes; the shell still stands beside it.
cleanup() {
    [ -z "$new" ] || rm -f "$new"
}

main() {
    umask 022
    called_in=$(pwd)
    from=
    prefix=/usr/local
    link=/home/github-runner/deploy.sh
    new=
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h)
            usage
            exit 0
            ;;
        --from | --prefix | --link)
            if [ $# -lt 2 ] || [ -z "$2" ]; then
                misused "$1 needs a value"
            fi
            case $1 in
            --from) from=$2 ;;
            --prefix) prefix=$2 ;;
            --link) link=$2 ;;
            esac
            shift 2
            ;;
        *) misused "unknown argument '$1'" ;;
        esac
    done
    [ -n "$from" ] || misused "--from FILE is needed: the deploy binary to install"
    case $link in
    */ | . | .. | */. | */..) misused "--link wants the path of a script, not of a directory: '$link'" ;;
    esac
    from=$(absolute "$from")
    prefix=$(absolute "$prefix")
    prefix=${prefix%/}
    link=$(absolute "$link")

    trap cleanup EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # Looked at first: nothing is installed that could not be linked.
    (enter "$(parent "$link")")
    install_binary
    install_link
    say "try it: $link --help"
}

main "$@"

#!/usr/bin/env bash
# Runs commands as the README and the pages of docs/ show them:
#
#     bash .ci/readme.sh NAME
#
# runs the block after `<!-- ci: NAME -->`. `install` changes names outside of
# the tree, so it gets a mount namespace in which those are scratch folders.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Prints the block's commands.
block() {
    awk -v marker="<!-- ci: $1 -->" '
        $0 == marker { wanted = 1; next }
        wanted && /^```sh$/ { inside = 1; next }
        inside && /^```$/ { exit }
        inside { print }
    ' README.md docs/*.md
}

# Scratch folders over what install.sh writes to, for us alone; other homes and
# the rest of /etc stay visible.
scratch() {
    mount -t tmpfs tmpfs /mnt
    mkdir /mnt/home
    mount --rbind /home /mnt/home
    mount -t tmpfs -o mode=755 tmpfs /home
    local home
    for home in /mnt/home/*/; do
        if [ ! -d "$home" ] || [ "$home" = /mnt/home/github-runner/ ]; then
            continue
        fi
        mkdir "/home/$(basename "$home")"
        mount --rbind "$home" "/home/$(basename "$home")"
    done
    mount -t tmpfs -o mode=755 tmpfs /usr/local/bin
    mount -t tmpfs -o mode=755 tmpfs /usr/local/share
    mount -t tmpfs -o mode=755 tmpfs /var/lib
    mkdir /mnt/etc /mnt/etc.work
    mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/etc,workdir=/mnt/etc.work /etc
    # The runner's home, owned by a user that need not exist here.
    mkdir /home/github-runner
    chown 1001:1001 /home/github-runner
    # The tree may lie under a path that was covered.
    cd "$PWD"
}

case $1 in
--in-scratch)
    shift
    scratch
    ;;
install)
    exec unshare --mount --propagation private bash .ci/readme.sh --in-scratch install
    ;;
esac

commands=$(block "$1")
if [ -z "$commands" ]; then
    printf 'no page has a block marked <!-- ci: %s -->\n' "$1" >&2
    exit 1
fi
printf '%s\n' "$commands" | sed 's/^/$ /'
exec bash -euo pipefail -c "$commands"

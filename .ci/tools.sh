# shellcheck shell=bash
# The checkers that .ci/run calls, and the cache that they and the build keep.
# Sourced, never run. Each tool is pinned; its folder is named after its version
# and appears by rename, so that a killed run leaves nothing that looks whole.

actionlint_version=1.7.12
cargo_deny_version=0.20.2
# 1.14.0 needs Rust 1.98.
cargo_shear_version=1.9.1
mdbook_version=0.5.4
zizmor_version=1.32.0
# From Debian: the release's own version is the pin.
shellcheck_version=debian-12

cache=${XDG_CACHE_HOME:-$HOME/.cache}/deploy-ci
# Symlinks to the tools, under their plain names.
tools=$cache/bin

# get NAME VERSION PROGRAM FUNCTION: makes $cache/NAME-VERSION by calling
# FUNCTION with a fresh folder, where it is not there yet; PROGRAM is the path
# of the tool inside.
get() {
    local name=$1 home=$cache/$1-$2 program=$3 make=$4 fresh
    if [ ! -x "$home/$program" ]; then
        mkdir -p "$cache"
        find "$cache" -maxdepth 1 -name '.new.*' -mmin +120 -exec rm -rf {} +
        fresh=$(mktemp -d "$cache/.new.XXXXXX")
        "$make" "$fresh"
        rm -rf "$home"
        mv -T "$fresh" "$home"
    fi
    mkdir -p "$tools"
    ln -sfnT "$home/$program" "$tools/$name"
    # Other versions of it are of no more use.
    find "$cache" -maxdepth 1 -name "$name-[0-9d]*" ! -path "$home" -exec rm -rf {} +
}

make_shellcheck() {
    local package=$1/package
    mkdir "$package"
    # A bare machine has no package lists yet.
    (cd "$package" && apt-get download shellcheck) ||
        (apt-get update && cd "$package" && apt-get download shellcheck)
    dpkg -x "$package"/shellcheck_*.deb "$1"
    rm -r "$package"
}

make_actionlint() {
    GOBIN=$1 GOFLAGS=-buildvcs=false go install "github.com/rhysd/actionlint/cmd/actionlint@v$actionlint_version"
}

make_zizmor() {
    python3 -m pip install --quiet --target "$1" "zizmor==$zizmor_version"
}

# from_crates NAME VERSION FOLDER [OPTION…]: builds a tool from source.
from_crates() {
    cargo install "$1" --quiet --locked --version "$2" --root "$3" --target-dir "$3/build" "${@:4}"
    rm -rf "$3/build"
}

# About five minutes.
make_cargo_deny() {
    from_crates cargo-deny "$cargo_deny_version" "$1"
}

# About two minutes.
make_cargo_shear() {
    from_crates cargo-shear "$cargo_shear_version" "$1"
}

# About two minutes.
make_mdbook() {
    from_crates mdbook "$mdbook_version" "$1" --no-default-features --features search
}

get_tools() {
    get shellcheck "$shellcheck_version" usr/bin/shellcheck make_shellcheck
    get actionlint "$actionlint_version" actionlint make_actionlint
    get zizmor "$zizmor_version" bin/zizmor make_zizmor
}

get_cargo_deny() {
    get cargo-deny "$cargo_deny_version" bin/cargo-deny make_cargo_deny
}

get_cargo_shear() {
    get cargo-shear "$cargo_shear_version" bin/cargo-shear make_cargo_shear
}

get_mdbook() {
    get mdbook "$mdbook_version" bin/mdbook make_mdbook
}

# Where `target` leads while we run, if it is our symlink.
linked_target=

# A fresh clone builds into a folder outside of the tree, so that the next one
# finds the dependencies built. `target` becomes a symlink to it: every path
# that people know stays true. A `target` of the tree's own is used as it is.
use_target() {
    # A link into the cache is what a killed run left.
    if [ -L target ] && [[ $(readlink target) == "$cache"/target-* ]]; then
        rm target
    fi
    if [ -e target ] || [ -L target ]; then
        return 0
    fi
    local key
    key=$( (rustc --version --verbose; cat Cargo.lock) | sha256sum | cut -c1-16)
    linked_target=$cache/target-$key
    mkdir -p "$linked_target"
    touch "$linked_target"
    ln -snT "$linked_target" target
    # One that no run has used for a day belongs to an older Cargo.lock; one that
    # has grown past 20 GiB holds mostly what earlier clones left.
    find "$cache" -maxdepth 1 -name 'target-*' ! -path "$linked_target" -mmin +1440 -exec rm -rf {} +
    if [ "$(du -sm "$linked_target" | cut -f1)" -gt 20480 ]; then
        find "$linked_target" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    fi
}

# Takes the symlink out again; the cache stays.
drop_target() {
    if [ -n "$linked_target" ]; then
        rm -f target
    fi
}

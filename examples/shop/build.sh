#!/bin/sh
# Compiles the three programs for their images: static, without paths or dates,
# so that the same commit gives the same bytes.
set -eu
cd "$(dirname "$0")"
for program in api web worker; do
    CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$program/bin/$program" "./$program"
done

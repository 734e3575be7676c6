#!/bin/sh
# Compiles the three programs for their images: static, without paths or dates,
# so that the same commit gives the same bytes. For the machine that it runs on,
# or for the one that TARGETARCH names.
set -eu
cd "$(dirname "$0")"
for program in api web worker; do
    CGO_ENABLED=0 GOARCH=${TARGETARCH:-$(go env GOARCH)} go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$program/bin/$program" "./$program"
done

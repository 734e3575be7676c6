#!/usr/bin/env bash
# Makes the site of the README and docs/:
#
#     bash docs/site.sh [FOLDER]
#
# in FOLDER, target/site by default. The pages are written for GitHub: a link that
# leaves them leads there from the site (GITHUB_REPOSITORY, else ORG/deploy). Needs
# the mdbook that .ci/tools.sh gets. Fails on a link that leads nowhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=.ci/tools.sh
source .ci/tools.sh

site=$(realpath --canonicalize-missing "${1:-target/site}")
there=https://github.com/${GITHUB_REPOSITORY:-ORG/deploy}/blob/main
book=$(mktemp -d)
trap 'rm -rf "$book"' EXIT

mkdir "$book/src"
cp docs/book.toml docs/site.css "$book/"
cp docs/*.md docs/*.svg docs/*.png docs/*.json "$book/src/"
cp README.md CHANGELOG.md CONTRIBUTING.md "$book/src/"
for page in README CHANGELOG CONTRIBUTING; do
    sed -i -E \
        -e "s#\]\((LICENSE|SECURITY\.md|examples/|\.github/|src/|tests/)#](${there}/\1#g" \
        -e 's#\]\(docs/#](#g' "$book/src/$page.md"
done
# mdBook makes the first page of an index.md, and links to it are to lead there.
mv "$book/src/README.md" "$book/src/index.md"
sed -i -E \
    -e 's#\]\((\.\./)?README\.md#](index.md#g' \
    -e 's#\]\(\.\./(CHANGELOG|CONTRIBUTING)\.md#](\1.md#g' \
    -e "s#\]\(\.\./#](${there}/#g" "$book/src/"*.md

rm -rf "$site"
"$tools/mdbook" build --dest-dir "$site" "$book"

# Every address of the site's own, in every page.
bad=0
while IFS= read -r found; do
    page=${found%%:*}
    address=${found#*:}
    address=${address#*=\"}
    address=${address%\"}
    address=${address%%#*}
    case $address in
    '' | http:* | https:* | data:* | mailto:* | /*) continue ;;
    esac
    if [ ! -e "$(dirname "$page")/$address" ]; then
        printf '%s leads to %s, which is not there\n' "${page#"$site"/}" "$address" >&2
        bad=1
    fi
done < <(grep --recursive --include='*.html' --only-matching -E '(href|src)="[^"]*"' "$site" | sort -u)
[ "$bad" = 0 ]
printf 'the site is in %s: %s pages, %s\n' "$site" \
    "$(find "$site" -name '*.html' | wc -l)" "$(du -sh "$site" | cut -f1)"

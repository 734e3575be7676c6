#!/usr/bin/env bash
# Makes the README's pictures anew, from what a failing deploy on the testbed
# says:
#
#     bash docs/pictures.sh
#
# The terminal's is drawn from its text by the test itself; the summary is shown
# in Chromium (Debian: chromium, fonts-noto-color-emoji) in about the style of
# GitHub's pages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT

DEPLOY_TEST_PAGES=$pages cargo test --test it -- report::actions::a_failing_rollout
cp "$pages/failed.svg" docs/failed-terminal.svg

{
    cat <<'HTML'
<!DOCTYPE html><meta charset="utf-8"><style>
body { margin: 24px; width: 852px; color: #1f2328; font: 14px/1.5 "DejaVu Sans", "Noto Color Emoji", sans-serif }
code, pre { font: 12px/1.45 "DejaVu Sans Mono", monospace; background: #eff1f3; border-radius: 6px }
code { padding: 2px 5px; overflow-wrap: anywhere } pre { padding: 12px; white-space: pre-wrap; overflow-wrap: anywhere } pre code { padding: 0 }
h3 { font-size: 18px; margin: 0 0 12px } table { border-collapse: collapse; margin: 12px 0 } td, th { border: 1px solid #d1d9e0; padding: 5px 12px; vertical-align: top }
blockquote { margin: 0 0 12px; padding-left: 12px; border-left: 4px solid #d1d9e0 } blockquote code { background: none; padding: 0 }
ul { margin: 0; padding-left: 24px } p { margin: 0 0 4px }
.annotation { border: 1px solid #d1d9e0; border-left: 4px solid #cf222e; border-radius: 6px; padding: 10px 14px; margin-bottom: 24px; white-space: pre-wrap; overflow-wrap: anywhere }
</style>
HTML
    cat "$pages/failed.html"
} >"$pages/page.html"
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=900,860 \
    --screenshot="$PWD/docs/failed-summary.png" "file://$pages/page.html"

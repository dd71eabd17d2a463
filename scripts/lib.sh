# Shared by the scripts beside it (sourced, never run). Sets ROOT and PATH; phases with times; nothing else.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TOOLS=$ROOT/.headrace/tools
export LC_ALL=C.UTF-8

# Sanitizer and compiler programs of Debian are in /usr/bin, servers in /usr/sbin.
case ":$PATH:" in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/sbin:/sbin ;; esac

has() { command -v "$1" >/dev/null 2>&1; }

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# True when `node` on PATH can run our tool-chain (Vite 8 asks for 20.19).
node_is_new() {
    has node && has npm && node -e 'const [a, b] = process.versions.node.split(".").map(Number);
        process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

# The pinned Node of .headrace/tools goes first when the machine's own is too old.
use_tools() {
    local dir
    for dir in "$TOOLS"/node_modules/node-linux-*/bin; do
        if [ -x "$dir/node" ] && ! node_is_new; then
            PATH=$dir:$TOOLS/node_modules/.bin:$PATH
        fi
    done
    export PATH
}

# phase NAME command…: quiet when it works, with its time; the whole output when it fails.
phase() {
    local name=$1 log start=$EPOCHREALTIME rc=0
    shift
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || rc=$?
    if [ "$rc" != 0 ]; then
        cat "$log" >&2
        rm -f "$log"
        die "$name failed (exit code $rc)"
    fi
    rm -f "$log"
    seconds_since "$start"
    [ "${QUIET_BELOW:-0}" != 0 ] && [ "${SECONDS_TAKEN%.*}" -lt "$QUIET_BELOW" ] || printf '  %-34s %6s s\n' "$name" "$SECONDS_TAKEN" >&2
}

# SECONDS_TAKEN = seconds since the EPOCHREALTIME value $1, one decimal.
seconds_since() {
    local now=${EPOCHREALTIME/[.,]/} then=${1/[.,]/} tenths
    tenths=$(((now - then) / 100000))
    SECONDS_TAKEN=$((tenths / 10)).$((tenths % 10))
}

# stale STAMP FILE…: true when the content of the files is not what it was at `fresh STAMP FILE…`.
stale() {
    local stamp=$1
    shift
    [ ! -f "$stamp" ] || [ "$(cat "$@" | sha256sum)" != "$(cat "$stamp")" ]
}
fresh() {
    local stamp=$1
    shift
    cat "$@" | sha256sum >"$stamp"
}

# build_program PRESET TARGET…: configures when needed and builds; `headrace` alone needs no test libraries.
build_program() {
    local preset=$1 tests=ON
    shift
    [ "$*" != headrace ] || tests=OFF
    phase "configure $preset" cmake --preset "$preset" -DHEADRACE_TESTS=$tests
    # Through the preset: its environment lets ccache share objects between checkouts.
    phase "build $preset" cmake --build --preset "$preset" -j "$(nproc)" ${1:+--target} "$@"
}

# The page into web/dist, when its sources are not those of the last time.
build_page() {
    local stamp=web/dist/.headrace-sources sources
    mapfile -t sources < <(find web api -path web/node_modules -prune -o -path web/dist -prune -o -type f -print | sort)
    if stale "$stamp" "${sources[@]}"; then
        phase "build the page" npm --prefix web run build
        fresh "$stamp" "${sources[@]}"
    fi
}

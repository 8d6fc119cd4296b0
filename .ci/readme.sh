# Runs the README as a newcomer would: the commands are cut out of it and nothing is repeated here.
# A line `<!-- ci:NAME -->` names the fenced block that follows it.
# Sourced by .ci/run from the root of the repository.

README=README.md
TOUR=(insert query update)
DATA_DIRECTORY=examples/data
SCRATCH=$(mktemp -d)
NODE=

# Prints the block NAME of the README.
block() {
    local text
    text=$(awk -v mark="<!-- ci:$1 -->" '
        $0 == mark { named = 1; next }
        named && /^```/ { if (inside) exit; inside = 1; next }
        named && inside { print }
    ' "$README")
    if [[ -z $text ]]; then
        echo "$README has no block ci:$1" >&2
        return 1
    fi
    printf '%s\n' "$text"
}

# Runs the block NAME as it is written.
run_block() {
    local text
    text=$(block "$1")
    printf '$ %s\n' "$text"
    bash -euo pipefail -c "$text"
}

# Runs the block NAME and compares what it prints with the block NAME-answer.
run_and_compare() {
    local text
    text=$(block "$1")
    printf '$ %s\n' "$text"
    # An answer has no line break at its end, a block has.
    { bash -euo pipefail -c "$text" && echo; } > "$SCRATCH/answer"
    diff -u <(block "$1-answer") "$SCRATCH/answer"
}

# Starts the node with the README's first command and waits for the line that says it listens.
start_node() {
    local text
    text=$(block start)
    printf '$ %s\n' "$text"
    # `exec` makes the node the process that we know by its number, because cargo replaces itself with it.
    : > "$SCRATCH/node.log"
    bash -euo pipefail -c "exec $text" >> "$SCRATCH/node.log" 2>&1 &
    NODE=$!
    # `tail --pid` ends with the node, so a node that cannot start ends the wait.
    if ! grep -q -m 1 '^listening on' < <(tail -n +1 -f --pid="$NODE" "$SCRATCH/node.log"); then
        cat "$SCRATCH/node.log" >&2
        echo "the node did not start" >&2
        return 1
    fi
}

stop_node() {
    if [[ -n $NODE ]] && kill -0 "$NODE" 2> /dev/null; then
        kill "$NODE"
        wait "$NODE" || true
    fi
    NODE=
}

finish() {
    stop_node
    rm -rf "$SCRATCH"
}
trap finish EXIT

# The README kills the node by its name. Here that name stands only for the node that we started.
shadow_pidof() {
    mkdir -p "$SCRATCH/bin"
    printf '#!/bin/sh\ncat "%s/node.pid"\n' "$SCRATCH" > "$SCRATCH/bin/pidof"
    chmod +x "$SCRATCH/bin/pidof"
    PATH="$SCRATCH/bin:$PATH"
}

run_tour() {
    local name
    if [[ -e $DATA_DIRECTORY ]]; then
        echo "$DATA_DIRECTORY exists: the tour needs a fresh node, so move it away first" >&2
        return 1
    fi
    shadow_pidof
    start_node
    for name in "${TOUR[@]}"; do
        run_and_compare "$name"
    done
    echo "$NODE" > "$SCRATCH/node.pid"
    run_block crash
    wait "$NODE" 2> /dev/null || true
    start_node
    run_and_compare after-crash
    stop_node
    rm -rf "$DATA_DIRECTORY"
}

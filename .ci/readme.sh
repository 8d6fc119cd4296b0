# Runs the README as a newcomer would: the commands are cut out of it and nothing is repeated here.
# A line `<!-- ci:NAME -->` names the fenced block that follows it.
# Sourced by .ci/run from the root of the repository.

README=README.md
TOUR=(insert query update)
DATA_DIRECTORY=examples/data
MESH=examples/two-nodes
# Longest wait for a node to start, and for an answer that another node must bring.
WAIT_SECONDS=30
SCRATCH=$(mktemp -d)
NODE=
# Not empty while the second tour has made files, which are then ours to remove.
OWNS_MESH=

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

# Ends the nodes of the second tour and removes what they made.
clear_mesh() {
    local file
    for file in "$MESH"/*.pid; do
        [[ ! -e $file ]] || kill -9 "$(cat "$file")" 2> /dev/null || true
    done
    rm -rf "$MESH"/data-* "$MESH"/*.key "$MESH"/*.log "$MESH"/*.pid
}

finish() {
    stop_node
    if [[ -n $OWNS_MESH ]]; then clear_mesh; fi
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

# Runs the block NAME again and again until it prints the block NAME-answer.
run_until_right() {
    local text deadline=$((SECONDS + WAIT_SECONDS))
    text=$(block "$1")
    printf '$ %s\n' "$text"
    until { bash -euo pipefail -c "$text" && echo; } > "$SCRATCH/answer" &&
        cmp -s <(block "$1-answer") "$SCRATCH/answer"; do
        if ((SECONDS >= deadline)); then
            diff -u <(block "$1-answer") "$SCRATCH/answer"
            return 1
        fi
        sleep 0.05
    done
}

# Waits until a node of the second tour says that it is where it should be.
wait_for_mesh_node() {
    local log="$MESH/$1.log" deadline=$((SECONDS + WAIT_SECONDS))
    until grep -qs "^$2" "$log"; do
        if ((SECONDS >= deadline)); then
            cat "$log" >&2
            echo "$1 does not say $2" >&2
            return 1
        fi
        sleep 0.05
    done
}

start_mesh_node() {
    run_block "mesh-start-$1"
    wait_for_mesh_node "$1" 'listening on'
}

# Runs a block whose answer has numbers that no page can know, and looks for a text in it.
run_and_find() {
    local text
    text=$(block "$1")
    printf '$ %s\n' "$text"
    bash -euo pipefail -c "$text" > "$SCRATCH/answer"
    grep -qF "$2" "$SCRATCH/answer" || {
        cat "$SCRATCH/answer"
        echo "$1 does not say $2" >&2
        return 1
    }
}

run_mesh_tour() {
    local leftovers
    leftovers=$(find "$MESH" -name 'data-*' -o -name '*.key' -o -name '*.log' -o -name '*.pid')
    if [[ -n $leftovers ]]; then
        printf 'the tour needs a fresh mesh, so move these away first:\n%s\n' "$leftovers" >&2
        return 1
    fi
    OWNS_MESH=yes
    run_block mesh-key
    start_mesh_node north
    start_mesh_node south
    run_and_find mesh-insert '"mutatedDocumentIds":["soup"]'
    run_until_right mesh-read
    run_and_find mesh-south-alone '"mutatedDocumentIds":["soup"]'
    run_block mesh-south-dies
    start_mesh_node north
    run_and_find mesh-north-alone '"mutatedDocumentIds":["soup"]'
    start_mesh_node south
    run_until_right mesh-merged
    run_and_find mesh-watch '"deviceName":"south"'
    run_block mesh-stop
    wait_for_mesh_node north stopped
    wait_for_mesh_node south stopped
    run_block mesh-clear
    OWNS_MESH=
}

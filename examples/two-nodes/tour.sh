#!/usr/bin/env bash
# What the README's second tour does by hand, with a check after each step:
# two nodes, sync, edits on each while the other is dead by kill -9, and the merge.
# It takes the program from $TOMBOLO, or from target/release, or from target/debug.
# Everything happens in a directory of its own, which is removed at the end.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

NORTH=http://127.0.0.1:8081
SOUTH=http://127.0.0.1:8082
# Longest wait for an answer to become right.
WAIT_SECONDS=30

program() {
    local candidate
    for candidate in "${TOMBOLO:-}" "$here/../../target/release/tombolo" "$here/../../target/debug/tombolo"; do
        if [[ -x $candidate ]]; then
            echo "$candidate"
            return
        fi
    done
    echo "no program: build it with cargo build --release --bin tombolo, or set TOMBOLO" >&2
    return 1
}

tombolo=$(program)
scratch=$(mktemp -d)
declare -A node=()

finish() {
    local name
    for name in "${!node[@]}"; do
        kill "${node[$name]}" 2> /dev/null || true
        wait "${node[$name]}" 2> /dev/null || true
    done
    rm -rf "$scratch"
}
trap finish EXIT

fail() {
    local log
    echo "FAILED: $1" >&2
    for log in "$scratch"/*.log; do
        printf -- '-- %s\n' "$(basename "$log")" >&2
        cat "$log" >&2
    done
    exit 1
}

# start NAME: starts a node and waits until it answers.
start() {
    local name=$1 deadline=$((SECONDS + WAIT_SECONDS))
    : > "$scratch/$name.log"
    "$tombolo" run -c "$scratch/$name.yaml" >> "$scratch/$name.log" 2>&1 &
    node[$name]=$!
    until grep -q '^listening on' "$scratch/$name.log"; do
        kill -0 "${node[$name]}" 2> /dev/null || fail "$name did not start; are its ports free?"
        ((SECONDS < deadline)) || fail "$name does not listen"
        sleep 0.05
    done
    echo "$name is up"
}

# crash NAME: no chance to say goodbye.
crash() {
    kill -9 "${node[$1]}"
    wait "${node[$1]}" 2> /dev/null || true
    unset "node[$1]"
    mv "$scratch/$1.log" "$scratch/$1-before.log"
    echo "$1 was killed"
}

# stop NAME: in good order, which must succeed.
stop() {
    kill "${node[$1]}"
    wait "${node[$1]}" || fail "$1 did not end well"
    unset "node[$1]"
}

# ask URL STATEMENT: prints the answer.
ask() {
    curl -sS --max-time 10 "$1/execute" -H 'content-type: application/json' \
        -d "{\"statement\": \"$2\"}" || true
}

# tell URL STATEMENT: runs it once; it must succeed.
tell() {
    local answer
    answer=$(ask "$1" "$2")
    [[ $answer == *'"error":{},'* ]] || fail "$2: $answer"
    echo "$1: $2"
}

# expect URL STATEMENT ITEMS: asks again until the answer has these items.
expect() {
    local answer deadline=$((SECONDS + WAIT_SECONDS))
    while answer=$(ask "$1" "$2"); [[ $answer != *"\"items\":$3,"* ]]; do
        ((SECONDS < deadline)) || fail "$1 answers $2 with $answer, not with $3"
        sleep 0.05
    done
    echo "$1 has $3"
}

# both STATEMENT ITEMS: the same on the two nodes.
both() {
    expect $NORTH "$1" "$2"
    expect $SOUTH "$1" "$2"
}

cp "$here/north.yaml" "$here/south.yaml" "$scratch"
"$tombolo" shared-key generate --output "$scratch/mesh.key"
[[ $(stat -c %a "$scratch/mesh.key") == 600 ]] || fail "others can read the key"
for name in north south; do
    "$tombolo" config validate -c "$scratch/$name.yaml"
done

start north
start south
tell $NORTH "INSERT INTO COLLECTION menu (sold COUNTER) DOCUMENTS ({'_id': 'soup', 'price': 4, 'sold': 10, 'tags': {'hot': true}})"
both "SELECT * FROM menu" '[{"_id":"soup","price":4,"sold":10,"tags":{"hot":true}}]'

crash north
tell $SOUTH "UPDATE menu APPLY sold INCREMENT BY 3 SET price = 5, tags.vegan = true WHERE _id = 'soup'"
crash south
start north
tell $NORTH "UPDATE menu APPLY sold INCREMENT BY 2 SET tags.large = true WHERE _id = 'soup'"
tell $NORTH "INSERT INTO menu DOCUMENTS ({'_id': 'bread', 'price': 2})"
tell $NORTH "INSERT INTO menu DOCUMENTS ({'_id': 'truffle', 'price': 900})"
expect $NORTH "SELECT sold FROM menu WHERE _id = 'soup'" '[{"sold":12}]'

start south
soup='{"_id":"soup","price":5,"sold":15,"tags":{"hot":true,"large":true,"vegan":true}}'
both "SELECT * FROM menu WHERE price < 100 ORDER BY _id" "[{\"_id\":\"bread\",\"price\":2},$soup]"
# South subscribes to what costs less than 100.
expect $SOUTH "SELECT _id FROM menu WHERE price >= 100" '[]'
expect $NORTH "SELECT _id FROM menu WHERE price >= 100" '[{"_id":"truffle"}]'

[[ $(curl -sS --max-time 10 $NORTH/presence) == *'"deviceName":"south"'* ]] || fail "north does not see south"
grep -q 'linked to a known server' "$scratch/south.log" || fail "south says nothing of its link"

stop south
stop north
echo "the two nodes agree"

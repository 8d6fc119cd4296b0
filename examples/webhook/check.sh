#!/usr/bin/env bash
# Runs the three webhooks of the guide, one after the other, each before a real identity service:
# a device logs in, may write what the webhook said and nothing else, and a wrong token is refused.
# It takes the program from $TOMBOLO, or from target/release, or from target/debug,
# and needs node, python3 and cargo. Everything happens in a directory of its own, which is removed at the end.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

HUB=http://127.0.0.1:9473
DEVICE=http://127.0.0.1:9474
WEBHOOK_PORT=9471
# Longest wait for something to start, and for an answer to become right.
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
declare -A started=()

end_all() {
    local name
    for name in "${!started[@]}"; do
        kill "${started[$name]}" 2> /dev/null || true
        wait "${started[$name]}" 2> /dev/null || true
        unset "started[$name]"
    done
}

finish() {
    end_all
    rm -rf "$scratch"
}
trap finish EXIT

fail() {
    local log
    echo "FAILED: $1" >&2
    for log in "$place"/*.log; do
        printf -- '-- %s\n' "$(basename "$log")" >&2
        cat "$log" >&2
    done
    exit 1
}

# wait_until WHAT COMMAND...: until the command succeeds; what was started must live meanwhile.
wait_until() {
    local what=$1 name deadline=$((SECONDS + WAIT_SECONDS))
    shift
    until "$@"; do
        for name in "${!started[@]}"; do
            kill -0 "${started[$name]}" 2> /dev/null || fail "$name ended; are the ports 9471 to 9474 free?"
        done
        ((SECONDS < deadline)) || fail "no $what"
        sleep 0.05
    done
}

answers_on() { (: < "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

# start NAME COMMAND...: runs it with its messages in a file.
start() {
    local name=$1
    shift
    "$@" > "$place/$name.log" 2>&1 &
    started[$name]=$!
}

start_node() {
    start "$1" "$tombolo" run -c "$place/$1.yaml"
    wait_until "$1" grep -qs '^listening on' "$place/$1.log"
}

# ask URL STATEMENT: prints the answer.
ask() {
    curl -sS --max-time 10 "$1/execute" -H 'content-type: application/json' \
        -d "{\"statement\": \"$2\"}" || true
}

has() { [[ $(ask "$1" "$2") == *"\"items\":$3,"* ]]; }

# expect_said FILE TEXT
expect_said() {
    grep -qF -- "$2" "$1" || fail "$(basename "$1") does not say: $2"
}

# check NAME COMMAND...: the webhook NAME is started by COMMAND.
check() {
    local answer
    place=$scratch/$1
    mkdir "$place"
    cp "$here/hub.yaml" "$here/device.yaml" "$place"
    start webhook "${@:2}"
    wait_until webhook answers_on "$WEBHOOK_PORT"
    start_node hub

    if WEBHOOK_TOKEN=token-of-eve "$tombolo" doctor -c "$place/device.yaml" > "$place/eve.log" 2>&1; then
        fail "a wrong token is let in"
    fi
    expect_said "$place/eve.log" "STOP  login            the login was refused"
    export WEBHOOK_TOKEN=token-of-ada
    "$tombolo" doctor -c "$place/device.yaml" > "$place/ada.log" 2>&1 || fail "the doctor stops"
    expect_said "$place/ada.log" "my-auth lets ada in"

    start_node device
    wait_until "login" grep -qs '^login: ada' "$place/device.log"
    answer=$(ask $DEVICE "INSERT INTO notes DOCUMENTS ({'_id': {'owner': 'ada', 'n': 1}, 'text': 'mine'})")
    [[ $answer == *'"error":{},'* ]] || fail "ada may not write her own note: $answer"
    for other in "notes DOCUMENTS ({'_id': {'owner': 'bob', 'n': 1}})" "cars DOCUMENTS ({'_id': 1})"; do
        answer=$(ask $DEVICE "INSERT INTO $other")
        [[ $answer == *'"code":"not_permitted_here"'* ]] || fail "ada may write $other: $answer"
    done
    wait_until "note of ada at the hub" has $HUB "SELECT text FROM notes" '[{"text":"mine"}]'
    # In one commit, so whoever has one of them could have both.
    answer=$(ask $HUB "INSERT INTO notes DOCUMENTS ({'_id': {'owner': 'bob', 'n': 1}}), ({'_id': {'owner': 'ada', 'n': 2}})")
    [[ $answer == *'"error":{},'* ]] || fail "the hub may not write: $answer"
    wait_until "second note of ada" has $DEVICE "SELECT _id.n FROM notes WHERE _id.owner = 'ada' ORDER BY _id.n" '[{"n":1},{"n":2}]'
    has $DEVICE "SELECT * FROM notes WHERE _id.owner = 'bob'" '[]' || fail "the note of bob came to ada"
    end_all
    echo "$1: ada is let in with her permissions, and eve is not"
}

cargo build --quiet --locked --manifest-path "$here/../../Cargo.toml" --workspace --example webhook
check node node "$here/node/webhook.mjs"
check python python3 "$here/python/webhook.py"
check rust "$here/../../target/debug/examples/webhook"

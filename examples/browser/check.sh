#!/usr/bin/env bash
# Lets a real browser use the page of this directory: from the origin that the node names it reads,
# writes and observes, and from another it does not.
# It takes the program from $TOMBOLO, or from target/release, or from target/debug, and needs node and chromium.
# Everything happens in a directory of its own, which is removed at the end.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

NODE=127.0.0.1:9483
NAMED_PORT=9481
OTHER_PORT=9482
# Longest wait for the node to start.
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
node_pid=

finish() {
    if [[ -n $node_pid ]]; then
        kill "$node_pid" 2> /dev/null || true
        wait "$node_pid" 2> /dev/null || true
    fi
    rm -rf "$scratch"
}
trap finish EXIT

"$tombolo" api-key generate > "$scratch/key"
key=$(sed -n 's/^Generated Private Key: //p' "$scratch/key")
hash=$(sed -n 's/^Secure Public Hash: //p' "$scratch/key")

cat > "$scratch/node.yaml" << YAML
database:
  db_id: 00000000-0000-4000-8000-000000000005
  device_name: node
  persistence_dir: { path: data }
http_server:
  listen_addr: $NODE
  tls_config: dev_mode
  http_api: { execute: true, observe: true }
  enable_healthcheck: true
  cors: { origins: ["http://127.0.0.1:$NAMED_PORT"] }
auth:
  identities:
    page: { credential: { api_key: "$hash" }, permissions: [all] }
  permission_sets:
    all: { permissions: full }
YAML

"$tombolo" run -c "$scratch/node.yaml" > "$scratch/node.log" 2>&1 &
node_pid=$!
deadline=$((SECONDS + WAIT_SECONDS))
until curl -sf "http://$NODE/health" > /dev/null; do
    if ! kill -0 "$node_pid" 2> /dev/null || ((SECONDS > deadline)); then
        cat "$scratch/node.log" >&2
        exit 1
    fi
    sleep 0.1
done

if ! node "$here/check.mjs" "http://$NODE" "$key" "$NAMED_PORT" "$OTHER_PORT"; then
    cat "$scratch/node.log" >&2
    exit 1
fi

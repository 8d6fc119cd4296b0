#!/usr/bin/env bash
# Builds the Debian package, installs it, runs its node as its user with its configuration, writes a document,
# removes the package, and looks for what must be left. It takes the program from $TOMBOLO or target/release,
# needs root and a machine without the package, and takes all that it made away again.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tombolo=${TOMBOLO:-$here/../../target/release/tombolo}

# As packaging/tombolo.yaml says.
NODE=http://127.0.0.1:8080
CONFIGURATION=/etc/tombolo/tombolo.yaml
# The unit's StateDirectory and LogsDirectory, which systemd makes where it runs.
STATE=/var/lib/tombolo
LOGS=/var/log/tombolo
# Longest wait for the node to listen.
WAIT_SECONDS=30

if [[ $(id -u) != 0 ]]; then
    echo "skipped: only root installs packages"
    exit 0
fi
if dpkg-query --status tombolo > /dev/null 2>&1 || [[ -e $STATE || -e $LOGS || -e /etc/tombolo ]]; then
    echo "the package, or what it left, is here already: this check would remove it" >&2
    exit 1
fi
had_user=$(getent passwd tombolo || true)
scratch=$(mktemp -d)
chmod 0755 "$scratch"
node=

finish() {
    [[ -z $node ]] || kill "$node" 2> /dev/null || true
    dpkg --purge tombolo > /dev/null 2>&1 || true
    [[ -n $had_user ]] || userdel tombolo 2> /dev/null || true
    rm -rf "$scratch" "$STATE" "$LOGS"
}
trap finish EXIT

fail() {
    echo "FAILED: $1" >&2
    [[ ! -f $scratch/node.log ]] || cat "$scratch/node.log" >&2
    exit 1
}

mode_of() {
    stat --format '%U:%G %a' "$1"
}

as_user=(setpriv --reuid tombolo --regid tombolo --clear-groups)

"$here/build.sh" "$tombolo" "$scratch" > /dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$scratch"/tombolo_*.deb > /dev/null
[[ $(mode_of "$CONFIGURATION") == "root:tombolo 640" ]] || fail "the configuration is $(mode_of "$CONFIGURATION")"
"${as_user[@]}" tombolo config validate -c "$CONFIGURATION" > /dev/null || fail "the configuration is refused"
echo "installed, and its configuration is valid"

install -d -m 0700 -o tombolo -g tombolo "$STATE"
install -d -m 0750 -o tombolo -g tombolo "$LOGS"
"${as_user[@]}" tombolo run -c "$CONFIGURATION" > "$scratch/node.log" 2>&1 &
node=$!
deadline=$((SECONDS + WAIT_SECONDS))
until grep -q 'listening on' "$scratch/node.log"; do
    kill -0 "$node" 2> /dev/null || fail "the node ended"
    ((SECONDS < deadline)) || fail "the node does not listen"
    sleep 0.1
done
curl --silent --show-error --fail "$NODE/health" > /dev/null || fail "the node is not well"
written=$(curl --silent --show-error --fail "$NODE/execute" -H 'content-type: application/json' \
    -d '{"statement": "INSERT INTO cars DOCUMENTS ({'"'_id': 'a'"'})"}')
[[ $written == *'"a"'* ]] || fail "a write was answered $written"
kill "$node"
wait "$node" || fail "the node did not end well"
node=
echo "its node runs as its user and keeps a document"

dpkg --remove tombolo > /dev/null
[[ ! -e /usr/bin/tombolo ]] || fail "the program is still there"
[[ -e $CONFIGURATION ]] || fail "removing took the configuration"
dpkg --purge tombolo > /dev/null
[[ ! -e $CONFIGURATION ]] || fail "purging left the configuration"
[[ -n $(ls "$STATE/data") && -n $(ls "$LOGS/audit") ]] || fail "documents or the audit log are gone"
echo "removed, and documents and the audit log are left"

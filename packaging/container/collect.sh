#!/bin/sh
# Puts into a directory what the program needs to run as the only thing in a container:
#   packaging/container/collect.sh PROGRAM DIRECTORY
# The program, the libraries that it is linked with, the roots of TLS, one user, and nothing else: no shell, no secret.
set -eu
program=$1
image=$2
install -D -m 0755 "$program" "$image/usr/bin/tombolo"
# The lines of backtraces are three quarters of the program. The names stay, and a panic tells its own line.
strip --strip-debug "$image/usr/bin/tombolo"
# Lines of ldd: "name => /path (address)", and "/path (address)" for the loader itself.
ldd "$program" | grep -o '/[^ ]*' | sort -u | while read -r library; do
    install -D -m 0755 "$(readlink -f "$library")" "$image$library"
done
install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/ca-certificates.crt"
printf 'root:x:0:0::/:/nonexistent\ntombolo:x:65532:65532::/data:/nonexistent\n' > "$image/etc/passwd"
printf 'root:x:0:\ntombolo:x:65532:\n' > "$image/etc/group"
install -d -m 0700 "$image/data"
chown 65532:65532 "$image/data"
install -d -m 1777 "$image/tmp"

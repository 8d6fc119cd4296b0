#!/bin/sh
# Makes a Debian package of a program that was built: packaging/debian/build.sh PROGRAM OUTPUT_DIRECTORY
# It needs dpkg-deb, readelf and strip, and no network. The same input gives the same bytes.
set -eu
program=$1
output=$2
here=$(cd "$(dirname "$0")/.." && pwd)
root=$(cd "$here/.." && pwd)
version=$("$program" --version | cut -d' ' -f2)
architecture=$(dpkg --print-architecture)
# The newest symbol version that the program asks of the C library.
libc=$(readelf --version-info "$program" | grep -o 'GLIBC_[0-9.]*' | cut -d_ -f2 | sort -V | tail -1)
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 0755 "$work"
install -D -m 0755 "$program" "$work/usr/bin/tombolo"
# The lines of backtraces are three quarters of the program. The names stay, and a panic tells its own line.
strip --strip-debug "$work/usr/bin/tombolo"
install -D -m 0644 "$here/systemd/tombolo.service" "$work/usr/lib/systemd/system/tombolo.service"
install -D -m 0640 "$here/tombolo.yaml" "$work/etc/tombolo/tombolo.yaml"
for file in LICENSE-APACHE LICENSE-MIT CHANGELOG.md; do
    install -D -m 0644 "$root/$file" "$work/usr/share/doc/tombolo/$file"
done
install -d -m 0755 "$work/DEBIAN"
size=$(du -sk --exclude=DEBIAN "$work" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" \
    -e "s/@SIZE_KIB@/$size/" -e "s/@LIBC@/$libc/" \
    "$here/debian/control.in" > "$work/DEBIAN/control"
install -m 0644 "$here/debian/conffiles" "$work/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 0755 "$here/debian/$script" "$work/DEBIAN/$script"
done
mkdir -p "$output"
dpkg-deb --root-owner-group --build "$work" "$output/tombolo_${version}_${architecture}.deb"

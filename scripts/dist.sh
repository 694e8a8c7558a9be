#!/usr/bin/env bash
# dist.sh [FOLDER]: the source distribution, as key_vault-VERSION.tar.gz and, for PGXN, .zip.
#
# The same files give the same bytes: names in order, no owners, and for every file
# the time of the last entry in debian/changelog.  The version is that of META.json.
# FOLDER is build/dist when it is not given.

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $# -le 1 ]] || die "usage: scripts/dist.sh [FOLDER]"
folder=$(realpath -m -- "${1:-$top/build/dist}")

command -v zip >/dev/null || die "zip is needed: apt-get install zip"

# What git tracks; untracked files are nobody's release.
dist_files() {
	git -C "$top" -c safe.directory="$top" ls-files -z --cached 2>/dev/null || checkout_files
}

version=$(sed -nE '0,/"version"/s/^\t?"version": *"([^"]+)".*/\1/p' "$top/META.json")
[[ -n $version ]] || die "META.json has no version"
name=key_vault-$version
when=$(sed -nE 's/^ -- .*>  (.*)$/\1/p' "$top/debian/changelog" | head -n 1)

make_work
mkdir "$work/$name"
dist_files | tar -C "$top" -c --null -T - | tar -C "$work/$name" -x --no-same-owner --no-same-permissions
find "$work/$name" -type d -exec chmod 755 {} +
find "$work/$name" -type f -perm -u=x -exec chmod 755 {} +
find "$work/$name" -type f ! -perm -u=x -exec chmod 644 {} +
find "$work/$name" -exec touch -h -d "$when" {} +

mkdir -p "$folder"
cd "$work"
tar --sort=name --owner=0 --group=0 --numeric-owner --format=ustar -c "$name" | gzip -9n >"$folder/$name.tar.gz"
rm -f "$folder/$name.zip"
find "$name" -type f | LC_ALL=C sort | TZ=UTC zip -X -q -9 "$folder/$name.zip" -@
say "$folder/$name.tar.gz" "$folder/$name.zip"

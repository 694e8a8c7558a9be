#!/usr/bin/env bash
# package.sh [FOLDER]: Debian packages of key_vault, one for each PostgreSQL that this Debian has.
#
# Installs the Debian packages that are missing, builds in a temporary folder, and
# looks at the result with lintian, which must find no error.  FOLDER, where the
# packages go, is build/packages when it is not given.

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $# -le 1 ]] || die "usage: scripts/package.sh [FOLDER]"
folder=$(realpath -m -- "${1:-$top/build/packages}")

need_packages package
make_work
"$top/scripts/dist.sh" "$work" >/dev/null

source_package=$(sed -nE '1s/^([^ ]+) \((.*)-[^-]+\).*/\1_\2/p' "$top/debian/changelog")
mv "$work"/key_vault-*.tar.gz "$work/$source_package.orig.tar.gz"
mkdir "$work/source"
tar -C "$work/source" --strip-components=1 -xf "$work/$source_package.orig.tar.gz"
cd "$work/source"

# The servers that this Debian has, which may be others than debian/control knows
pg_buildext updatecontrol
DEB_BUILD_OPTIONS="parallel=$(nproc)" dpkg-buildpackage -us -uc -b >"$work/build.log" 2>&1 ||
	{ tail -n 60 "$work/build.log" >&2; die "dpkg-buildpackage failed"; }

lintian --allow-root --fail-on error "$work"/*.changes
mkdir -p "$folder"
for package in "$work"/*.deb; do
	[[ $package == *-dbgsym_* ]] || { cp "$package" "$folder/"; say "$folder/${package##*/}"; }
done

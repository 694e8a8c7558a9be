#!/usr/bin/env bash
# check.sh SUITE: the package for Debian SUITE, built in a root of it, and tried in a bare one.
#
# Both roots are made once and kept; the bare one is tried in a copy.  The tests are
# in inside.sh.  With TIMES set, it says instead how long it takes from the bare root
# to the first get, by package and by source.  Needs root.

# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=../../scripts/roots.sh
source "$top/scripts/roots.sh"

[[ $# == 1 ]] || die "usage: test/package/check.sh SUITE"
suite=$1
is_root || die "making a Debian root needs root"

need_packages long
make_work
bare=$(roots_folder)/bare-$suite
building=$(roots_folder)/package-$suite
trial=$work/trial
exec 7>"$building.lock"
flock 7

from_archive "$suite" make_root "$bare" "$suite"
[[ -e $building/made ]] || { rm -rf "$building"; cp -a "$bare" "$building"; }

from_archive "$suite" refresh_root "$building"
checkout_into "$building/root/key_vault"
from_archive "$suite" in_root "$building" bash -c 'source /root/key_vault/scripts/lib.sh; need_packages package'
rm -rf "$building/root/packages"
in_root "$building" bash /root/key_vault/scripts/package.sh /root/packages

cp -a "$bare" "$trial"
mkdir "$trial/root/test"
cp "$building"/root/packages/*.deb "$top/test/package/inside.sh" "$trial/root/test/"
# what is fetched once is not fetched again
mkdir -p "$(roots_folder)/archives-$suite"
cp -n "$(roots_folder)/archives-$suite"/*.deb "$trial/var/cache/apt/archives/" 2>/dev/null || true
in_root "$trial" bash /root/test/inside.sh && status=0 || status=$?
cp -n "$trial"/var/cache/apt/archives/*.deb "$(roots_folder)/archives-$suite/" 2>/dev/null || true
exit "$status"

#!/usr/bin/env bash
# versions.sh MAJOR SUITE: the tests that need a server, on another PostgreSQL.
#
# PostgreSQL MAJOR comes from the Debian suite that has it: a small root of that
# suite, made once and kept, in which check.sh --server-tests runs on a copy of
# this checkout.  experimental is no whole suite: its root is one of sid that takes
# the server's packages from there.  Needs root.

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=roots.sh
source "$top/scripts/roots.sh"

[[ $# == 2 ]] || die "usage: scripts/versions.sh MAJOR SUITE"
version=$1 suite=$2
is_root || die "making a Debian root needs root"

need_packages long
root=$(roots_folder)/debian-$suite
exec 7>"$root.lock"
flock 7

from_archive "$suite" make_root "$root" "${suite/experimental/sid}"
if [[ $suite == experimental ]]; then
	say 'deb http://deb.debian.org/debian experimental main' >"$root/etc/apt/sources.list.d/experimental.list"
	say "Package: *postgresql*-$version* libpq* libecpg* libpgtypes*" 'Pin: release a=experimental' \
		'Pin-Priority: 500' >"$root/etc/apt/preferences.d/key_vault"
fi
from_archive "$suite" refresh_root "$root"		# pg_upgrade wants no server that is a minor release behind the system's

checkout_into "$root/root/key_vault"
chmod 700 "$root/root/key_vault"
from_archive "$suite" in_root "$root" env PG_MAJOR="$version" bash -c 'source /root/key_vault/scripts/lib.sh; need_packages demo test'

in_root "$root" env PG_MAJOR="$version" bash /root/key_vault/scripts/check.sh --server-tests

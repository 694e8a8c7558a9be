#!/usr/bin/env bash
# versions.sh MAJOR SUITE: the tests that need a server, on another PostgreSQL.
#
# PostgreSQL MAJOR comes from the Debian suite that has it: a small root of that
# suite, made once and kept, in which check.sh --server-tests runs on a copy of
# this checkout.  experimental is no whole suite: its root is one of sid that takes
# the server's packages from there.  Needs root.

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $# == 2 ]] || die "usage: scripts/versions.sh MAJOR SUITE"
version=$1 suite=$2
is_root || die "making a Debian root needs root"

need_packages long
root=$(cache_folder)/debian-$suite
exec 7>"$root.lock"
flock 7

# Mounts and processes of its own, so that both are gone when the command ends,
# however it ends.
contained() { unshare --mount --pid --fork --kill-child -- "$@" 7>&-; }

in_root() {
	contained sh -ec '
		root=$1; shift
		mount -t proc proc "$root/proc"
		mkdir -p "$root/dev/shm"
		mount -t tmpfs tmpfs "$root/dev/shm"
		mount -t tmpfs tmpfs "$root/tmp"
		exec chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			DEBIAN_FRONTEND=noninteractive "$@"' sh "$root" "$@"
}

if [[ ! -e $root/made ]]; then
	say "Making a Debian root of $suite in $root"
	rm -rf "$root"
	contained debootstrap --variant=minbase "${suite/experimental/sid}" "$root"
	# pg_upgrade wants no server that is a minor release behind the system's
	case "$suite" in
		sid) ;;
		experimental)
			say 'deb http://deb.debian.org/debian experimental main' >"$root/etc/apt/sources.list.d/experimental.list"
			say "Package: *postgresql*-$version* libpq* libecpg* libpgtypes*" 'Pin: release a=experimental' \
				'Pin-Priority: 500' >"$root/etc/apt/preferences.d/key_vault" ;;
		*)
			say "deb http://deb.debian.org/debian-security $suite-security main" \
				>"$root/etc/apt/sources.list.d/security.list" ;;
	esac
	touch "$root/made"
fi

# The lists of an unreleased suite expire within days, and mirrors lag behind
say 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/50key_vault"

# A root that was kept has the minor releases of the day it was made
in_root sh -c 'apt-get -q update && apt-get -q -y upgrade'

rm -rf "$root/root/key_vault"
mkdir "$root/root/key_vault"
checkout_files | tar -C "$top" -c --null -T - | tar -C "$root/root/key_vault" -x --no-same-owner
chmod 700 "$root/root/key_vault"

in_root env PG_MAJOR="$version" bash /root/key_vault/scripts/check.sh --server-tests

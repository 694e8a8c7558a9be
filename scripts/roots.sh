# shellcheck shell=bash disable=SC2154
# roots.sh: small Debian roots, made once and kept, and commands in them.  Sourced after lib.sh; needs root.
#
# What is kept is in the cache of builds, or in $KEY_VAULT_ROOTS.

roots_folder() {
	if [[ -n ${KEY_VAULT_ROOTS:-} ]]; then mkdir -p "$KEY_VAULT_ROOTS"; say "$KEY_VAULT_ROOTS"; else cache_folder; fi
}

# Mounts and processes of its own, so that both are gone when the command ends,
# however it ends.
contained() { unshare --mount --pid --fork --kill-child -- "$@" 7>&- 9>&-; }

# in_root ROOT COMMAND...
in_root() {
	contained sh -ec '
		root=$1; shift
		mount -t proc proc "$root/proc"
		mkdir -p "$root/dev/shm"
		mount -t tmpfs tmpfs "$root/dev/shm"
		mount -t tmpfs tmpfs "$root/tmp"
		exec chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			DEBIAN_FRONTEND=noninteractive "$@"' sh "$@"
}

# make_root ROOT SUITE: a root with nothing but the base system, unless it is there.
make_root() {
	local root=$1 suite=$2
	if [[ ! -e $root/made ]]; then
		say "Making a Debian root of $suite in $root"
		rm -rf "$root"
		contained debootstrap --variant=minbase "$suite" "$root"
		if [[ $suite != sid ]]; then
			say "deb http://deb.debian.org/debian-security $suite-security main" >"$root/etc/apt/sources.list.d/security.list"
		fi
		touch "$root/made"
	fi
	# The lists of an unreleased suite expire within days, and mirrors lag behind
	say 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/50key_vault"
}

# A root that was kept has the minor releases of the day it was made.
refresh_root() { in_root "$1" sh -c 'apt-get -q update && apt-get -q -y upgrade'; }

# What apt and debootstrap say when it is not us who are to blame.
archive_faults="Failed to fetch|Unable to fetch|Couldn't download|Hash Sum mismatch|Could not resolve|Unable to connect"
archive_faults+='|Unmet dependencies|unmet dependencies|held broken packages|breaks the following'

# from_archive SUITE COMMAND...: a command that gets packages.  Unreleased suites change under
# us: when one does not install, and says so, the run ends here and is skipped with that reason.
# Of a released suite, and for any other reason, it has failed.
from_archive() {
	local suite=$1 log status=0 reason
	shift
	log=$(mktemp)
	# not beside ||, where errors inside would not end it
	("$@") >"$log" 2>&1 &
	wait $! || status=$?
	cat "$log"
	reason=$(grep -E -m 1 "$archive_faults" "$log" || true)
	rm "$log"
	if ((status)) && [[ -n $reason && $suite =~ ^(sid|experimental)$ ]]; then
		say "1..0 # SKIP the archive of $suite does not install: $reason"
		exit 0
	fi
	return "$status"
}

# checkout_into FOLDER: the checkout's files, whether committed or not.
checkout_into() {
	rm -rf "$1"
	mkdir -p "$1"
	checkout_files | tar -C "$top" -c --null -T - | tar -C "$1" -x --no-same-owner
}

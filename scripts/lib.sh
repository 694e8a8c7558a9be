# shellcheck shell=bash
# lib.sh: what demo.sh, check.sh and versions.sh share: packages, the build, throwaway servers.
#
# But for Debian packages, nothing is written outside two folders: a cache of the
# last build, and a temporary folder that is gone at the end.  No existing cluster
# is touched, and key_vault is not installed into the system's PostgreSQL.

set -euo pipefail
umask 022

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=		# this run's temporary folder; see make_work
pids=()		# process groups to end with this run

say() { printf '%s\n' "$@"; }
die() { say "$(basename "$0"): $1" "${@:2}" >&2; exit 1; }

is_root() { [[ $(id -u) == 0 ]]; }

as_root() {
	if is_root; then "$@"; return; fi
	command -v sudo >/dev/null || die "root or sudo is needed for: $*"
	sudo "$@"
}

# --- Packages ---------------------------------------------------------------

# The names in the given sections of packages.txt, {major} not yet filled in.
packages_in() {
	local section
	for section; do
		awk -v want="[$section]" '
			/^\[/ { on = ($1 == want) }
			on && /^[a-z]/ && !seen[$1]++ { print $1 }' "$top/scripts/packages.txt"
	done
}

# The installed packages, and what they provide, one a line.
installed_names() {
	dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' | sed -n 's/^installed //p' | tr -s ' ,' '\n'
}

# The major version of the server to build for: $PG_CONFIG's, $PG_MAJOR, the
# newest one installed, or the one that Debian offers.
server_major() {
	local major=${PG_MAJOR:-}
	if [[ -n ${PG_CONFIG:-} ]]; then
		"$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/'
		return
	fi
	[[ -n $major ]] || major=$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null |
		cut -d/ -f5 | grep -E '^[0-9]+$' | sort -n | awk '$1 >= 15' | tail -n 1)
	[[ -n $major ]] || major=$(apt-cache depends postgresql 2>/dev/null |
		sed -nE 's/.*Depends: postgresql-([0-9]+)$/\1/p' | head -n 1)
	say "$major"
}

# Debian's server package makes and starts a cluster when it is first installed,
# and other packages start their services: none of them here.
without_services() {
	local cluster=/etc/postgresql-common/createcluster.d/key_vault-build.conf policy=/usr/sbin/policy-rc.d
	local status=0 own_policy=
	as_root mkdir -p "${cluster%/*}"
	say 'create_main_cluster = false' | as_root tee "$cluster" >/dev/null
	if [[ ! -e $policy ]]; then
		own_policy=1
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
	fi
	("$@") || status=$?
	as_root rm -f "$cluster" ${own_policy:+"$policy"}
	return "$status"
}

apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get -qq -o DPkg::Lock::Timeout=600 "$@" </dev/null >"$apt_log" 2>&1 ||
		{ cat "$apt_log" >&2; die "apt-get $1 failed"; }
}

# Installs what is missing of the given sections.
need_packages() {
	local name installed major missing=() apt_log
	command -v dpkg-query >/dev/null ||
		die "this needs Debian or a system made from it; what to install elsewhere is in scripts/packages.txt"
	apt_log=$(mktemp)

	[[ -n $(server_major) ]] || apt_get update
	major=$(server_major)
	[[ $major -ge 15 ]] 2>/dev/null || die "no PostgreSQL 15 or later: none is installed, and apt offers none"

	installed=$(installed_names)
	while read -r name; do
		[[ -n ${PG_CONFIG:-} && $name == *'{major}'* ]] && continue
		name=${name//'{major}'/$major}
		grep -qxF "$name" <<<"$installed" || missing+=("$name")
	done < <(packages_in "$@")

	if ((${#missing[@]})); then
		say "Installing Debian packages: ${missing[*]}"
		apt_get update
		without_services apt_get install -y --no-install-recommends "${missing[@]}"
		for name in pgbouncer pgpool2; do
			if [[ " ${missing[*]} " == *" $name "* ]]; then as_root update-rc.d "$name" disable >/dev/null 2>&1; fi
		done
	fi
	rm -f "$apt_log"

	pg_config=${PG_CONFIG:-/usr/lib/postgresql/$major/bin/pg_config}
	bindir=$("$pg_config" --bindir)
}

# --- Who runs what ----------------------------------------------------------

# PostgreSQL refuses to run as root.  Then Debian's own user for it runs the
# server and the tests; everybody else runs them as themselves.
server_user() { if is_root; then say postgres; else id -un; fi; }

# Runs a command as the server's user, in the temporary folder's environment and
# nothing of the caller's.  Leading NAME=value arguments go into it.
as_server() {
	local switch=()
	is_root && switch=(setpriv --reuid=postgres --regid=postgres --init-groups)
	"${switch[@]}" env -i PATH="$bindir:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin" \
		HOME="$work" TMPDIR="$work/tmp" USER="$(server_user)" LC_ALL=C.UTF-8 \
		PG_CONFIG="$pg_config" PGHOST="$work/sock" "$@"
}

# --- Folders ----------------------------------------------------------------

# Where builds are kept between runs: a folder that only root, or only the user,
# can write, so that nobody else can slip anything in.
cache_folder() {
	if is_root; then
		install -d -m 0750 -g postgres /var/cache/key_vault
		say /var/cache/key_vault
	else
		install -d -m 0700 "${XDG_CACHE_HOME:-$HOME/.cache}/key_vault"
		say "${XDG_CACHE_HOME:-$HOME/.cache}/key_vault"
	fi
}

# A folder for this run's logs; the last few runs' are kept.
new_log_folder() {
	local folder
	folder=$(cache_folder)/logs
	mkdir -p "$folder"
	find "$folder" -mindepth 1 -maxdepth 1 -printf '%T@ %p\0' | sort -znr | tail -zn +6 |
		cut -zd' ' -f2- | xargs -0r rm -rf
	mktemp -d "$folder/$(date +%Y-%m-%d.XXXXXX)"
}

# The temporary folder: the server's user's, and closed to others.
make_work() {
	trap clean_up EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	work=$(mktemp -d /tmp/key_vault.XXXXXX)
	mkdir "$work/tmp" "$work/sock"
	own_by_server "$work"
	cd "$work"		# the server's user may not be able to enter the caller's folder
}

own_by_server() { if is_root; then chown -hR postgres: "$@"; fi; }

clean_up() {
	local status=$? pid
	trap - EXIT
	trap '' HUP INT TERM
	for pid in "${pids[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null || true
	done
	if [[ -n $work ]]; then
		stop_servers
		cd /
		rm -rf "$work"
	fi
	exit "$status"
}

# --- Build ------------------------------------------------------------------

# Everything in the checkout that is not ignored, whether committed or not.  Where
# there is no git, that is what make and the tests do not leave behind.
checkout_files() (
	cd "$top"
	{
		git -c safe.directory="$top" ls-files -z --cached --others --exclude-standard 2>/dev/null ||
			find . \( -name .git -o -name build -o -name node_modules -o -name __pycache__ -o -name results \
				-o -name output_iso -o -name 'tmp_check*' \) -prune -o \
				-type f ! -name '*.o' ! -name '*.so' ! -name '*.bc' ! -name exports.list -printf '%P\0'
	} | while IFS= read -r -d '' file; do
		if [[ -e $file ]]; then printf '%s\0' "$file"; fi
	done
)

# Builds a copy of the checkout, as $work/tree, and installs it into a copy of
# PostgreSQL.  What has not changed since the last time is not built again; nor what
# $KV_OBJECTS holds, a folder in which the same files were built already.
build() {
	local kind=$1 cache tar sum status=0
	shift
	cache=$(cache_folder)/$(printf '%s' "$top" | cksum | cut -d' ' -f1)-$kind
	mkdir -p "$cache"
	exec 8>"$cache/lock"
	flock 8

	tar=$cache/source.tar
	checkout_files | tar -C "$top" -c --null -T - --sort=name --owner=0 --group=0 -f "$tar"
	sum=$( { cat "$tar"; "$pg_config"; say "$@"; } | sha256sum)
	if [[ ! -e $cache/sum || $(<"$cache/sum") != "$sum" ]]; then
		rm -rf "$cache/sum" "$cache/tree"
		mkdir "$cache/tree"
		tar -C "$cache/tree" -xf "$tar"
		[[ -z ${KV_OBJECTS:-} ]] || (cd "$KV_OBJECTS" && find src -name '*.o' -exec cp -p --parents -t "$cache/tree" {} +)
		if run_make -C "$cache/tree" -j "$(nproc)" "$@"; then say "$sum" >"$cache/sum"; else status=1; fi
	fi
	cp -a "$cache/tree" "$work/"
	own_by_server "$work/tree"
	exec 8>&-
	((status == 0)) || return "$status"

	copy_server && as_server make -s -C "$work/tree" install "$@" >/dev/null && touch "$work/built"
}

# The caller's make variables and compiler flags stay out.
run_make() {
	env -u MAKEFLAGS -u MAKELEVEL -u CFLAGS -u CPPFLAGS -u LDFLAGS -u COPT PG_CONFIG="$pg_config" make -s "$@"
}

# Copies PostgreSQL, so that nothing is installed into the system's own.  It finds
# its files by where its programs are: those are copied, and all else is links.
copy_server() {
	local copy=$work/postgresql lib share folder
	lib=$("$pg_config" --pkglibdir)
	share=$("$pg_config" --sharedir)
	for folder in "$lib" "$share"; do
		mkdir -p "$copy$folder"
		cp -as "$folder/." "$copy$folder"
	done
	rm -rf "$copy$lib"/{,bitcode/}key_vault* "$copy$share"/extension/key_vault*
	mkdir -p "$copy$bindir"
	cp -a "$bindir/." "$copy$bindir"
	for folder in --includedir --includedir-server --libdir --localedir; do
		folder=$("$pg_config" "$folder")
		[[ ! -d $folder || -e $copy$folder ]] || { mkdir -p "$copy${folder%/*}"; ln -s "$folder" "$copy$folder"; }
	done
	own_by_server "$copy"
	bindir=$copy$bindir
	pg_config=$bindir/pg_config
}

# --- Servers ----------------------------------------------------------------

# Starts a server in $work/data that is reached by its socket alone; further
# settings come from standard input.
start_server() {
	as_server initdb -D "$work/data" -U postgres -A trust -E UTF8 --no-sync >"$work/initdb.log" 2>&1 ||
		{ cat "$work/initdb.log" >&2; die "initdb failed"; }
	{
		say "listen_addresses = ''" "unix_socket_directories = '$work/sock'" 'fsync = off'
		cat
	} | as_server tee -a "$work/data/postgresql.conf" >/dev/null
	as_server pg_ctl -D "$work/data" -l "$work/server.log" -w start >/dev/null ||
		{ cat "$work/server.log" >&2; die "the server did not start"; }
}

server_pid() { head -n 1 "$work/data/postmaster.pid"; }

# Stops every server that runs in a folder under $work, by the process id that
# it wrote there itself, and waits for it.
stop_servers() {
	local file pid
	while IFS= read -r file; do
		pid=$(head -n 1 "$file" 2>/dev/null) || continue
		[[ $pid =~ ^[0-9]+$ && /proc/$pid/cwd -ef ${file%/*} ]] || continue
		as_server kill -INT "$pid" 2>/dev/null || continue
		for _ in {1..100}; do
			[[ -d /proc/$pid ]] || break
			sleep 0.1
		done
		[[ ! -d /proc/$pid ]] || as_server kill -QUIT "$pid" 2>/dev/null || true
	done < <(find "$work" -name postmaster.pid -type f 2>/dev/null)
}

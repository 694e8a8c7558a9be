#!/usr/bin/env bash
# dev.sh [start|stop|psql|status] [--dotenv backend/.env]: a server of your own, with key_vault in development mode.
#
# start (also without a word) makes the server if there is none, starts it, and
# prints how a backend reaches it.  Its data stay until you remove its folder,
# $KEY_VAULT_DEV or ~/.local/share/key_vault/dev.  It is reached by a socket that
# only you can use, and it runs as you, because keys are saved to the .env file
# that --dotenv names, and that file is yours.  Arguments after `psql` go to psql.

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() { die "usage: scripts/dev.sh [start|stop|psql|status] [--dotenv FILE]"; }

command=start dotenv='' arguments=()
if [[ $# -gt 0 && $1 != --* ]]; then command=$1; shift; fi
case "$command" in
	start)
		if [[ ${1:-} == --dotenv && $# == 2 ]]; then dotenv=$(realpath -m -- "$2"); shift 2; fi
		[[ $# == 0 ]] || usage
		;;
	psql) arguments=("$@") ;;
	stop | status) [[ $# == 0 ]] || usage ;;
	*) usage ;;
esac

if is_root; then
	die "run this as yourself, not as root" \
		"PostgreSQL refuses to run as root, and the .env file must belong to who runs the server." \
		"In a container that has root only: useradd -m dev, then runuser -u dev -- scripts/dev.sh"
fi

folder=${KEY_VAULT_DEV:-${XDG_DATA_HOME:-$HOME/.local/share}/key_vault/dev}
work=$folder	# where lib.sh looks for the server

is_made() { [[ -e $folder/made ]]; }

is_running() {
	local pid
	pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ && /proc/$pid/cwd -ef $folder/data ]]
}

find_server() {
	if [[ -e $folder/data/PG_VERSION ]]; then export PG_MAJOR=${PG_MAJOR:-$(<"$folder/data/PG_VERSION")}; fi
	need_packages demo
}

in_psql() { as_server psql -X -q -v ON_ERROR_STOP=1 -U postgres "$@"; }

# --- Making it --------------------------------------------------------------

make_folders() {
	mkdir -p "$folder"
	chmod 700 "$folder"
	mkdir -p "$folder/keyring" "$folder/sock" "$folder/tmp"
	chmod 700 "$folder/keyring" "$folder/sock"
	((${#folder} < 85)) || die "the path $folder is too long for a socket in it" "Set KEY_VAULT_DEV to a shorter one."
}

# A .env file that is there stays as it is.
make_dotenv() {
	dotenv=${dotenv:-$(cat "$folder/dotenv" 2>/dev/null || say "$folder/.env")}
	[[ $dotenv != *[\'\\$'\n']* ]] || die "the path of the .env file has a quote, a backslash or a line end in it"
	if [[ ! -e $dotenv ]]; then
		[[ -d ${dotenv%/*} ]] || die "there is no folder ${dotenv%/*} for the .env file"
		(
			umask 077
			cat >"$dotenv" <<-ENV
				# Settings of this machine: never commit this file.
				DEBUG=true
				DATABASE_URL="postgresql://app@/dev?host=$folder/sock"
			ENV
		)
		say "Made $dotenv"
	fi
	[[ -O $dotenv ]] || die "$dotenv is not yours, and the server changes only files of its own user" \
		"Run: sudo chown $(id -un) \"$dotenv\""
	say "$dotenv" >"$folder/dotenv"
}

# What the login signs tokens with: JWT_SECRET of the .env file, or one that is made.  It is
# trusted when it is new, so that issuers which you trust yourself stay.
trust_login() {
	local secret trusted=$folder/jwt_secret
	secret=$(sed -nE "s/^(export )?JWT_SECRET *= *[\"']?([^\"'#[:space:]]+)[\"']?.*/\2/p" "$dotenv" | tail -n 1)
	secret=${secret:-$(cat "$trusted" 2>/dev/null || random_secret)}
	[[ $secret != "$(cat "$trusted" 2>/dev/null)" ]] || return 0
	(umask 077; say "$secret" >"$trusted.new")
	in_psql -d dev -v file="$trusted.new" <<-'SQL' || die "the secret that tokens are signed with is not accepted"
		\set secret `cat :'file'`
		SELECT key_vault.trust_issuer('app-login', '{app}', jsonb_build_object('keys', jsonb_build_array(jsonb_build_object(
		    'kty', 'oct', 'alg', 'HS256', 'k', translate(encode(convert_to(:'secret', 'UTF8'), 'base64'), E'+/=\n', '-_'))))) \g /dev/null
	SQL
	mv "$trusted.new" "$trusted"
}

random_secret() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# The settings that a start writes anew.  What you change yourself belongs into
# postgresql.conf, or is said with ALTER SYSTEM.
write_settings() {
	cat >"$folder/dev.conf" <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$folder/sock'
		unix_socket_permissions = 0700
		shared_preload_libraries = 'key_vault'
		key_vault.keyring_file = '${folder//%/%%}/keyring/%d.keyring'
		key_vault.dotenv_file = '$dotenv'
	CONF
}

make_cluster() {
	rm -rf "$folder/data"
	as_server initdb -D "$folder/data" -U postgres -A trust -E UTF8 --no-sync >"$folder/initdb.log" 2>&1 ||
		{ cat "$folder/initdb.log" >&2; die "initdb failed"; }
	say "include '$folder/dev.conf'" >>"$folder/data/postgresql.conf"
}

make_database() {
	as_server createdb -U postgres dev
	in_psql -d dev <<-'SQL'
		SET client_min_messages = warning;
		CREATE EXTENSION key_vault;
		SELECT key_vault.create_root_key() \g /dev/null
		CREATE ROLE app LOGIN;
		CREATE ROLE migrator LOGIN;
		GRANT CREATE ON DATABASE dev TO migrator;
		GRANT ALL ON SCHEMA public TO migrator;
		ALTER DEFAULT PRIVILEGES FOR ROLE migrator GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app;
		ALTER DEFAULT PRIVILEGES FOR ROLE migrator GRANT USAGE ON SEQUENCES TO app;
		SELECT key_vault.grant_access('migrator', 'admin') \g /dev/null
		SELECT key_vault.grant_access('app', 'user') \g /dev/null
		REVOKE TEMPORARY ON DATABASE dev FROM PUBLIC;
	SQL
	touch "$folder/made"
}

# --- The commands -----------------------------------------------------------

start_dev() {
	find_server
	make_folders
	exec 7>"$folder/lock"
	flock 7
	make_dotenv
	is_made || stop_servers		# what a start left unfinished
	if is_running; then
		write_settings
		as_server pg_ctl -D "$folder/data" reload >/dev/null
	else
		rm -rf "$folder/postgresql" "$folder/tree" "$folder/built"
		build demo with_llvm=no
		rm -rf "$folder/tree"
		write_settings
		is_made || make_cluster
		as_server pg_ctl -D "$folder/data" -l "$folder/server.log" -w start >/dev/null 7>&- ||
			{ tail "$folder/server.log" >&2; die "the server did not start"; }
	fi
	is_made || make_database
	trust_login
	flock -u 7
	tell
}

tell() {
	cat <<-END
		The server is up, with key_vault in database dev.  For the backend:

		    DATABASE_URL="postgresql://app@/dev?host=$folder/sock"
		    JWT_SECRET=\$(cat "$folder/jwt_secret")

		For what makes tables: "postgresql://migrator@/dev?host=$folder/sock"

		Mode:  $(in_psql -d dev -At -F ', because ' -c 'SELECT * FROM key_vault.mode()')
		.env:  $(<"$folder/dotenv")

		    scripts/dev.sh psql      a superuser's session (psql -h $folder/sock -U app -d dev is the backend's)
		    scripts/dev.sh stop      stops it; the data stay in $folder
	END
}

need_running() {
	is_running || die "the server is not up" "Start it with: scripts/dev.sh"
	find_server
}

case "$command" in
	start) start_dev ;;
	stop)
		if is_running; then
			find_server
			stop_servers
			say "The server is stopped; its data stay in $folder."
		else
			say "The server is not up."
		fi
		;;
	psql)
		need_running
		exec "$bindir/psql" -h "$folder/sock" -U postgres -d dev "${arguments[@]}"
		;;
	status)
		need_running
		tell
		in_psql -d dev -c 'SELECT * FROM key_vault.status()'
		;;
esac

# shellcheck shell=bash disable=SC2154	# compare.sh sets what is not set here
# sessions.sh: for compare.sh: the first lookup of a session, a session for each
# lookup, and lookups that the server logs.
#
# The log is measured beside a second server, which does not know key_vault: its
# policy compares with a setting of its own.  Both write csvlog onto a memory file
# system.  Each figure is taken several times a round, the ways one after the other.

turns=3				# of each way in a round
first_turns=8		# of first lookups: one session each
connections=150		# of one turn
logged_calls=6000	# of one turn
plain_port=5433		# of the second server

# A role like app, whose statements are logged.
logged_role='CREATE ROLE logged LOGIN IN ROLE app; ALTER ROLE logged SET log_min_duration_statement = 0'

# first_statement SQL DATABASE: how long a session's first statement takes, in microseconds.
first_statement() {
	as_server PGOPTIONS="-c key_vault.user_id=$owner" psql -X -q -A -t -v ON_ERROR_STOP=1 -U app -d "$2" <<-SQL |
		\timing on
		$1 \g /dev/null
	SQL
		sed -nE 's/^Time: ([0-9.]+) ms.*/\1/p' | awk '{ print $1 * 1000 }'
}

first_lookups() {
	local round=$1 database=straight_$size i label
	for ((i = 1; i <= first_turns; i++)); do
		label=$((RANDOM % owned + 1))
		record first - plaintext "$round.$i" "$(first_statement \
			"SELECT api_key FROM bench.plaintext WHERE user_id = '$owner' AND provider = 'gemini' AND label = '$label'" "$database")"
		record first - get "$round.$i" "$(first_statement \
			"SELECT key_vault.get('$owner', 'gemini', '$label')" "$database")"
	done
}

# rate OPTIONS WAY PGBENCH_ARGUMENTS...: transactions a second, connections counted in.
rate() {
	local options=$1 way=$2
	shift 2
	as_server PGOPTIONS="$options" taskset -c "$cpu" pgbench -n -M prepared -c 1 \
		-f "$work/pgbench/$way" -D u="$owner" "$@" >"$work/pgbench.log" 2>&1 ||
		{ cat "$work/pgbench.log" >&2; die "pgbench failed"; }
	sed -nE 's/^tps = ([0-9.]+) .*/\1/p' "$work/pgbench.log"
}

# Microseconds of connecting, one lookup, and disconnecting.
by_connecting() {
	local round=$1 i way
	for ((i = 1; i <= turns; i++)); do
		for way in plaintext get; do
			record connect - "$way" "$round.$i" "$(rate "-c key_vault.user_id=$owner" "$way" \
				-C -t "$connections" -U app "straight_$size" | awk '{ print 1000000 / $1 }')"
		done
	done
}

logged() {
	local round=$1 i
	for ((i = 1; i <= turns; i++)); do
		record logged - plaintext "$round.$i" "$(rate "-c bench.user_id=$owner" plaintext \
			-t "$logged_calls" -U logged -p "$plain_port" plain)"
		record logged - get "$round.$i" "$(rate "-c key_vault.user_id=$owner" get \
			-t "$logged_calls" -U logged "straight_$size")"
	done
	empty_logs
}

# Nobody but the server's user sees what the logs hold.
make_log_folder() {
	logs=$(mktemp -d /dev/shm/key_vault.XXXXXX)
	own_by_server "$logs"
	trap 'status=$?; rm -rf "$logs"; (exit "$status"); clean_up' EXIT
}

# log_settings NAME: for postgresql.conf
log_settings() {
	say 'logging_collector = on' "log_destination = 'csvlog'" "log_directory = '$logs/$1'" \
		'log_rotation_size = 0' 'log_checkpoints = off'
}

# pin PID: a server and who writes its log, but not its other processes, to our CPU.  To
# whom a backend hands each entry decides about how often it waits.
pin() {
	local pid
	for pid in "$1" $(pgrep -P "$1" -f '^postgres: logger'); do
		taskset -acp "$cpu" "$pid" >/dev/null
	done
}

# What each server has logged is of the size of what it was asked, and is not kept.
empty_logs() {
	local server lines
	for server in vault plain; do
		lines=$(cat "$logs/$server"/*.csv | grep -c duration) || true
		((lines >= turns * logged_calls)) || die "the server \"$server\" logged $lines lines"
		truncate -s 0 "$logs/$server"/*.csv
	done
}

# The second server, with plaintext alone, as many rows as where it is compared.
start_plain_server() {
	local data=$work/plain
	as_server initdb -D "$data" -U postgres -A trust -E UTF8 --no-sync >"$work/initdb.log" 2>&1 ||
		{ cat "$work/initdb.log" >&2; die "initdb failed"; }
	{
		say "listen_addresses = ''" "unix_socket_directories = '$work/sock'" "port = $plain_port"
		common_settings
		log_settings plain
	} | as_server tee -a "$data/postgresql.conf" >/dev/null
	as_server pg_ctl -D "$data" -l "$work/plain.log" -w start >/dev/null ||
		{ cat "$work/plain.log" >&2; die "the second server did not start"; }
	pin "$(head -n 1 "$data/postmaster.pid")"
	as_admin -p "$plain_port" -d postgres -c 'CREATE ROLE app LOGIN' -c "$logged_role" -c 'CREATE DATABASE plain'
	as_admin -p "$plain_port" -d plain -v secrets="$1" -v owned="$owned" <"$here/plain.sql" >/dev/null
}

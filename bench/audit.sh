#!/usr/bin/env bash
# audit.sh: what the audit costs, through pgbench, and what an immediate stop loses.
#
# Each way takes turns with what it is compared with; a ratio is the median of the turns'.
# Settings are switched under the same clients, which go on.  Prints Markdown with the aims at
# the end; an aim that is not met is no failure.
#
# Clients share a CPU with their sessions, so that waking a CPU is no part of it, and the audit's
# worker has the others.  Where clients, sessions and worker share all CPUs, and these have
# nothing else to do, what the worker takes comes off the calls, too: that ratio is one of CPU
# time.  "Without" is a library that is built without the audit.
#
# PAIRS=n changes the number of pairs, ROUNDS=n that of the other turns, SECONDS_EACH=n what
# one of these takes.

# shellcheck source-path=SCRIPTDIR/../scripts source=../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

rounds=${ROUNDS:-5}
pairs=${PAIRS:-15}
seconds=${SECONDS_EACH:-2}
users=5000
cpus=$(taskset -cp $$ | sed -E 's/.*: //')
cpu=${cpus##*[,-]}

as_admin() { as_server psql -X -q -A -t -v ON_ERROR_STOP=1 -U postgres "$@"; }

# record WHAT ROUND VALUE BASE
record() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$results"; }

load() {
	as_admin -d postgres -c "CREATE DATABASE $1"
	as_admin -d "$1" -v users="$users" >/dev/null <<-'SQL'
		SET client_min_messages = warning;
		CREATE EXTENSION key_vault;
		SELECT key_vault.create_root_key();
		SELECT key_vault.grant_access('app', 'service');
		SELECT count(key_vault.set('user_' || i, 'gemini', 'AIza' || md5(i::text))) FROM generate_series(1, :users) AS i;
		CREATE TABLE plain (user_id text, provider text, label text, version int, api_key text, created_at timestamptz DEFAULT now());
		GRANT INSERT ON plain TO app;
		VACUUM (FREEZE, ANALYZE);
	SQL
}

write_scripts() {
	mkdir "$work/pgbench"
	say "\\set u random(1, $users)" "SELECT key_vault.get('user_' || :u, 'gemini');" >"$work/pgbench/get"
	say "\\set u random(1, $users)" "INSERT INTO plain (user_id, provider, label, version, api_key)" \
		"VALUES ('user_' || :u, 'gemini', 'default', 1, 'AIza0123456789abcdef0123456789abcdef');" >"$work/pgbench/insert"
	own_by_server "$work/pgbench"
}

set_to() {
	as_admin -d vault -c "ALTER SYSTEM SET key_vault.$1 = $2" -c 'SELECT pg_reload_conf()' >/dev/null
	sleep 0.3
}
set_audit() { set_to audit "$1"; }

our_workers() { as_admin -d vault -c "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'key_vault %'"; }

# rate CLIENTS SCRIPT DATABASE: transactions a second, of clients that are connected
rate() {
	local clients=$1 pin=() threads
	((clients > 1)) || pin=(taskset -c "$cpu")
	threads=$((clients < 8 ? clients : 2))
	as_server "${pin[@]}" pgbench -n -M prepared -c "$clients" -j "$threads" -T "$seconds" -U app \
		-f "$work/pgbench/$2" "$3" >"$work/pgbench.log" 2>&1 || { cat "$work/pgbench.log" >&2; die "pgbench failed"; }
	sed -nE 's/^tps = ([0-9.]+) .*/\1/p' "$work/pgbench.log"
}

transactions() { sed -nE 's/^number of transactions actually processed: ([0-9]+).*/\1/p' "$1"; }

# New sessions are on one CPU with their client; the worker is not.
pin_sessions() { taskset -cp "$cpu" "$(server_pid)" >/dev/null; }
unpin_sessions() { taskset -cp "$cpus" "$(server_pid)" >/dev/null; }
unpin_workers() {
	local pid
	as_admin -d vault -c "SELECT key_vault.get('user_1', 'gemini')" >/dev/null
	sleep 0.2
	for pid in $(our_workers); do taskset -cp "$cpus" "$pid" >/dev/null; done
}

# The library without the audit, beside the one with it: sessions load the one of their database.
off_beside_without() {
	local pair with without
	as_admin -d bare -c "UPDATE pg_proc SET probin = '$work/without.so' WHERE probin = '\$libdir/key_vault'"
	pin_sessions
	for ((pair = 1; pair <= pairs; pair++)); do
		if ((pair % 2)); then
			without=$(rate 1 get bare) with=$(rate 1 get vault)
		else
			with=$(rate 1 get vault) without=$(rate 1 get bare)
		fi
		record off "$pair" "$with" "$without"
	done
	unpin_sessions
}

# switch_on_and_off SETTING ON: after every second line of pgbench's progress; prints these
switch_on_and_off() {
	local setting=$1 on=$2 line n=0
	while read -r line; do
		[[ $line == progress:* ]] || { say "$line" >&2; continue; }
		n=$((n + 1))
		say "$n ${line#*, }"
		if ((n % 4 == 2 && n < 4 * pairs)); then
			set_to "$setting" "$on"
			unpin_workers
		elif ((n % 4 == 0)); then
			set_to "$setting" off
		fi
	done
}

# switching WHAT CLIENTS SETTING ON [COMMAND]: look-ups a second with the setting on, beside off,
# of clients under the command: of each two seconds the second one, beside the mean of those
# before and after
switching() {
	local what=$1 clients=$2 setting=$3 on=$4
	set_to "$setting" off
	as_server "${@:5}" pgbench -n -M prepared -c "$clients" -j $((clients < 8 ? 1 : 2)) -T $((4 * pairs + 3)) -P 1 \
		-U app -f "$work/pgbench/get" vault 2>&1 >/dev/null | switch_on_and_off "$setting" "$on" >"$work/progress"
	awk -v what="$what" -v pairs="$pairs" '
		{ tps[$1] = $2 }
		END {
			for (i = 1; i <= pairs; i++)
				printf "%s\t%d\t%f\t%f\n", what, i, tps[4 * i], (tps[4 * i - 2] + tps[4 * i + 2]) / 2
		}' "$work/progress" >>"$results"
}

# The same with clients and sessions on one CPU.
switching_pinned() {
	pin_sessions
	switching "$@" taskset -c "$cpu"
	unpin_sessions
}

# After each key was written once, as it is once a minute at most.
last_use_beside_none() {
	set_to track_last_use on
	as_admin -d vault -c "SELECT count(key_vault.get('user_' || i, 'gemini')) FROM generate_series(1, $users) AS i" >/dev/null
	sleep 3
	switching_pinned 'last use' 1 track_last_use on
	set_to track_last_use off
}

durable_beside_inserts() {
	local round=$1 inserts durable
	set_audit off
	inserts=$(rate 64 insert vault)
	set_audit durable
	durable=$(rate 64 get vault)
	record durable "$round" "$durable" "$inserts"
}

# timed SQL: in seconds
timed() { as_admin -d vault -c '\timing on' -c "$1" | sed -nE 's/^Time: ([0-9.]+) ms.*/\1/p' | awk '{ print $1 / 1000 }'; }

verify_beside_sha256() {
	local sha verify
	sha=$(timed "SELECT count(sha256(convert_to(a::text, 'UTF8'))) FROM key_vault_data.audit a")
	verify=$(timed 'SELECT * FROM key_vault.verify_audit()')
	record verify "$1" "$verify" "$sha"
}

# Look-ups that were answered under load, and have no record after an immediate stop.
lost_at_a_stop() {
	local before after answered
	set_audit async
	before=$(as_admin -d vault -c 'SELECT count(*) FROM key_vault.audit_log')
	(as_server pgbench -n -M prepared -c 8 -j 2 -T 30 -U app -f "$work/pgbench/get" vault >"$work/stopped.log" 2>&1 || true) &
	sleep 3
	as_server pg_ctl -D "$work/data" -m immediate stop >/dev/null
	wait $!
	as_server pg_ctl -D "$work/data" -l "$work/server.log" -w start >/dev/null
	after=$(as_admin -d vault -c 'SELECT count(*) FROM key_vault.audit_log')
	answered=$(transactions "$work/stopped.log")
	record lost "$1" "$((answered - (after - before)))" "$((answered / 3))"
}

report() {
	say "The audit on $("$pg_config" --version), $(nproc) CPUs, medians of $pairs pairs, of $rounds rounds for the last four:" '' \
		'| | with | compared with | ratio |' '|---|---:|---:|---:|'
	as_admin -d vault <<-SQL
		CREATE TEMPORARY TABLE measured (what text, round text, value float8, base float8);
		\copy measured FROM '$results'
		CREATE TEMPORARY TABLE aims (place int, what text, label text, below boolean, aim numeric);
		INSERT INTO aims VALUES
			(1, 'off', 'look-ups a second with \`off\`, beside a library without the audit', false, 0.99),
			(2, 'async, 1', 'look-ups a second with \`async\`, beside \`off\`, one client', false, 0.95),
			(3, 'async, 8', 'look-ups a second with \`async\`, beside \`off\`, eight clients', false, 0.95),
			(4, 'async, shared', 'the same where clients, sessions and worker share all CPUs', false, 0.95),
			(5, 'last use', 'look-ups a second with \`track_last_use\`, beside without, one client', false, 0.97),
			(6, 'durable', 'look-ups a second with \`durable\`, beside plaintext INSERTs, 64 clients each', false, 0.5),
			(7, 'verify', 'seconds of \`verify_audit()\`, beside sha256() over the same rows', true, 5),
			(8, 'lost', 'records that an immediate stop lost, beside look-ups a second', true, 1);
		CREATE TEMPORARY TABLE medians AS
			SELECT what, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS value,
			       percentile_cont(0.5) WITHIN GROUP (ORDER BY base) AS base,
			       percentile_cont(0.5) WITHIN GROUP (ORDER BY value / base) AS ratio
			FROM measured GROUP BY what;
		SELECT format('| %s | %s | %s | %s |', label, round(value::numeric, CASE WHEN value < 100 THEN 2 ELSE 0 END),
		              round(base::numeric, CASE WHEN base < 100 THEN 2 ELSE 0 END), round(ratio::numeric, 3))
		FROM medians JOIN aims USING (what) ORDER BY place;
		SELECT '';
		SELECT format('%s: %s: at %s %s', CASE WHEN ratio >= aim AND NOT below OR ratio <= aim AND below THEN 'met' ELSE 'NOT MET' END,
		              label, CASE WHEN below THEN 'most' ELSE 'least' END, aim)
		FROM medians JOIN aims USING (what) ORDER BY place;
		SELECT 'the chain is whole: ' || (SELECT count(*) = 0 FROM key_vault.verify_audit());
	SQL
}

need_packages demo
make_work
results=$work/results
: >"$results"
build bench with_llvm=no >&2
cp -a "$work/tree" "$work/without"
run_make -C "$work/without" clean with_llvm=no >&2
run_make -C "$work/without" -j "$(nproc)" with_llvm=no COPT=-DKV_WITHOUT_AUDIT >&2
cp "$work/without/key_vault.so" "$work/without.so"
own_by_server "$work/without.so"

start_server <<-CONF
	fsync = on
	key_vault.keyring_file = '$work/%d.keyring'
	shared_buffers = 1GB
	max_wal_size = 8GB
	checkpoint_timeout = 1h
	max_connections = 200
	autovacuum = off
	jit = off
CONF
as_admin -d postgres -c 'CREATE ROLE app LOGIN'
write_scripts
load vault
load bare
off_beside_without

say "shared_preload_libraries = 'key_vault'" | as_server tee -a "$work/data/postgresql.conf" >/dev/null
as_server pg_ctl -D "$work/data" -l "$work/server.log" -w restart >/dev/null
switching_pinned 'async, 1' 1 audit async
switching_pinned 'async, 8' 8 audit async
switching 'async, shared' 8 audit async
last_use_beside_none
for ((round = 1; round <= rounds; round++)); do
	durable_beside_inserts "$round"
	((round > 3)) || verify_beside_sha256 "$round"
	lost_at_a_stop "$round"
done
report

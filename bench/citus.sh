#!/usr/bin/env bash
# citus.sh: what keys cost that Citus has distributed, beside plaintext that it has distributed,
# and beside one machine.
#
# Starts a coordinator and two workers on this machine; where the server that is tested has no
# Citus, it says so and ends.  Lookups are pgbench's, of a client whose transactions take turns:
# get() of users all over the shards beside a SELECT from a table of the same shape.  A rotation
# of the distributed secrets takes turns with one of the same secrets in a database without Citus.
# A figure is the median of the rounds, and so is a ratio.  Prints Markdown with the aims at
# the end; an aim that is not met is no failure.
#
# ROUNDS=n changes the number of rounds, SIZE=n that of secrets, BATCH=n the rows of a batch,
# SECONDS_EACH=n how long pgbench runs in a round.

# shellcheck source-path=SCRIPTDIR/../scripts source=../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

[[ $# == 0 ]] || die "usage: bench/citus.sh"
size=${SIZE:-50000}
rounds=${ROUNDS:-3}
batch=${BATCH:-1000}
seconds=${SECONDS_EACH:-4}
nodes=(coordinator worker_1 worker_2)
declare -A ports

need_packages demo
if [[ ! -e $("$pg_config" --sharedir)/extension/citus.control ]]; then
	say "$("$pg_config" --version) has no Citus: nothing is measured. PG_CONFIG names a server that has."
	exit
fi

# on NODE DATABASE [argument of psql...]
on() {
	as_server psql -X -q -A -t -v ON_ERROR_STOP=1 -U postgres -p "${ports[$1]}" -d "$2" "${@:3}"
}

free_port() {
	/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_node() {
	local folder=$work/$1
	ports[$1]=$(free_port)
	as_server initdb -D "$folder" -U postgres -A trust -E UTF8 --no-sync >"$work/initdb.log" 2>&1 || die "initdb failed"
	as_server tee -a "$folder/postgresql.conf" >/dev/null <<-CONF
		listen_addresses = '127.0.0.1'
		port = ${ports[$1]}
		unix_socket_directories = '$work/sock'
		shared_preload_libraries = 'citus, key_vault'
		key_vault.keyring_file = '$work/%d.keyring'
		citus.node_conninfo = 'sslmode=disable'
		citus.local_hostname = '127.0.0.1'
		citus.shard_count = 8
		shared_buffers = 512MB
		max_wal_size = 8GB
		checkpoint_timeout = 1h
		max_prepared_transactions = 100
		autovacuum = off
		jit = off
	CONF
	as_server pg_ctl -D "$folder" -l "$work/$1.log" -w start >/dev/null || { cat "$work/$1.log" >&2; die "$1 did not start"; }
}

# The same secrets in two databases of the coordinator: distributed, and single.
load() {
	local database
	on coordinator postgres -c 'CREATE ROLE app LOGIN' -c 'CREATE DATABASE distributed' -c 'CREATE DATABASE single' 2>/dev/null
	for node in worker_1 worker_2; do
		on "$node" postgres -c 'CREATE DATABASE distributed' -c 'CREATE ROLE app LOGIN' 2>/dev/null
		on "$node" distributed -c 'CREATE EXTENSION citus'
	done
	on coordinator distributed -c 'CREATE EXTENSION citus' -c "SELECT citus_set_coordinator_host('127.0.0.1', ${ports[coordinator]})" >/dev/null
	for node in worker_1 worker_2; do
		on coordinator distributed -c "SELECT citus_add_node('127.0.0.1', ${ports[$node]})" >/dev/null
	done
	for database in distributed single; do
		on coordinator "$database" -v secrets="$size" >/dev/null <<-'SQL'
			SET client_min_messages = warning;
			CREATE EXTENSION key_vault;
			SELECT key_vault.create_root_key();
			SELECT key_vault.grant_access('app', 'service');
			SELECT count(key_vault.set((1000000000 + i)::text, 'gemini', 'AIzaSy' || rpad(md5(i::text), 33, 'x'))) FROM generate_series(1, :secrets) AS i;
		SQL
	done
	on coordinator distributed -v secrets="$size" >/dev/null <<-'SQL'
		SET client_min_messages = warning;
		CREATE SCHEMA bench;
		GRANT USAGE ON SCHEMA bench TO app;
		CREATE TABLE bench.plaintext (
		    user_id     text NOT NULL,
		    provider    text NOT NULL,
		    label       text NOT NULL,
		    version     int NOT NULL DEFAULT 1,
		    api_key     text NOT NULL,
		    expires_at  timestamptz,
		    created_at  timestamptz NOT NULL DEFAULT now(),
		    PRIMARY KEY (user_id, provider, label)
		);
		GRANT SELECT ON bench.plaintext TO app;
		SELECT create_distributed_table('bench.plaintext', 'user_id');
		INSERT INTO bench.plaintext (user_id, provider, label, api_key)
		SELECT (1000000000 + i)::text, 'gemini', 'default', 'AIzaSy' || rpad(md5(i::text), 33, 'x') FROM generate_series(1, :secrets) AS i;
		SELECT key_vault.distribute();
		VACUUM (FREEZE, ANALYZE) bench.plaintext, key_vault_data.secrets;
	SQL
}

# Transactions a second of each way, by the time that its own take: of one client, which draws them in turns.
lookups() {
	as_server pgbench -n -M prepared -c 1 -T "$seconds" -U app -p "${ports[coordinator]}" -f "$work/plaintext" -f "$work/get" distributed >"$work/pgbench.log" 2>&1 ||
		{ cat "$work/pgbench.log" >&2; die "pgbench failed"; }
	awk '/^ - latency average = / { printf "%s%.1f", n++ ? " " : "", 1000 / $5 }' "$work/pgbench.log"
}

# rate_of DATABASE: rows a second of a rotation, on a table without dead rows
rate_of() {
	on coordinator "$1" <<-SQL
		SET client_min_messages = warning;
		SELECT key_vault.activate_root_key(key_vault.create_root_key()) \\g /dev/null
		VACUUM (FULL, ANALYZE) key_vault_data.secrets;
		CHECKPOINT;
		SELECT clock_timestamp() AS begun \\gset
		CALL key_vault.rotate_root_key($batch);
		SELECT $size / extract(epoch FROM clock_timestamp() - :'begun');
	SQL
}

# Everything is sealed with the newest root key, and opens; what it was compared with is the same.
check() {
	local answer
	answer=$(on coordinator distributed <<-SQL
		SELECT count(*) FROM generate_series(1, $size) AS i WHERE i % 97 = 0
		    AND key_vault.get((1000000000 + i)::text, 'gemini') IS DISTINCT FROM 'AIzaSy' || rpad(md5(i::text), 33, 'x');
		SELECT secrets FROM key_vault.root_keys WHERE state = 'active';
		SELECT count(*) FROM bench.plaintext;
	SQL
	)
	[[ $answer == 0$'\n'"$size"$'\n'"$size" ]] || die "not all of $size secrets were rotated, or do not open: ${answer//$'\n'/, }"
}

make_work
build bench with_llvm=no >&2
for node in "${nodes[@]}"; do start_node "$node"; done
load >&2
say "\\set i random(1, $size)" '\set u 1000000000 + :i' \
	"SELECT api_key FROM bench.plaintext WHERE user_id = :u AND provider = 'gemini' AND label = 'default';" >"$work/plaintext"
say "\\set i random(1, $size)" '\set u 1000000000 + :i' "SELECT key_vault.get(:u, 'gemini');" >"$work/get"
own_by_server "$work/plaintext" "$work/get"

lookups >/dev/null		# sessions of workers are connected, and all is in cache
for ((round = 1; round <= rounds; round++)); do
	say "lookup $(lookups)" "rotation $(rate_of single) $(rate_of distributed)"
done >"$work/results"
check

say '## Distributed keys beside plaintext, and beside one machine' '' \
	"$("$pg_config" --version), Citus $(on coordinator distributed -c "SELECT extversion FROM pg_extension WHERE extname = 'citus'"): coordinator and two workers on one machine of $(nproc) CPUs, fsync on, $size secrets, median of $rounds rounds." ''
on coordinator single <<-SQL
	CREATE TEMPORARY TABLE measured (what text, base float8, ours float8);
	\\copy measured FROM '$work/results' (DELIMITER ' ')
	CREATE TEMPORARY TABLE medians AS
		SELECT what, percentile_cont(0.5) WITHIN GROUP (ORDER BY base) AS base, percentile_cont(0.5) WITHIN GROUP (ORDER BY ours) AS ours,
		       percentile_cont(0.5) WITHIN GROUP (ORDER BY ours / base) AS ratio
		FROM measured GROUP BY what;
	CREATE TEMPORARY TABLE shown (line int, what text, base_title text, our_title text, aim text, bound numeric);
	INSERT INTO shown VALUES
		(1, 'lookup', '**Lookups a second through pgbench**, distributed: plaintext', '\`get\`', '\`get\` through pgbench, to plaintext, both distributed', 0.75),
		(2, 'rotation', '**Rows of a rotation a second**: on one machine', 'distributed', 'rotation, to that on one machine', 0.5);
	SELECT E'| | | × |\n|---|---:|---:|';
	SELECT format(E'| %s | %s | 1.00 |\n| %s | %s | %s |', base_title, to_char(base, 'FM9,999,990'), our_title, to_char(ours, 'FM9,999,990'), to_char(ratio, 'FM9990.00'))
	FROM shown JOIN medians USING (what) ORDER BY line;
	SELECT E'\n| aim | at least | stands at | |\n|---|---:|---:|---|';
	SELECT format('| %s | %s | %s | %s |', aim, bound, to_char(ratio, 'FM9990.00'), CASE WHEN ratio >= bound THEN 'met' ELSE 'not met' END)
	FROM shown JOIN medians USING (what) ORDER BY line;
SQL

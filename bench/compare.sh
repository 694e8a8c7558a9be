#!/usr/bin/env bash
# compare.sh [--long] [--svg FILE]: what key_vault costs, side by side with plaintext
# and with pgcrypto.
#
# Measures on a throwaway server of its own, which preloads key_vault; server and client
# are pinned to one CPU.  The ways and the numbers of secrets take turns: loops by round,
# pgbench's transactions one by one.  A figure is the median of the rounds, a ratio the
# median of the rounds' ratios.  Prints Markdown, with the aims at the end; an aim that is
# not met is no failure.  --long adds 1,000,000 secrets; --svg also draws the aims.
#
# What depends on the session (sessions.sh) and rotation (rotation.sh) are measured at one
# number of secrets.  ROUNDS=n changes the number of rounds, SIZES='n n' the numbers of
# secrets.

# shellcheck source-path=SCRIPTDIR/../scripts source=../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

sizes=(10000 100000)
svg=
while (($#)); do
	case "$1" in
		--long) sizes=(10000 100000 1000000) ;;
		--svg) [[ -n ${2:-} ]] || die "--svg needs a file"; svg=$(realpath "$2"); shift ;;
		*) die "usage: bench/compare.sh [--long] [--svg FILE]" ;;
	esac
	shift
done
read -ra sizes <<<"${SIZES:-${sizes[*]}}"
one_size=${sizes[$((${#sizes[@]} > 1 ? 1 : 0))]}	# for what is measured at one number
rounds=${ROUNDS:-5}
here=$top/bench
owned=5000			# secrets that are the labels of one user, in each table
owner=1000000000	# that user; the others count on from there
fast_calls=50000	# in a loop
slow_calls=2000		# of what takes 0.2 ms

# shellcheck source-path=SCRIPTDIR source=sessions.sh
source "$here/sessions.sh"
# shellcheck source-path=SCRIPTDIR source=identity.sh
source "$here/identity.sh"
# shellcheck source-path=SCRIPTDIR source=uses.sh
source "$here/uses.sh"

# --- Ways -------------------------------------------------------------------

# What one transaction of pgbench is.  Nothing is literal but a provider: all is bound.
write_scripts() {
	local folder=$work/pgbench draw="\\set l random(1, $owned)"
	mkdir "$folder"
	lookup() {
		say "$draw" "SELECT $2 FROM bench.$3 WHERE user_id = :u AND provider = 'gemini' AND label = :l;" >"$folder/$1"
	}
	lookup plaintext api_key plaintext
	lookup pgp "pgp_sym_decrypt(sealed, 'passphrase')" pgp
	lookup pgp_s2k0 "pgp_sym_decrypt(sealed, 'passphrase')" pgp_s2k0
	say "$draw" "SELECT key_vault.get(:u, 'gemini', :l);" | tee "$folder/get_counted" >"$folder/get"
	say "$draw" "SELECT * FROM key_vault.lookup(:u, 'gemini', :l);" >"$folder/lookup"
	say "$draw" "SELECT key_vault.get(NULL, 'gemini', :l) FROM key_vault.authenticate(:t);" >"$folder/get_by_token"
	say "$draw" "SELECT :l;" >"$folder/nothing"
	say "$draw" "SELECT key_vault.set(:u, 'gemini', :k, :l);" >"$folder/set"
	say "$draw" "INSERT INTO bench.plaintext (user_id, provider, label, api_key) VALUES (:u, 'gemini', :l, :k)" \
		'ON CONFLICT (user_id, provider, label) DO UPDATE' \
		'SET api_key = excluded.api_key, version = plaintext.version + 1, created_at = clock_timestamp();' >"$folder/upsert"
	own_by_server "$folder"
}

# --- Measuring --------------------------------------------------------------

as_admin() { as_server psql -X -q -v ON_ERROR_STOP=1 -U postgres "$@"; }
as_app() { as_server psql -X -q -A -t -v ON_ERROR_STOP=1 -U app "$@"; }

# record METRIC RUN WAY ROUND VALUE: ways of one run are compared with each other.
record() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$size" "$@" >>"$results"; }

# in_loops ROUND DATABASE WAY...: CPU time of a call inside the server, in microseconds.
in_loops() {
	local round=$1 database=$2 way calls users
	shift 2
	for way; do
		calls=$fast_calls users=$((size - owned))
		case "$way" in
			pgp) calls=$slow_calls ;;
			set | upsert) calls=5000 users=$((users < 5000 ? users : 5000)) ;;
		esac
		say "SELECT bench.loop_$way(500, $users) \\g /dev/null" \
			"SELECT 'loop', '${database%_*}', '$way', $round, bench.loop_$way($calls, $users);"
	done | as_app -F $'\t' -d "$database" | sed "s/^/$size\t/" >>"$results"
}

# by_pgbench ROUND SECONDS RUN DATABASE WAY@WEIGHT...: transactions a second.  One
# client draws the next transaction from all ways, so that whatever else the
# machine does meets each way alike; and the slower half of each is left out.
# session_options, when set, takes the place of the identity that the session has, and
# session_role that of the role.
by_pgbench() {
	local round=$1 seconds=$2 run=$3 database=$4 way rate
	shift 4
	as_server PGOPTIONS="${session_options--c key_vault.user_id=$owner}" taskset -c "$cpu" \
		pgbench -n -M prepared -c 1 -T "$seconds" -U "${session_role:-app}" "${@/#/-f$work/pgbench/}" \
		-D u="$owner" -D t="$token" -D k=AIzaSyABCDEFGHIJKLMNOPQRSTUVWXYZ0123456 \
		--log --log-prefix="$work/tmp/$round" "$database" >"$work/pgbench.log" 2>&1 ||
		{ cat "$work/pgbench.log" >&2; die "pgbench failed"; }
	# Fields: client, transaction, microseconds, script, ...
	while read -r way rate; do
		record pgbench "$run" "${way%@*}" "$round" "$rate"
	done < <(sort -k4,4n -k3,3n "$work/tmp/$round".* | awk -v ways="$*" '
		{ time[$4, ++count[$4]] = $3 }
		END {
			split(ways, way, " ")
			for (script in count) {
				kept = int((count[script] + 1) / 2); sum = 0
				for (i = 1; i <= kept; i++) sum += time[script, i]
				print way[script + 1], 1000000 * kept / sum
			}
		}')
	rm -f "$work/tmp/$round".*
}

# CPU time of a lookup in a SELECT that looks up many, in microseconds.
in_one_select() {
	local round=$1 way
	for way in plaintext get; do
		say "SELECT 'many', '-', '$way', $round, bench.many_$way();"
	done | as_app -F $'\t' -d "straight_$size" | sed "s/^/$size\t/" >>"$results"
}

# What a fresh backend gains by its first lookup: in its memory contexts, and in
# pages that are its own and not shared memory.
first_lookup() {
	local way=$2 values
	values=$(as_app -d "straight_$size" -v lookup="$3" <"$here/memory.sql")
	record contexts - "$way" "$1" "$(sed -n 1p <<<"$values")"
	record private - "$way" "$1" "$(sed -n 2p <<<"$values")"
}

measure_memory() {
	local round
	for ((round = 1; round <= rounds; round++)); do
		first_lookup "$round" plaintext \
			"SELECT api_key FROM bench.plaintext WHERE user_id = '$((owner + 1))' AND provider = 'gemini' AND label = 'default'"
		first_lookup "$round" get "SELECT key_vault.get('$((owner + 1))', 'gemini')"
	done
}

measure_storage() {
	local way table
	for way in get:key_vault_data.secrets plaintext:bench.plaintext pgp:bench.pgp; do
		table=${way#*:}
		record storage - "${way%:*}" 1 "$(as_admin -A -t -d "straight_$size" \
			-c "SELECT pg_total_relation_size('$table')::float8 / (SELECT count(*) FROM $table)")"
	done
}

# --- Data -------------------------------------------------------------------

# Two databases: in the second one a trigger that never fires keeps lookups from
# going the straight way.
load() {
	local straight=straight_$size planned=planned_$size begun=$SECONDS
	as_admin -d postgres -c "CREATE DATABASE $straight"
	as_admin -d "$straight" -v secrets="$size" -v owned="$owned" >/dev/null <<-SQL
		SET client_min_messages = warning;
		CREATE EXTENSION key_vault;
		SELECT key_vault.create_root_key();
		SELECT key_vault.grant_access('app', 'service');
		\i $here/tables.sql
		SELECT count(key_vault.set(user_id, 'gemini', api_key, label)) FROM bench.content;
		\i $here/loops.sql
		VACUUM (FREEZE, ANALYZE);
	SQL
	trust_issuer "$straight"
	as_admin -d postgres -c "CREATE DATABASE $planned TEMPLATE $straight STRATEGY file_copy"
	as_admin -d "$planned" <<-SQL
		CREATE FUNCTION bench.never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER never BEFORE TRUNCATE ON key_vault_data.secrets EXECUTE FUNCTION bench.never();
		DROP TABLE bench.pgp, bench.pgp_s2k0;
	SQL
	as_admin -d postgres -c CHECKPOINT
	say "$size secrets loaded in $((SECONDS - begun)) seconds" >&2
}

# Every key gets as many versions as are kept, so that a set trims one.  No
# checkpoint after it: the full-page images that follow one would be most of what
# a run of seconds writes.
load_versions() {
	as_admin -d "straight_$size" >/dev/null <<-SQL
		SELECT count(key_vault.set(user_id, 'gemini', api_key, label))
		FROM bench.content, generate_series(1, 2)
		WHERE user_id::int <= $owner + 5000;
		VACUUM ANALYZE;
	SQL
}

lookups() {
	local round=$1
	in_loops "$round" "straight_$size" nothing plaintext get get_query lookup pgp_s2k0 pgp
	in_loops "$round" "planned_$size" nothing plaintext get
	by_pgbench "$round" 3 straight "straight_$size" plaintext@1 get@1 lookup@1
	by_pgbench "$round" 1 planned "planned_$size" plaintext@1 get@1
	by_pgbench "$round" 1 others "straight_$size" plaintext@3 pgp_s2k0@3 pgp@1 nothing@3
	in_one_select "$round"
	by_token "$round"
	[[ $size == "$one_size" ]] || return 0
	counted "$round"
	by_connecting "$round"
	first_lookups "$round"
	logged "$round"
}

writes() {
	local round=$1
	in_loops "$round" "straight_$size" upsert set
	by_pgbench "$round" 3 straight "straight_$size" upsert@1 set@1
}

# take_turns WHAT: for every number of secrets in every round.
take_turns() {
	local round
	for ((round = 1; round <= rounds; round++)); do
		for size in "${sizes[@]}"; do "$1" "$round"; done
	done
}

# --- The run ----------------------------------------------------------------

need_packages demo
make_work
make_log_folder
results=$work/results
: >"$results"
build bench with_llvm=no >&2
sync	# pages of a library that was written just now would count as a backend's own

common_settings() {
	say 'fsync = on' 'shared_buffers = 2GB' 'max_wal_size = 8GB' 'checkpoint_timeout = 1h' 'autovacuum = off' 'jit = off'
}

# The last CPU that we may use; the kernel's own work tends to be on the first.
cpu=$(taskset -cp $$ | sed -E 's/.*[ ,-]//')
start_server < <(
	common_settings
	log_settings vault
	say "shared_preload_libraries = 'key_vault'" "key_vault.keyring_file = '$work/keyring'"
)
pin "$(server_pid)"
as_admin -d postgres -c 'CREATE ROLE app LOGIN; GRANT pg_read_all_stats TO app' -c "$logged_role" -c "$counting_role"
write_scripts
make_token
start_plain_server "$one_size"

for size in "${sizes[@]}"; do
	load
	measure_storage
	measure_memory
done
take_turns lookups
for size in "${sizes[@]}"; do load_versions; done
take_turns writes
ROUNDS=$((rounds < 3 ? rounds : 3)) SIZES=$one_size "$here/rotation.sh" --into "$results"

as_admin -d postgres -v version="$("$pg_config" --version)" -v rounds="$rounds" -v one_size="$one_size" \
	-v results="$results" -v chart="$work/chart" <"$here/report.sql"
if [[ -n $svg ]]; then
	"$here/chart.py" <"$work/chart" >"$work/svg"
	cp "$work/svg" "$svg"
fi

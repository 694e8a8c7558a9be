#!/usr/bin/env bash
# rotation.sh [--long | --into FILE]: how fast a rotation is, side by side with a plain UPDATE.
#
# The UPDATE writes the same columns of the same rows in a copy of the table, with
# the same index, in the same batches with a commit each; it draws no random bytes,
# and is told where each batch begins and ends.  Both take turns, each on a table
# without dead rows.  A figure is the median of the rounds, and so is a ratio.
# Prints Markdown with the aim at the end; an aim that is not met is no failure.
# --long adds 1,000,000 secrets; --into adds what was measured to a file of compare.sh's,
# and prints nothing.
#
# ROUNDS=n changes the number of rounds, SIZES='n n' the numbers of secrets,
# BATCH=n the rows of a batch.

# shellcheck source-path=SCRIPTDIR/../scripts source=../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

sizes=(100000)
into=
case "${1:-}" in
	'') ;;
	--long) sizes=(100000 1000000) ;;
	--into) into=${2:-}; [[ -n $into ]] || die "--into needs a file" ;;
	*) die "usage: bench/rotation.sh [--long | --into FILE]" ;;
esac
read -ra sizes <<<"${SIZES:-${sizes[*]}}"
rounds=${ROUNDS:-3}
batch=${BATCH:-1000}

as_admin() { as_server psql -X -q -A -t -v ON_ERROR_STOP=1 -U postgres "$@"; }

load() {
	local begun=$SECONDS
	as_admin -d postgres -c "CREATE DATABASE rotation_$size"
	as_admin -d "rotation_$size" -v secrets="$size" -v batch="$batch" >/dev/null <<-'SQL'
		SET client_min_messages = warning;
		CREATE EXTENSION key_vault;
		SELECT key_vault.create_root_key();
		SELECT count(key_vault.set('user_' || i, 'gemini', 'AIza' || md5(i::text))) FROM generate_series(1, :secrets) AS i;

		CREATE TABLE plain (LIKE key_vault_data.secrets INCLUDING ALL);
		INSERT INTO plain SELECT * FROM key_vault.secrets;

		-- The first row of each batch
		CREATE TABLE edges AS
			SELECT user_id, provider, label, version
			FROM (SELECT *, row_number() OVER (ORDER BY user_id, provider, label, version) AS n FROM plain) AS s
			WHERE n % :batch = 1 % :batch;

		CREATE PROCEDURE update_in_batches() LANGUAGE plpgsql AS $$
		DECLARE
			edges edges[] := ARRAY(SELECT e FROM edges e ORDER BY e);
			edge edges;
			next edges;
		BEGIN
			SET enable_seqscan = off;
			SET enable_bitmapscan = off;
			FOR i IN 1 .. cardinality(edges) LOOP
				edge := edges[i];
				next := edges[i + 1];
				IF next IS NULL THEN
					next.user_id := '~';
				END IF;
				UPDATE plain SET root_key_id = '0123456789abcdef', sealed = set_byte(sealed, 20, 1)
				WHERE (user_id, provider, label, version) >= (edge.user_id, edge.provider, edge.label, edge.version)
				  AND (user_id, provider, label, version) < (next.user_id, next.provider, next.label, next.version);
				COMMIT;
			END LOOP;
		END $$;
	SQL
	say "$size secrets loaded in $((SECONDS - begun)) seconds" >&2
}

# seconds_of TABLE CALL: of a procedure, on a table without dead rows
seconds_of() {
	as_admin -d "rotation_$size" <<-SQL
		SET client_min_messages = warning;
		VACUUM (FULL, ANALYZE) $1;
		CHECKPOINT;
		SELECT clock_timestamp() AS begun \gset
		CALL $2;
		SELECT extract(epoch FROM clock_timestamp() - :'begun');
	SQL
}

new_root_key() {
	as_admin -d "rotation_$size" -c 'SELECT key_vault.activate_root_key(key_vault.create_root_key())' >/dev/null
}

# Everything is sealed with the newest root key, and still opens.
check() {
	local answer
	answer=$(as_admin -d "rotation_$size" <<-SQL
		SELECT count(*) FROM generate_series(1, $size) AS i
		WHERE key_vault.get('user_' || i, 'gemini') = 'AIza' || md5(i::text);
		SELECT secrets FROM key_vault.root_keys WHERE state = 'active';
		SELECT count(*) FROM plain WHERE root_key_id = '0123456789abcdef';
	SQL
	)
	[[ $answer == "$size"$'\n'"$size"$'\n'"$size" ]] || die "not all of $size secrets were rotated, or do not open: ${answer//$'\n'/, }"
}

measure() {
	local round rotation plain
	load
	for ((round = 1; round <= rounds; round++)); do
		new_root_key
		plain=$(seconds_of plain 'update_in_batches()')
		rotation=$(seconds_of key_vault_data.secrets "key_vault.rotate_root_key($batch)")
		say "$size $plain $rotation" >>"$results"
	done
	check
	as_admin -d postgres -c "DROP DATABASE rotation_$size"
}

need_packages demo
make_work
results=$work/results
build bench with_llvm=no >&2
start_server <<-CONF
	fsync = on
	key_vault.keyring_file = '$work/%d.keyring'
	shared_buffers = 1GB
	max_wal_size = 8GB
	checkpoint_timeout = 1h
	autovacuum = off
	jit = off
CONF

for size in "${sizes[@]}"; do measure; done

if [[ -n $into ]]; then
	awk -v OFS='\t' '{ print $1, "rotation", "-", "update", NR, $1 / $2; print $1, "rotation", "-", "rotate", NR, $1 / $3 }' "$results" >>"$into"
	exit
fi

say "Rotation on $("$pg_config" --version), batches of $batch, median of $rounds rounds:" '' \
	'| secrets | plain `UPDATE`, rows a second | `rotate_root_key`, rows a second | ratio |' \
	'|---:|---:|---:|---:|'
as_admin -d postgres <<-SQL
	CREATE TEMPORARY TABLE measured (secrets int, plain float8, rotation float8);
	\copy measured FROM '$results' (DELIMITER ' ')
	CREATE TEMPORARY TABLE medians AS
		SELECT secrets,
		       percentile_cont(0.5) WITHIN GROUP (ORDER BY secrets / plain) AS plain,
		       percentile_cont(0.5) WITHIN GROUP (ORDER BY secrets / rotation) AS rotation,
		       percentile_cont(0.5) WITHIN GROUP (ORDER BY plain / rotation) AS ratio
		FROM measured GROUP BY secrets;
	SELECT format('| %s | %s | %s | %s |', secrets, round(plain), round(rotation), round(ratio::numeric, 2))
	FROM medians ORDER BY secrets;
	SELECT '';
	SELECT format('%s: at least 0.8 of what a plain UPDATE does, at %s secrets', CASE WHEN ratio >= 0.8 THEN 'met' ELSE 'NOT MET' END, secrets)
	FROM medians ORDER BY secrets;
SQL

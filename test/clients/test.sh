#!/usr/bin/env bash
# test.sh [--long | --python] [--print]: each client of docs/drivers.md against a server of its own; prints TAP.
#
# A program a client prints what it sees, one line a fact.  Its two rows in docs/drivers.md have to say the same,
# and so has the list of traps.  --long adds the clients that check.sh does not need otherwise.  --python takes
# Python's instead, for a Debian that has newer ones.  --print prints the rows instead of comparing them.
# key_vault has to be installed in the PostgreSQL of $PG_CONFIG.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
doc=$here/../../docs/drivers.md
pg_config=${PG_CONFIG:-$(find /usr/lib/postgresql -path '*/bin/pg_config' 2>/dev/null | sort -V | tail -n 1)}
[[ " $* " == *' --long '* ]] && long=1 || long=
[[ " $* " == *' --python '* ]] && python=1 || python=
[[ " $* " == *' --print '* ]] && print=1 || print=

# Name in the table | what has to be there | command; those below the empty line with --long or --python only.
clients="\
psycopg 3.1|python3 is_version.py psycopg 3.1 3.2|python3 psycopg3.py
psycopg 3.2|python3 is_version.py psycopg 3.2.4|python3 psycopg3.py
psycopg2|python3 -c 'import psycopg2'|python3 psycopg2_.py
pg (Node)|test -d node_modules/pg|node pg.mjs

SQLAlchemy on psycopg2|python3 -c 'import sqlalchemy, alembic, psycopg2'|python3 sqlalchemy_.py psycopg2
SQLAlchemy on psycopg 3.2|python3 is_version.py sqlalchemy 2 && python3 is_version.py psycopg 3.2.4 && python3 -c 'import alembic'|python3 sqlalchemy_.py psycopg
Django on psycopg2|python3 -c 'import django, psycopg2'|python3 django_.py psycopg2
Django on psycopg 3.2|python3 is_version.py django 4.2 && python3 is_version.py psycopg 3.2.4|python3 django_.py psycopg
Django on psycopg 3.2, server_side_binding|python3 is_version.py django 4.2 && python3 is_version.py psycopg 3.2.4|python3 django_.py psycopg server_side_binding
asyncpg|python3 -c 'import asyncpg'|python3 asyncpg_.py
postgres.js|test -d node_modules/postgres|node postgres_js.mjs
Knex|test -d node_modules/knex|node knex.mjs
Drizzle on pg|test -d node_modules/drizzle-orm|node drizzle.mjs
Sequelize|test -d node_modules/sequelize|node sequelize.mjs
TypeORM 0.3|test -d node_modules/typeorm|node typeorm.mjs typeorm
TypeORM 1|test -d node_modules/typeorm-1 && node is_version.mjs 20.19|node typeorm.mjs typeorm-1
JDBC|test -e /usr/share/java/postgresql.jar|java -cp /usr/share/java/postgresql.jar Jdbc.java
pgx (Go)|test -d /usr/share/gocode/src/github.com/jackc/pgx/v4|go run pgx.go
lib/pq (Go)|test -d /usr/share/gocode/src/github.com/lib/pq|go run lib_pq.go
pg (Ruby)|ruby -e 'require \"pg\"'|ruby ruby_pg.rb
PDO|php -m \\| grep -qx pdo_pgsql|php pdo.php
PDO, emulated|php -m \\| grep -qx pdo_pgsql|php pdo.php emulated"

[[ -n $pg_config ]] || { echo '1..0 # SKIP there is no PostgreSQL'; exit 0; }

# --- A server, reached over TCP with a password: JDBC and Go know no other way by default

work=$(mktemp -d /tmp/kv-clients.XXXXXX)
as_user=()
if [[ $(id -u) == 0 ]]; then as_user=(setpriv --reuid=postgres --regid=postgres --init-groups); fi
bin=$("$pg_config" --bindir)
password=$(head -c 16 /dev/urandom | base64)
port=$(/usr/bin/python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')

run() {
	"${as_user[@]}" env -i PATH="$bin:/usr/local/bin:/usr/bin:/bin" HOME="$work" LC_ALL=C.UTF-8 PGDATA="$work/data" \
		PGHOST=127.0.0.1 PGPORT="$port" PGUSER=app PGPASSWORD="$password" PGDATABASE=app PYTHONDONTWRITEBYTECODE=1 \
		GO111MODULE=off GOPATH="$work/go:/usr/share/gocode" GOFLAGS=-p=1 "$@"
}

clean_up() {
	if [[ -e $work/data/postmaster.pid ]]; then run pg_ctl -m immediate -w stop >/dev/null || true; fi
	chmod -R u+w "$work"
	rm -rf "$work"
}
trap clean_up EXIT

mkdir "$work/sock" "$work/clients"
cp "$here"/*.{py,mjs,rb,php,go,java,json} "$work/clients/"
if [[ $(id -u) == 0 ]]; then chown -R postgres: "$work"; fi
cd "$work/clients"

network=()
for name in http_proxy https_proxy no_proxy npm_config_registry NODE_EXTRA_CA_CERTS; do
	[[ -z ${!name:-} ]] || network+=("$name=${!name}")
done
[[ $python ]] || run env "${network[@]}" npm install --no-package-lock --no-audit --no-fund --fetch-retries=1 --loglevel=error \
	--ignore-scripts "--$([[ $long ]] && echo include || echo omit)=dev" >"$work/npm.log" 2>&1 || sed 's/^/# /' "$work/npm.log"

run initdb -U postgres --auth-local=trust --auth-host=scram-sha-256 -E UTF8 --no-sync >"$work/initdb.log" 2>&1 ||
	{ cat "$work/initdb.log"; exit 1; }
run tee -a "$work/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$work/sock'
fsync = off
key_vault.keyring_file = '$work/%d.keyring'
CONF
run pg_ctl -l "$work/server.log" -w start >/dev/null || { cat "$work/server.log"; exit 1; }
run psql -X -q -v ON_ERROR_STOP=1 -v password="$password" -h "$work/sock" -U postgres -d postgres >/dev/null <<'SQL'
SET client_min_messages = error;
CREATE ROLE app LOGIN PASSWORD :'password';
CREATE DATABASE app;
CREATE DATABASE bare;		-- nothing is preloaded here
ALTER DATABASE app SET session_preload_libraries = 'key_vault';
\connect app
SET client_min_messages = error;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key(), key_vault.grant_access('app', 'service');
SELECT key_vault.set(id, 'gemini', 'key-of-' || id) FROM unnest('{42,00000000-0000-4000-8000-000000000042}'::text[]) AS id;
\connect bare
SET client_min_messages = error;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key(), key_vault.grant_access('app', 'service');
SQL

# --- Rows

tests=0
failed=0
told() {		# STATUS NAME
	tests=$((tests + 1))
	if (($1)); then echo "not ok $tests - $2"; failed=1; else echo "ok $tests - $2"; fi
}

fact() { sed -n "s/^$1: //p" <<<"$out"; }

# The two rows of a client, without what only shows.
rows() {
	echo "| $1 | $(fact parameters) | $(fact identity) | $(fact jsonb) | $(fact integer) | $(fact uuid) |"
	echo "| $1 | $(fact get) | $(fact require) | $(fact refused) | $(fact stopped) | $(fact unreachable) |"
}

documented=$(tr -d '`' <"$doc" | tr -s ' ')
known=
traps=
while IFS= read -r line; do
	if [[ -z $line ]]; then
		[[ $long || $python ]] && continue
		known+=$(sed -n '/^$/,$p' <<<"$clients" | cut -d'|' -f1)$'\n'
		break
	fi
	line=${line//'\|'/$'\001'}
	IFS='|' read -r name needs command <<<"$line"
	known+=$name$'\n'
	[[ ! $python || $command == python3* ]] || continue
	if ! run bash -c "${needs//$'\001'/|}" >/dev/null 2>"$work/err"; then
		tests=$((tests + 1))
		echo "ok $tests # SKIP $name: $(grep -E '^[^ ]+ is (not )?older than ' "$work/err" || echo 'not installed')"
		continue
	fi
	status=0
	# shellcheck disable=SC2086 # a command of several words
	out=$(run $command 2>"$work/err") || status=$?
	told "$status" "$name: its program runs"
	if ((status)); then sed 's/^/# /' "$work/err" <(echo "$out"); continue; fi
	traps+=$(fact trap)$'\n'
	while IFS= read -r row; do
		if [[ $print ]]; then echo "$row"; continue; fi
		found=0
		grep -qxF -e "$row" <<<"$documented" || found=1
		told "$found" "$name: docs/drivers.md says what it shows"
		if ((found)); then echo "# shown: $row"; grep -F -e "| $name |" <<<"$documented" | sed 's/^/# said:  /'; fi
	done < <(rows "$name")
done <<<"$clients"

# --- Nothing is said that is not shown

in_table=$(sed -n '/^| client |/,/^$/p' <<<"$documented" | sed '/^| client |/d' | sed -nE 's/^\| ([^|]+) \|.*/\1/p' | sort -u)
untested=$(comm -23 <(echo "$in_table") <(sort -u <<<"$known") | grep . || true)
told "$([[ -z $untested ]] && echo 0 || echo 1)" "every client of the tables has a program"
[[ -z $untested ]] || echo "# none: $untested"

said=$(sed -nE 's/^- \*\*(.*)\.\*\*.*/\1/p' <<<"$documented" | sort)
shown=$(grep . <<<"$traps" | tr -d '`' | sort -u || true)
unsaid=$(comm -13 <(echo "$said") <(echo "$shown"))
told "$([[ -z $unsaid ]] && echo 0 || echo 1)" "every trap that a program shows is told"
[[ -z $unsaid ]] || echo "# not told: $unsaid"
if [[ $long ]]; then
	unshown=$(comm -23 <(echo "$said") <(echo "$shown"))
	told "$([[ -z $unshown ]] && echo 0 || echo 1)" "every trap that is told is shown by a program"
	[[ -z $unshown ]] || echo "# not shown: $unshown"
fi

echo "1..$tests"
((failed == 0))

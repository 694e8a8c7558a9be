#!/usr/bin/env bash
# test.sh: tests the example on a server of its own; prints TAP.  It fetches pg with npm.
#
# key_vault has to be installed in the PostgreSQL of $PG_CONFIG.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pg_config=${PG_CONFIG:-$(find /usr/lib/postgresql -path '*/bin/pg_config' 2>/dev/null | sort -V | tail -n 1)}

skip_all() { echo "1..0 # SKIP $1"; exit 0; }

[[ -n $pg_config ]] || skip_all 'there is no PostgreSQL'
command -v node >/dev/null || skip_all 'the Debian package nodejs is not installed'
command -v npm >/dev/null || skip_all 'the Debian package npm is not installed'
[[ $(node -p 'process.versions.node.split(".")[0] >= 18') == true ]] || skip_all 'node is older than 18'

work=$(mktemp -d /tmp/kv-node.XXXXXX)
as_user=()
if [[ $(id -u) == 0 ]]; then as_user=(setpriv --reuid=postgres --regid=postgres --init-groups); fi
bin=$("$pg_config" --bindir)

run() {
	"${as_user[@]}" env -i PATH="$bin:$(dirname "$(command -v node)"):/usr/bin:/bin" HOME="$work" LC_ALL=C.UTF-8 PGDATA="$work/data" \
		PG_CTL="$bin/pg_ctl" POOL_SIZE=4 DATABASE_URL="postgresql://app@/blog?host=$work/sock" "$@"
}

clean_up() {
	if [[ -e $work/data/postmaster.pid ]]; then run pg_ctl -m immediate -w stop >/dev/null || true; fi
	rm -rf "$work"
}
trap clean_up EXIT

mkdir "$work/sock" "$work/example"
cp "$here"/*.js "$here/package.json" "$work/example/"
cp "$here/../../README.md" "$work/"
if [[ $(id -u) == 0 ]]; then chown -R postgres: "$work"; fi
cd "$work/example"

network=()
for name in http_proxy https_proxy no_proxy npm_config_registry NODE_EXTRA_CA_CERTS; do
	[[ -z ${!name:-} ]] || network+=("$name=${!name}")
done
run env "${network[@]}" npm install --no-package-lock --no-audit --no-fund --fetch-retries=1 --loglevel=error >"$work/npm.log" 2>&1 ||
	{ sed 's/^/# /' "$work/npm.log"; skip_all 'npm could not fetch pg'; }

run initdb -U postgres -A trust -E UTF8 --no-sync >"$work/initdb.log" 2>&1 || { cat "$work/initdb.log"; exit 1; }
run tee -a "$work/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$work/sock'
fsync = off
shared_preload_libraries = 'key_vault'
key_vault.track_last_use = on
key_vault.keyring_file = '$work/%d.keyring'
CONF
run pg_ctl -l "$work/server.log" -w start >/dev/null || { cat "$work/server.log"; exit 1; }
run psql -X -q -v ON_ERROR_STOP=1 -h "$work/sock" -U postgres -d postgres >/dev/null <<'SQL'
CREATE DATABASE blog;
\connect blog
SET client_min_messages = warning;
CREATE EXTENSION key_vault;
SELECT key_vault.create_root_key();
CREATE ROLE app LOGIN;
CREATE ROLE app_service LOGIN;
SELECT key_vault.grant_access('app', 'user'), key_vault.grant_access('app_service', 'service');
REVOKE TEMPORARY ON DATABASE blog FROM PUBLIC;
CREATE TABLE posts (user_id text, title text);
GRANT SELECT ON posts TO PUBLIC;
INSERT INTO posts VALUES ('user_a', 'one'), ('user_b', 'two');
SQL

run node --test --test-reporter=tap test.js

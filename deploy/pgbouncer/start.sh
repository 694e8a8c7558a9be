#!/bin/sh
# start.sh: PgBouncer for one role and one database, in transaction mode.
#
# server_reset_query_always: what a client leaves in a session, an identity set with a
# plain SET for instance, is gone before another client gets that session.
set -eu
umask 077

folder=$(mktemp -d)
printf '"%s" "%s"\n' "$PGUSER" "$(cat "$PGPASSWORD_FILE")" >"$folder/users"
cat >"$folder/pgbouncer.ini" <<-INI
	[databases]
	$PGDATABASE = host=$PGHOST port=${PGPORT:-5432} dbname=$PGDATABASE

	[pgbouncer]
	listen_addr = ${LISTEN:-*}
	listen_port = ${LISTEN_PORT:-6432}
	unix_socket_dir =
	auth_type = scram-sha-256
	auth_file = $folder/users
	pool_mode = transaction
	server_reset_query = DISCARD ALL
	server_reset_query_always = 1
	ignore_startup_parameters = extra_float_digits
INI
exec pgbouncer "$folder/pgbouncer.ini"

#!/usr/bin/env bash
# docker-entrypoint.sh: stands in for the official image's entry point, of which it does what key_vault's needs.
#
# test/deploy/check.sh puts the official one here instead when OFFICIAL_ENTRYPOINT names it.
set -Eeuo pipefail

export POSTGRES_USER=${POSTGRES_USER:-postgres}
export POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
if [[ -n ${POSTGRES_PASSWORD_FILE:-} ]]; then POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE"); fi

# as the official one: who asks for the version wants no server
if [[ $1 == postgres && " $* " != *' --version '* ]]; then
	mkdir -p "$PGDATA" /var/run/postgresql
	if [[ $(id -u) == 0 ]]; then
		chown -R postgres: "$PGDATA" /var/run/postgresql
		exec gosu postgres "${BASH_SOURCE[0]}" "$@"
	fi
	chmod 0700 "$PGDATA"
	if [[ ! -s $PGDATA/PG_VERSION ]]; then
		# shellcheck disable=SC2086 # several arguments
		initdb -U "$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") ${POSTGRES_INITDB_ARGS:-} >/dev/null
		echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
		pg_ctl -D "$PGDATA" -o "$(printf '%q ' "${@:2}" -c listen_addresses= -p "${PGPORT:-5432}")" -w start
		export PGPASSWORD=$POSTGRES_PASSWORD
		[[ $POSTGRES_DB == postgres ]] || createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
		for file in /docker-entrypoint-initdb.d/*; do
			case $file in
				*.sh) "$file" ;;
				*.sql) psql -X -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -f "$file" ;;
			esac
		done
		pg_ctl -D "$PGDATA" -m fast -w stop
	fi
fi
exec "$@"

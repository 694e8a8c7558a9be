#!/usr/bin/env bash
# check.sh MAJOR SUITE: the image of deploy/Containerfile, built on a Debian root and run.  Speaks TAP.
#
# Debian's PostgreSQL lies where the official image's does.  The official entry point is
# tried when OFFICIAL_ENTRYPOINT names it; otherwise one stands in for it.  Needs root.

# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=../../scripts/roots.sh
source "$top/scripts/roots.sh"
# shellcheck source=images.sh
source "$top/test/deploy/images.sh"

[[ $# == 2 ]] || die "usage: test/deploy/check.sh MAJOR SUITE"
version=$1 suite=$2
is_root || die "making images needs root"

need_packages long
make_work
# a server in a container runs as that container's postgres
chmod 711 "$work"
exec 7>"$(roots_folder)/images.lock"
flock 7

image=localhost/key_vault:$version
checkout_into "$work/context"
postgres_image "localhost/postgres:$version" "$version" "$suite"
build_image "$image" deploy/Containerfile --build-arg "PG_MAJOR=$version" --build-arg "BASE=localhost/postgres:$version" >/dev/null ||
	die "the image was not built"

# --- TAP ----------------------------------------------------------------------

n=0 failed=0

# is NAME GOT WANTED
is() {
	if [[ $2 == "$3" ]]; then
		say "ok $((++n)) - $1"
	else
		say "not ok $((++n)) - $1"
		printf '# got:    %s\n# wanted: %s\n' "${2//$'\n'/ }" "$3"
		failed=1
	fi
}

# has NAME TEXT PATTERN
has() { if [[ $2 =~ $3 ]]; then is "$1" yes yes; else is "$1" "$(tail -n 15 <<<"$2")" "$3"; fi; }

# --- Containers ---------------------------------------------------------------

port=$(free_port)
mapfile -t entry < <(entry_of "$image")
container=$(container_of "$image")
pid=''		# of the server that runs
arguments=()	# of the server, after the image's own command

# shellcheck disable=SC2317		# the trap calls it
# A server that a failure left; its process id is the same outside the container.
stop_left() {
	local file
	for file in "$work"/*/{,pgdata/}postmaster.pid; do [[ ! -e $file ]] || kill -INT "$(head -n 1 "$file")" 2>/dev/null || true; done
}
trap 'stop_left; clean_up' EXIT

# volume NAME: a new, empty one
volume() { rm -rf "${work:?}/$1"; mkdir -p "$work/$1"; }

environment=(POSTGRES_DB=app POSTGRES_PASSWORD=for-tests KEY_VAULT_BACKEND_ROLE=app_backend KEY_VAULT_BACKEND_PASSWORD=of-backend)
mounts=()

# use DATA [KEYRING] [SECRET]: the volumes from now on
use() {
	mounts=(-v "$work/$1:/var/lib/postgresql/data")
	[[ -z ${2:-} ]] || mounts+=(-v "$work/$2:/etc/postgresql/key_vault")
	[[ -z ${3:-} ]] || mounts+=(-v "$work/$3:/run/secrets:ro")
}

# in_container [OPTION...] -- COMMAND...
in_container() {
	local options=() name
	while [[ $1 != -- ]]; do options+=("$1"); shift; done
	shift
	for name in "${environment[@]}"; do options+=(--env "$name"); done
	builder run --isolation=chroot --env "PGPORT=$port" "${mounts[@]}" "${options[@]}" "$container" -- "$@"
}

# start [OPTION...]: the image's own entry point.  False when the server does not come up.
start() {
	in_container "$@" -- "${entry[@]}" "${arguments[@]}" >"$work/container.log" 2>&1 </dev/null &
	pid=$!
	for _ in {1..600}; do
		if ! kill -0 "$pid" 2>/dev/null; then wait "$pid"; return 1; fi
		if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
		sleep 0.1
	done
	return 1
}

stop() {
	in_container -- gosu postgres pg_ctl -s -m fast -w stop
	wait "$pid" 2>/dev/null || true
}

log() { cat "$work/container.log"; }

as_superuser() { in_container -- gosu postgres psql -X -q -At -d "${2:-app}" -c "$1" 2>&1; }
as_backend() {
	in_container -- env PGPASSWORD=of-backend psql -X -q -At -h 127.0.0.1 -U app_backend -d app -c "$1" 2>&1
}
get="SELECT key_vault.get('user_a', 'gemini')"
canary=AIzaSyCanary00000000000000000000000000

# --- The image ----------------------------------------------------------------

is 'no compiler is in the image' "$(in_container -- sh -c 'ls -d /src /usr/bin/*gcc* /usr/bin/*clang* /usr/bin/make' 2>/dev/null)" ''
is 'the entry point goes on to the official one' "$(in_container -- "${entry[0]}" postgres --version | grep -o "^postgres (PostgreSQL) $version")" "postgres (PostgreSQL) $version"
is 'other commands run as they stand' "$(in_container -- "${entry[0]}" echo here)" here

# --- A first start, and a second ----------------------------------------------

volume data
volume keyring
use data keyring
start || log
is 'a key is set as the backend'\''s role' "$(as_backend "SET client_min_messages = error; SELECT key_vault.set('user_a', 'gemini', '$canary')")" 1
is 'and got' "$(as_backend "$get")" "$canary"
is 'the library is preloaded' "$(as_superuser 'SHOW shared_preload_libraries')" key_vault
is 'status finds no error' "$(as_superuser "SELECT item, detail FROM key_vault.status() WHERE state = 'error'")" ''
is 'the keyring is on its volume' "$(stat -c '%u %a' "$work/keyring/app.keyring")" '999 600'
id=$(grep -oE '^[0-9a-f]{16}' "$work/keyring/app.keyring")
is 'the data directory knows its id' "$(grep -oE '[0-9a-f]{16}$' "$work/data/key_vault.root_keys")" "$id"
stop

container=$(container_of "$image")
start || log
is 'another container on the same volumes goes on' "$(as_backend "$get")" "$canary"
is 'and made no root key' "$(grep -c '^[0-9a-f]' "$work/keyring/app.keyring")" 1

as_superuser 'CREATE DATABASE gone' postgres
as_superuser 'CREATE EXTENSION key_vault' gone
as_superuser 'SELECT key_vault.create_root_key()' gone >/dev/null
as_superuser 'DROP DATABASE gone' postgres
stop
rm "$work/keyring/gone.keyring"
start && status=0 || status=$?
is 'a dropped database'\''s keyring is not asked for' "$status" 0
stop

# --- Without the keyring that belongs to the data -----------------------------

volume empty
use data empty
start && status=0 || status=$?
is 'without the keyring nothing starts' "$status" 1
has 'which names the root key' "$(log)" "no keyring here holds: $id"
is 'and makes no other' "$(ls "$work/empty")" ''
volume other
sed 's/^0/1/; t; s/^[1-9a-f]/0/' "$work/keyring/app.keyring" >"$work/other/app.keyring"
use data other
start && status=0 || status=$?
is 'nor with another keyring' "$status" 1

use data empty
environment+=(KEY_VAULT_MISSING_ROOT_KEYS=accept)
start || log
has 'told so, it starts' "$(log)" 'starting all the same'
has 'and the key does not open' "$(as_backend "$get")" 'could not open file .*/app.keyring'
stop
environment=("${environment[@]:0:4}")

use data keyring
start || log
is 'with the keyring all is back' "$(as_backend "$get")" "$canary"
stop

# --- A keyring from a secret --------------------------------------------------

volume secret
cp "$work/keyring/app.keyring" "$work/secret/app.keyring"
chmod 444 "$work/secret/app.keyring"
use data empty secret
environment+=(KEY_VAULT_KEYRING_FILE=/run/secrets/app.keyring)
start || log
is 'a secret holds the keyring' "$(as_backend "$get")" "$canary"
has 'which the server cannot write' "$(as_superuser 'SELECT key_vault.create_root_key()')" 'could not write file'
is 'nothing of it is on a volume' "$(ls "$work/empty")" ''
stop
printf '# empty\n' >"$work/secret/none.keyring"
environment[4]=KEY_VAULT_KEYRING_FILE=/run/secrets/none.keyring
start && status=0 || status=$?
is 'nothing starts with a secret that lacks the root key' "$status" 1

volume fresh
use fresh empty secret
environment[4]=KEY_VAULT_KEYRING_FILE=/run/secrets
environment+=(PGDATA=/var/lib/postgresql/data/pgdata)		# as deploy/render.yaml has it
start || log
is 'a new data directory takes the root key of the secret' "$(as_superuser 'SELECT id, state FROM key_vault.root_keys')" "$id|active"
as_backend "SELECT key_vault.set('user_a', 'gemini', '$canary')" >/dev/null
is 'an address may leave out what variables say' "$(in_container -- env PGHOST=127.0.0.1 PGUSER=app_backend PGPASSWORD=of-backend \
	psql -X -q -At postgresql:///app -c "$get")" "$canary"
stop
start --user postgres || log
is 'a container that is not root reads it, too' "$(as_backend "$get")" "$canary"
stop

# --- First starts --------------------------------------------------------------

# refuses NAME PATTERN [OPTION...]: nothing starts, the log says why, and no data directory is begun.
refuses() {
	volume new-data
	mounts=(-v "$work/new-data:/var/lib/postgresql/data" "${mounts[@]:2}")
	start "${@:3}" && { stop; status=0; } || status=$?
	has "$1" "$status $(log)" "^1 .*$2"
	is 'and nothing was made' "$(ls "$work/new-data")" ''
}
standard=(POSTGRES_DB=app POSTGRES_PASSWORD=for-tests KEY_VAULT_BACKEND_ROLE=app_backend KEY_VAULT_BACKEND_PASSWORD=of-backend)
fresh() { environment=("${standard[@]}"); arguments=(); volume new-data; volume new-keyring; use new-data new-keyring secret; }

fresh
environment[3]=KEY_VAULT_BACKEND_PASSWORD_FILE=/run/secrets/password
environment+=('POSTGRES_INITDB_ARGS=--data-checksums --auth-local=scram-sha-256 --locale=C --encoding=SQL_ASCII')
printf 'of-backend\n' >"$work/secret/password"
chmod 400 "$work/secret/password"
start || log
is 'initdb takes arguments, and a password that only root can read' "$(as_backend "SHOW data_checksums")" on
is 'the root key is there' "$(as_backend "SET client_min_messages = error; SELECT key_vault.set('user_a', 'gemini', '$canary')")" 1
stop

fresh
chown 999:999 "$work/new-data" "$work/new-keyring"
start --user postgres || log
is 'a container that is not root makes its root key' "$(as_backend "SET client_min_messages = error; SELECT key_vault.set('user_a', 'gemini', '$canary')")" 1
stop

fresh
chown 999:999 "$work/new-data"
refuses 'the keyring'\''s volume is not the user'\''s' 'cannot write /etc/postgresql/key_vault' --user postgres
fresh
mounts[3]+=:ro
refuses 'the keyring'\''s volume is read-only' 'cannot write /etc/postgresql/key_vault'

fresh
arguments=(-c 'key_vault.keyring_command=cat /run/secrets/"$KEY_VAULT_DATABASE".keyring')
start || log
is 'a command of one'\''s own gives the root key' "$(as_superuser 'SELECT id, state FROM key_vault.root_keys')" "$id|active"
stop
start || log
has 'a second start says that it is not compared' "$(log)" 'comes from a command'
stop
fresh
arguments=(-c 'key_vault.keyring_command=cat /run/secrets/none.keyring')
refuses 'a command that gives no root key' 'no root key for the database app comes from: cat /run/secrets/none.keyring'
fresh
environment+=(KEY_VAULT_KEYRING_FILE=/run/secrets/none.keyring)
refuses 'a secret that holds no root key' 'no root key for the database app'
fresh
printf 'listen_addresses = %s\n' "'*'" >"$work/secret/own.conf"
chmod 444 "$work/secret/own.conf"
arguments=(-c config_file=/run/secrets/own.conf)
refuses 'a configuration of one'\''s own that names no keyring' 'names no keyring'

fresh
environment[2]=KEY_VAULT_BACKEND_ROLE=pg_reserved
start && status=0 || status=$?
is 'a first start can end half-way' "$((status > 0))" 1
stop_left		# the server of the first start, which a container would take with it
start && status=0 || status=$?
has 'and by the next, which does not go on' "$status $(log)" '^1 .*ended half-way'

# --- A standby ----------------------------------------------------------------

cp -a "$work/data" "$work/copy"
touch "$work/copy/standby.signal"
environment=("${standard[@]}")
use copy empty
start || log
has 'a standby starts without its root keys' "$(log)" 'as a standby'
has 'and names the keyring that it lacks' "$(as_backend "$get")" 'could not open file .*/app.keyring'
stop
use copy keyring
start || log
is 'with them it opens what it has' "$(as_backend "$get")" "$canary"
is 'and writes nothing' "$(as_superuser 'SELECT pg_is_in_recovery()')" t
stop

say "1..$n"
exit "$failed"

#!/usr/bin/env bash
# key_vault-entrypoint.sh: what comes before the official image's own entry point.
#
# The keyring's volume becomes the server's; a keyring that is mounted as a secret is
# brought where the server can read it; and no server starts on a data directory whose
# root keys are not at hand.  Everything else is docker-entrypoint.sh's.
set -Eeuo pipefail

volume=/etc/postgresql/key_vault
copies=/run/key_vault
database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
settings=()		# for the server's command line
keyrings=()		# files in which its root keys may be

complain() { printf 'key_vault: %s\n' "$@" >&2; }

is_root() { [[ $(id -u) == 0 ]]; }

# Whether the server is to run, as docker-entrypoint.sh sees it.
wants_server() {
	local argument
	[[ ${1:-} == postgres || ${1:-} == -* ]] || return 1
	for argument; do
		case $argument in -'?' | --help | --describe-config | -V | --version) return 1 ;; esac
	done
}

# A volume that is new, or was restored, belongs to whoever made it.
own_volume() {
	is_root || return 0
	mkdir -p "$volume"
	{ chown -R postgres: "$volume" && chmod 0700 "$volume"; } 2>/dev/null ||
		complain "the owner of $volume cannot be changed; the server needs to read it, and to write it for create_root_key()"
}

# --- A keyring from a secret --------------------------------------------------

# $KEY_VAULT_KEYRING_FILE is a file, the keyring of $POSTGRES_DB; or a folder with a
# DATABASE.keyring for each.  The server may read copies of root's, in memory or in the
# container, and cannot write them: a root key that it added would go with the container.
use_secret() {
	local secret=$KEY_VAULT_KEYRING_FILE file
	[[ -e $secret ]] || { complain "there is no $secret, which KEY_VAULT_KEYRING_FILE names"; exit 1; }
	if ! is_root; then use_secret_in_place "$secret"; return; fi

	rm -rf "$copies"
	install -d -o root -g postgres -m 0750 "$copies"
	if [[ -d $secret ]]; then
		for file in "$secret"/*.keyring; do install -o root -g postgres -m 0640 "$file" "$copies/"; done
	else
		install -o root -g postgres -m 0640 "$secret" "$copies/$database.keyring"
	fi
	settings=(-c "key_vault.keyring_file=$copies/%d.keyring")
	export KEY_VAULT_KEYRING=$copies/$database.keyring
}

use_secret_in_place() {
	if [[ -d $1 ]]; then
		settings=(-c "key_vault.keyring_command=cat '$1'/\"\$KEY_VAULT_DATABASE\".keyring")
		export KEY_VAULT_KEYRING=$1/$database.keyring
	else
		settings=(-c "key_vault.keyring_command=cat '$1'")
		export KEY_VAULT_KEYRING=$1
	fi
}

# --- No start without the root keys -------------------------------------------

# A setting of the data directory's configuration and this command line.
configured() {
	local as=()
	! is_root || as=(gosu postgres)
	"${as[@]}" postgres -D "$PGDATA" "${@:2}" -C "$1" 2>/dev/null || true
}

# Where root keys may be: keyrings becomes those files.  False when only a command knows.
find_keyrings() {
	local pattern
	if [[ -n ${KEY_VAULT_KEYRING_FILE:-} ]]; then
		keyrings=("$KEY_VAULT_KEYRING_FILE")
		[[ ! -d $KEY_VAULT_KEYRING_FILE ]] || keyrings=("$KEY_VAULT_KEYRING_FILE"/*)
		return
	fi
	[[ -z $(configured key_vault.keyring_command "$@") ]] || return 1
	pattern=$(configured key_vault.keyring_file "$@")
	pattern=${pattern:-$volume/%d.keyring}
	pattern=${pattern//'%%'/$'\001'}
	pattern=${pattern//'%d'/*}
	mapfile -t keyrings < <(compgen -G "${pattern//$'\001'/%}")
}

has_database() { compgen -G "$PGDATA/base/$1" >/dev/null || compgen -G "$PGDATA/pg_tblspc/*/PG_*/$1" >/dev/null; }

# The ids that the data directory's databases use and no keyring holds.
missing_root_keys() {
	local oid id
	while read -r oid id; do
		if ! [[ $oid =~ ^[0-9]+$ && $id =~ ^[0-9a-f]{16}$ ]] || ! has_database "$oid"; then continue; fi
		if ! grep -qs -d skip "^$id " /dev/null "${keyrings[@]}"; then printf '%s\n' "$id"; fi
	done <"$PGDATA/key_vault.root_keys" | sort -u
}

check_root_keys() {
	local missing
	[[ -s ${PGDATA:-}/key_vault.root_keys ]] || return 0
	if ! find_keyrings "$@"; then
		complain 'the keyring comes from a command, so it is not compared with the data directory'
		return
	fi
	mapfile -t missing < <(missing_root_keys)
	((${#missing[@]})) || return 0

	complain "this data directory was used with root keys that no keyring here holds: ${missing[*]}" \
		"looked for in: ${keyrings[*]:-$volume, where there is no keyring}"
	if [[ -e $PGDATA/standby.signal ]]; then
		complain 'starting all the same, as a standby: what it says of root keys may be out of date'
	elif [[ ${KEY_VAULT_MISSING_ROOT_KEYS:-} == accept ]]; then
		complain 'starting all the same: KEY_VAULT_MISSING_ROOT_KEYS=accept'
	else
		complain 'mount the volume, or the secret, that belongs to these data, or restore it from its backup; nothing was changed' \
			'(KEY_VAULT_MISSING_ROOT_KEYS=accept starts without: what they sealed does not open)'
		exit 1
	fi
}

if wants_server "$@"; then
	[[ $1 == postgres ]] && shift
	own_volume
	if [[ -n ${KEY_VAULT_KEYRING_FILE:-} ]]; then use_secret; fi
	check_root_keys "$@"
	set -- postgres "$@" "${settings[@]}"
fi
exec docker-entrypoint.sh "$@"

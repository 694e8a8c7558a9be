#!/usr/bin/env bash
# key_vault-entrypoint.sh: what comes before the official image's own entry point.
#
# The keyring's volume becomes the server's; a keyring that is mounted as a secret is
# brought where the server can read it; no data directory is made that would lack its
# root key; and no server starts on one whose root keys are not at hand.  Everything else
# is docker-entrypoint.sh's.
set -Eeuo pipefail

volume=/etc/postgresql/key_vault
copies=/run/key_vault
database=		# whose keyring a secret holds
settings=()		# for the server's command line
keyrings=()		# files in which its root keys may be

complain() { printf 'key_vault: %s\n' "$@" >&2; }
refuse() { complain "$@"; exit 1; }

is_root() { [[ $(id -u) == 0 ]]; }

# Whether the server is to run, as docker-entrypoint.sh sees it.
wants_server() {
	local argument
	[[ ${1:-} == postgres || ${1:-} == -* ]] || return 1
	for argument; do
		case $argument in -'?' | --help | --describe-config | -V | --version) return 1 ;; esac
	done
}

as_server() { if is_root; then gosu postgres "$@"; else "$@"; fi; }

# A variable of the official image's, or what is in the file that NAME_FILE names.
variable() {
	local file=$1_FILE
	if [[ -z ${!1:-} && -n ${!file:-} ]]; then cat "${!file}"; else printf '%s' "${!1:-}"; fi
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
	[[ -e $secret ]] || refuse "there is no $secret, which KEY_VAULT_KEYRING_FILE names"
	if ! is_root; then use_secret_in_place "$secret"; return; fi

	rm -rf "$copies"
	install -d -o root -g postgres -m 0750 "$copies"
	if [[ -d $secret ]]; then
		for file in "$secret"/*.keyring; do install -o root -g postgres -m 0640 "$file" "$copies/"; done
	else
		install -o root -g postgres -m 0640 "$secret" "$copies/$database.keyring"
	fi
	settings=(-c "key_vault.keyring_file=$copies/%d.keyring")
}

use_secret_in_place() {
	if [[ -d $1 ]]; then
		settings=(-c "key_vault.keyring_command=cat '$1'/\"\$KEY_VAULT_DATABASE\".keyring")
	else
		settings=(-c "key_vault.keyring_command=cat '$1'")
	fi
}

# --- A first start ------------------------------------------------------------

# A setting of the configuration in a folder and this command line: FOLDER NAME ARGUMENT...
configured() { as_server postgres -D "$1" "${@:3}" -C "$2" 2>/dev/null || true; }

# As a new server will have it, before there is one: FOLDER becomes what initdb begins with.
copy_sample_configuration() {
	cp "/usr/share/postgresql/$PG_MAJOR/postgresql.conf.sample" "$1/postgresql.conf"
	if is_root; then chown -R postgres: "$1"; fi
}

# The last root key that a command prints, run as the server runs it.
last_root_key_of() {
	as_server env KEY_VAULT_DATABASE="$database" timeout 30 sh -c "$1" </dev/null | grep -oE '^[0-9a-f]{16} ' | tail -n 1 | tr -d ' '
}

# What initdb.sh needs is looked at before anything is made: the official entry point takes
# a data directory whose first start failed half-way for a finished one.
check_first_start() {
	local folder command file
	folder=$(mktemp -d)
	copy_sample_configuration "$folder"
	command=$(configured "$folder" key_vault.keyring_command "$@")
	file=$(configured "$folder" key_vault.keyring_file "$@")
	rm -r "$folder"

	if [[ -z $command && -n ${KEY_VAULT_KEYRING_FILE:-} ]]; then command="cat '${file//'%d'/$database}'"; fi
	if [[ -n $command ]]; then
		KEY_VAULT_ROOT_KEY=$(last_root_key_of "$command") ||
			refuse "no root key for the database $database comes from: $command" 'nothing was made'
		export KEY_VAULT_ROOT_KEY
	elif [[ -z $file ]]; then
		refuse 'this configuration names no keyring: set key_vault.keyring_file, as the image'\''s own does' 'nothing was made'
	else
		file=${file//'%d'/$database}
		as_server test -w "${file%/*}" -a -x "${file%/*}" ||
			refuse "the server's user cannot write ${file%/*}, where the keyring goes: mount it writable, and as that user's" \
				'(KEY_VAULT_KEYRING_FILE takes a keyring that is there already); nothing was made'
	fi
	# a secret that only root can read
	KEY_VAULT_BACKEND_PASSWORD=$(variable KEY_VAULT_BACKEND_PASSWORD)
	export KEY_VAULT_BACKEND_PASSWORD
}

# --- No start without the root keys -------------------------------------------

# Where root keys may be: keyrings becomes those files.  False when only a command knows.
find_keyrings() {
	local pattern
	if [[ -n ${KEY_VAULT_KEYRING_FILE:-} ]]; then
		keyrings=("$KEY_VAULT_KEYRING_FILE")
		[[ ! -d $KEY_VAULT_KEYRING_FILE ]] || keyrings=("$KEY_VAULT_KEYRING_FILE"/*)
		return
	fi
	[[ -z $(configured "$PGDATA" key_vault.keyring_command "$@") ]] || return 1
	pattern=$(configured "$PGDATA" key_vault.keyring_file "$@")
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
	[[ ! -e $PGDATA/key_vault.first_start ]] ||
		refuse "the first start of this data directory ended half-way: it lacks the extension, its root key or the backend's role" \
			'empty the volume and start again; nothing was changed'
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
	database=$(variable POSTGRES_DB)
	database=${database:-$(variable POSTGRES_USER)}
	database=${database:-postgres}
	own_volume
	if [[ -n ${KEY_VAULT_KEYRING_FILE:-} ]]; then use_secret; fi
	if [[ -s $PGDATA/PG_VERSION ]]; then
		check_root_keys "$@"
	elif [[ ${KEY_VAULT_CREATE:-on} == on ]]; then
		check_first_start "$@" "${settings[@]}"
	fi
	set -- postgres "$@" "${settings[@]}"
fi
exec docker-entrypoint.sh "$@"

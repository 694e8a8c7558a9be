#!/usr/bin/env bash
# 10_key_vault.sh: the extension in a new server's database, its root key, the backend's role, and
# the issuer of its users' tokens.
#
# Runs once, when the data directory is new: never does a start make a root key over
# old data.
set -euo pipefail

[[ ${KEY_VAULT_CREATE:-on} == on ]] || exit 0

in_psql() { PGHOST='' PGHOSTADDR='' psql -X -q -v ON_ERROR_STOP=1 --no-password -U "$POSTGRES_USER" -d "$POSTGRES_DB" "$@"; }

# Until the end is reached; the entry point starts no server while it is there
: >"$PGDATA/key_vault.first_start"
in_psql -c 'CREATE EXTENSION key_vault'
if [[ -n ${KEY_VAULT_ROOT_KEY:-} ]]; then
	# The newest root key of a keyring that is there already
	in_psql -v id="$KEY_VAULT_ROOT_KEY" <<<"SELECT key_vault.activate_root_key(:'id') \g /dev/null"
else
	in_psql -c 'SELECT key_vault.create_root_key()' >/dev/null
fi

if [[ -n ${KEY_VAULT_BACKEND_ROLE:-} ]]; then
	if [[ -n ${KEY_VAULT_TOKEN_SECRET_FILE:-} ]]; then
		KEY_VAULT_TOKEN_SECRET=$(<"$KEY_VAULT_TOKEN_SECRET_FILE")
	fi
	export KEY_VAULT_BACKEND_ROLE KEY_VAULT_BACKEND_PASSWORD="${KEY_VAULT_BACKEND_PASSWORD:-}"
	export KEY_VAULT_TOKEN_SECRET="${KEY_VAULT_TOKEN_SECRET:-}"
	export KEY_VAULT_TOKEN_ISSUER="${KEY_VAULT_TOKEN_ISSUER:-app-login}" KEY_VAULT_TOKEN_AUDIENCE="${KEY_VAULT_TOKEN_AUDIENCE:-app}"
	in_psql <<-'SQL'
		\getenv role KEY_VAULT_BACKEND_ROLE
		\getenv password KEY_VAULT_BACKEND_PASSWORD
		SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', :'role', nullif(:'password', '')) \gexec
		\getenv secret KEY_VAULT_TOKEN_SECRET
		\getenv issuer KEY_VAULT_TOKEN_ISSUER
		\getenv audience KEY_VAULT_TOKEN_AUDIENCE
		SELECT :'secret' <> '' AS has_tokens \gset
		\if :has_tokens
		SELECT key_vault.grant_access(:'role', 'user') \g /dev/null
		SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()) \gexec
		SELECT key_vault.trust_issuer(:'issuer', ARRAY[:'audience'], jsonb_build_object('keys', jsonb_build_array(jsonb_build_object(
		    'kty', 'oct', 'alg', 'HS256', 'k', translate(encode(convert_to(:'secret', 'UTF8'), 'base64'), E'+/=\n', '-_'))))) \g /dev/null
		\else
		SELECT key_vault.grant_access(:'role', 'service') \g /dev/null
		\endif
	SQL
fi
rm "$PGDATA/key_vault.first_start"

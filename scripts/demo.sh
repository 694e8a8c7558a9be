#!/usr/bin/env bash
# demo.sh [--keep]: two users' API keys stored, looked up and kept apart, on a throwaway server.
#
# Installs the Debian packages that are missing, builds key_vault, and starts a
# server of its own in a temporary folder.  It stops the server and removes the
# folder at the end; with --keep both stay, with the example's backend beside them,
# and it prints how to get in.

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

keep=
case "${1:-}" in
	'') ;;
	--keep) keep=1 ;;
	*) die "usage: scripts/demo.sh [--keep]" ;;
esac

# Keys as their providers make them; new ones each time, so that none is anybody's.
random_text() { LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom 2>/dev/null | head -c "$1" || true; }

write_keys() {
	(
		umask 077
		cat >"$work/keys.csv" <<-CSV
			user_a,gemini,AIzaSy$(random_text 33)
			user_a,exa,$(random_text 8)-$(random_text 4)-$(random_text 4)-$(random_text 12)
			user_b,openai,sk-proj-$(random_text 48)
		CSV
	)
	own_by_server "$work/keys.csv"
}

show() {
	# From standard input, so that messages do not start with a file's name
	as_server psql -X -q -U postgres -d demo <"$top/scripts/demo.sql" 2>&1
}

# The backend of examples/fastapi, for the page on which users enter their keys.
start_backend() {
	local python=/usr/bin/python3
	backend=("DATABASE_URL=postgresql://web@/demo?host=$work/sock" "JWT_SECRET=$(random_text 40)")
	as_server "${backend[@]}" psql -X -q -v ON_ERROR_STOP=1 -U postgres -d demo <<-'SQL'
		\set secret `printf %s "$JWT_SECRET"`
		CREATE ROLE web LOGIN;
		SELECT key_vault.grant_access('web', 'user') \g /dev/null
		REVOKE TEMPORARY ON DATABASE demo FROM PUBLIC;
		SELECT key_vault.trust_issuer('app-login', '{app}', jsonb_build_object('keys', jsonb_build_array(jsonb_build_object(
		    'kty', 'oct', 'alg', 'HS256', 'k', translate(encode(convert_to(:'secret', 'UTF8'), 'base64'), E'+/=\n', '-_'))))) \g /dev/null
	SQL
	address=http://127.0.0.1:$("$python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cd "$work/tree/examples/fastapi"
	as_server "${backend[@]}" setsid --fork sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$work/backend.pid" \
		"$python" -m uvicorn --port "${address##*:}" main:app >"$work/backend.log" 2>&1 </dev/null
	for _ in {1..100}; do
		(: <"/dev/tcp/127.0.0.1/${address##*:}") 2>/dev/null && return
		sleep 0.1
	done
	cat "$work/backend.log" >&2
	die "the backend did not start"
}

# A link that signs a user in.
link_for() { as_server "${backend[@]}" /usr/bin/python3 sign_in.py "$1" "$address"; }

need_packages demo ${keep:+examples}
make_work
build demo with_llvm=no
start_server <<-CONF
	shared_preload_libraries = 'key_vault'
	key_vault.keyring_file = '$work/%d.keyring'
CONF
as_server createdb -U postgres demo

say "$("$pg_config" --version), a server of its own in $work" ''
write_keys
show
rm -f "$work/keys.csv"

if [[ $keep ]]; then
	start_backend
	cat <<-END
		The server is still up.  To try it:

		    psql -h $work/sock -U app -d demo
		    SELECT key_vault.get('user_a', 'gemini');

		(-U postgres is its superuser.)  Where user_a enters keys, in a backend that uses them:

		    $(link_for user_a)

		To stop both and leave nothing behind:

		    kill $(<"$work/backend.pid"); kill -INT $(server_pid); sleep 1; rm -rf $work
	END
	work=
else
	cat <<-END
		The server is stopped and its folder removed.  What to type next:

		    scripts/demo.sh --keep    the same, and the server stays up for you to try
		    scripts/check.sh          all tests

		README.md and docs/start.md go on with your own database.
	END
fi

#!/usr/bin/env bash
# inside.sh: the tests of the package beside it, in a Debian root of their own.  Speaks TAP.
#
# What a reader of README.md does: install, make the keyring, set and get as the
# backend's role.  Then the package is upgraded under the running server, purged,
# and installed again.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit

keyrings=/etc/postgresql/key_vault
canary=AIzaSyCanary00000000000000000000000000
n=0 failed=0

# is NAME GOT WANTED
is() {
	if [[ $2 == "$3" ]]; then
		echo "ok $((++n)) - $1"
	else
		echo "not ok $((++n)) - $1"
		printf '# got:    %s\n# wanted: %s\n' "${2//$'\n'/ }" "$3"
		failed=1
	fi
}

as_postgres() { env -C / setpriv --reuid=postgres --regid=postgres --init-groups --reset-env env "PGPORT=${PGPORT:-5432}" "$@"; }
in_psql() { as_postgres psql -X -q -At -v ON_ERROR_STOP=1 -d app "$@" 2>&1; }
as_backend() { in_psql -c 'SET ROLE app_backend' -c "$1"; }
rights_of() { stat -c '%U:%G %a' "$1"; }
install_deb() { apt-get -q -y --no-install-recommends install "$@" >>apt.log 2>&1 || { tail -n 30 apt.log; exit 1; }; }

apt-get -q update >apt.log 2>&1
package=(postgresql-*-key-vault_*.deb)
version=${package#postgresql-}
version=${version%%-*}
so=/usr/lib/postgresql/$version/lib/key_vault.so
is 'one package was built' "${#package[@]}" 1

# --- Installed, as the README says --------------------------------------------

install_deb "./${package[0]}"
is 'the folder for keyrings is the server'\''s alone' "$(rights_of $keyrings)" 'postgres:postgres 700'
is 'no compiler came along' "$(command -v gcc clang cc)" ''

pg_lsclusters -h | grep -q . || pg_createcluster "$version" main >/dev/null
pg_ctlcluster "$version" main start 2>/dev/null
as_postgres createdb -E UTF8 -T template0 app
in_psql >/dev/null <<'SQL'
CREATE EXTENSION key_vault;
ALTER SYSTEM SET key_vault.keyring_file = '/etc/postgresql/key_vault/%d.keyring';
SELECT remedy FROM key_vault.status() WHERE item = 'preload' \gexec
SQL
pg_ctlcluster "$version" main restart
in_psql >/dev/null <<'SQL'
SELECT key_vault.create_root_key();
CREATE ROLE app_backend LOGIN;
SELECT key_vault.grant_access('app_backend', 'service');
SQL
is 'a key is set as the backend'\''s role' "$(as_backend "SELECT key_vault.set('user_a', 'gemini', '$canary')" | tail -n 1)" 1
is 'and got' "$(as_backend "SELECT key_vault.get('user_a', 'gemini')")" "$canary"
is 'status finds no error' "$(in_psql -c "SELECT item, detail FROM key_vault.status() WHERE state = 'error'")" ''
is 'the keyring is the server'\''s alone' "$(rights_of $keyrings/app.keyring)" 'postgres:postgres 600'
keyring=$(sha256sum <$keyrings/app.keyring)

# --- Upgraded under the running server ----------------------------------------

# The same package, with another version and other bytes in the library
mkdir newer
dpkg-deb -R "${package[0]}" newer
sed -i -E 's/^(Version: .*)/\1+test1/' newer/DEBIAN/control
printf 'newer' >>"newer$so"
sed -i "\|${so#/}\$|d" newer/DEBIAN/md5sums
dpkg-deb --root-owner-group -b newer newer.deb >/dev/null
chmod 0750 $keyrings

# A session from before the upgrade, which goes on after it
mkfifo to_session
as_postgres psql -X -q -At -d app >from_session 2>&1 <to_session &
exec 3>to_session
echo "SET ROLE app_backend; SELECT key_vault.get('user_a', 'gemini');" >&3
for _ in {1..50}; do grep -q "$canary" from_session && break; sleep 0.1; done
postmaster=$(head -n 1 "/var/lib/postgresql/$version/main/postmaster.pid")
before=$(sha256sum <"$so")

install_deb ./newer.deb
is 'the new version is installed' "$(dpkg-query -W -f '${Version}' "postgresql-$version-key-vault" | grep -o 'test1$')" test1
is 'with the new library' "$([[ $(sha256sum <"$so") != "$before" ]] && echo new)" new
is 'the server was not restarted' "$(head -n 1 "/var/lib/postgresql/$version/main/postmaster.pid")" "$postmaster"
echo "SELECT key_vault.get('user_a', 'gemini') || ' again';" >&3
exec 3>&-
wait $!
is 'an old session goes on' "$(tail -n 1 from_session)" "$canary again"
is 'a new session works' "$(as_backend "SELECT key_vault.get('user_a', 'gemini')")" "$canary"
pg_ctlcluster "$version" main restart
is 'the server starts with the new library' "$(as_backend "SELECT key_vault.get('user_a', 'gemini')")" "$canary"
is 'the folder keeps the rights that the administrator gave it' "$(rights_of $keyrings)" 'postgres:postgres 750'

# --- Purged, and installed again ----------------------------------------------

said=$(dpkg --purge "postgresql-$version-key-vault" 2>&1)
is 'the package is gone' "$(dpkg-query -W -f '${db:Status-Status}' "postgresql-$version-key-vault" 2>/dev/null)$(ls "$so" 2>/dev/null)" ''
is 'the keyring is not' "$(sha256sum <$keyrings/app.keyring)" "$keyring"
is 'which purge says' "$(grep -c "Keyrings are left in $keyrings" <<<"$said")" 1
install_deb "./${package[0]}"
pg_ctlcluster "$version" main restart
is 'installed again, the key opens' "$(as_backend "SELECT key_vault.get('user_a', 'gemini')")" "$canary"

pg_ctlcluster "$version" main stop
rm -r "${keyrings:?}"
mkdir -m 0700 $keyrings
dpkg --purge "postgresql-$version-key-vault" >/dev/null 2>&1
is 'an empty folder goes with the package' "$(ls -d $keyrings 2>/dev/null)" ''

# --- The same files elsewhere, as CloudNativePG mounts them (PostgreSQL 18) ------

if ((version >= 18)); then
	mounted=/extensions/key_vault
	dpkg-deb -x "${package[0]}" elsewhere
	mkdir -p $mounted/share
	mv "elsewhere/usr/lib/postgresql/$version/lib" $mounted/
	mv "elsewhere/usr/share/postgresql/$version/extension" $mounted/share/
	install -d -o postgres -g postgres -m 0700 $keyrings
	export PGPORT=5439
	pg_createcluster -p $PGPORT "$version" mounted >/dev/null
	cat >>"/etc/postgresql/$version/mounted/postgresql.conf" <<-CONF
		extension_control_path = '\$system:$mounted/share'
		dynamic_library_path = '\$libdir:$mounted/lib'
		shared_preload_libraries = 'key_vault'
		key_vault.keyring_file = '$keyrings/%d.keyring'
	CONF
	pg_ctlcluster "$version" mounted start
	as_postgres createdb -E UTF8 -T template0 app
	is 'mounted elsewhere, it works' "$(in_psql -c 'CREATE EXTENSION key_vault' -c 'SELECT length(key_vault.create_root_key())' \
		-c "SELECT key_vault.set('user_a', 'gemini', '$canary')" -c "SELECT key_vault.get('user_a', 'gemini')" | tail -n 1)" "$canary"
	is 'and nothing of it is installed' "$(ls "$so" 2>/dev/null)" ''
	pg_ctlcluster "$version" mounted stop
fi

echo "1..$n"
exit "$failed"

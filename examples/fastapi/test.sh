#!/usr/bin/env bash
# test.sh: tests the example on a server of its own, with a provider and browsers of its own; prints TAP.
#
# key_vault has to be installed in the PostgreSQL of $PG_CONFIG, or be found with the
# settings in the file $TEMP_CONFIG.  Screenshots go to $SCREENSHOTS, if that is set.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-/usr/bin/python3}
PG_CONFIG=${PG_CONFIG:-$(find /usr/lib/postgresql -path '*/bin/pg_config' 2>/dev/null | sort -V | tail -n 1)}

skip_all() { echo "1..0 # SKIP $1"; exit 0; }

[[ -x $python ]] || skip_all "there is no $python"
[[ -n $PG_CONFIG ]] || skip_all 'there is no PostgreSQL'
for module in fastapi:python3-fastapi uvicorn:python3-uvicorn psycopg:python3-psycopg psycopg_pool:python3-psycopg-pool jwt:python3-jwt; do
	"$python" -c "import ${module%:*}" 2>/dev/null || skip_all "the Debian package ${module#*:} is not installed"
done

run=(env PYTHONDONTWRITEBYTECODE=1 PG_CONFIG="$PG_CONFIG" "$python")
if [[ $(id -u) != 0 ]]; then exec "${run[@]}" "$here/test/run.py"; fi

# PostgreSQL refuses to run as root, and its user may not be able to enter this folder
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$here/." "$copy/"
chown -R postgres: "$copy"
cd "$copy"
setpriv --reuid=postgres --regid=postgres --init-groups env HOME="$copy" "${run[@]}" "$copy/test/run.py"

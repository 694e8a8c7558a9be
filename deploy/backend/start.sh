#!/bin/sh
# start.sh: the FastAPI example's server.
#
# A password or a session secret may be in a file, so that none is in the image or in
# what describes the container.  SIGN_IN names a user whose link is printed first: for
# trying, where there is no login of yours.
set -eu

if [ -n "${PGPASSWORD_FILE:-}" ]; then PGPASSWORD=$(cat "$PGPASSWORD_FILE"); export PGPASSWORD; fi
if [ -n "${JWT_SECRET_FILE:-}" ]; then JWT_SECRET=$(cat "$JWT_SECRET_FILE"); export JWT_SECRET; fi

if [ -n "${SIGN_IN:-}" ]; then
	echo "To enter keys as user $SIGN_IN, open:"
	/usr/bin/python3 sign_in.py "$SIGN_IN" "${ADDRESS:-http://127.0.0.1:$PORT}"
fi
exec /usr/bin/python3 -m uvicorn --host "$HOST" --port "$PORT" main:app

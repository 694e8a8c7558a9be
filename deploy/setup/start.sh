#!/bin/sh
# start.sh: makes the passwords of deploy/compose.yaml, once, each in the volume of those who need it.
set -eu
umask 022

# secret FILE: random text, unless it is there.
secret() {
	[ -s "$1" ] && return
	head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$1.new"
	mv "$1.new" "$1"
}

secret /secrets/superuser/password
secret /secrets/backend/password
secret /secrets/session/jwt_secret

# shellcheck shell=bash disable=SC2154
# images.sh: images from Debian roots, and containers of them, with buildah and without a daemon.
# Sourced after lib.sh and roots.sh; needs root.

# IMAGE_STORE names a folder that keeps the images; what it has is not built again.
builder() { buildah --storage-driver vfs --root "${IMAGE_STORE:-$work}/containers" --runroot "${IMAGE_STORE:-$work}/run" "$@"; }

has_image() { builder inspect --type image "$1" >/dev/null 2>&1; }

# container_of IMAGE: a container whose volumes are those that are mounted, not ones of buildah's own.
container_of() {
	local container
	container=$(builder from "$1")
	builder config --volume /etc/postgresql/key_vault- "$container"
	say "$container"
}

# image_of_root IMAGE ROOT: a base image that holds a root.
image_of_root() {
	local container
	container=$(builder from scratch)
	tar -C "$2" --exclude=./var/cache/apt/archives/*.deb --exclude=./made -cf "$work/root.tar" .
	builder add -q "$container" "$work/root.tar" / >/dev/null
	rm "$work/root.tar"
	builder config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
	builder commit -q --rm "$container" "$1" >/dev/null
}

# postgres_root ROOT MAJOR SUITE: a root that is laid out as the official postgres image is.
postgres_root() {
	local root=$1 major=$2 suite=$3
	make_root "$(roots_folder)/bare-$suite" "$suite"
	if [[ ! -e $root/made-with-$major ]]; then
		rm -rf "$root"
		cp -a "$(roots_folder)/bare-$suite" "$root"
		in_root "$root" sh -ec '
			mkdir -p /etc/postgresql-common/createcluster.d
			echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/none.conf
			printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
			groupadd -r --gid=999 postgres
			useradd -r --gid=postgres --uid=999 --home-dir=/var/lib/postgresql --shell=/bin/bash postgres
			apt-get -q update
			apt-get -q -y --no-install-recommends install postgresql-'"$major"' gosu
			mkdir /docker-entrypoint-initdb.d'
		touch "$root/made-with-$major"
	fi
}

# postgres_image IMAGE MAJOR SUITE
postgres_image() {
	local image=$1 major=$2 suite=$3 container
	! has_image "$image" || return 0
	postgres_root "$(roots_folder)/postgres-$suite" "$major" "$suite"
	image_of_root "$image-root" "$(roots_folder)/postgres-$suite"
	container=$(builder from "$image-root")
	builder copy -q "$container" "${OFFICIAL_ENTRYPOINT:-$top/test/deploy/docker-entrypoint.sh}" \
		/usr/local/bin/docker-entrypoint.sh >/dev/null
	builder config --env "PG_MAJOR=$major" --env PGDATA=/var/lib/postgresql/data --env LANG=C.UTF-8 \
		--env "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/$major/bin" \
		--entrypoint '["docker-entrypoint.sh"]' --cmd postgres "$container"
	builder commit -q --rm "$container" "$image" >/dev/null
}

# build_image IMAGE CONTAINERFILE ARGUMENT...: from a copy of the checkout in $work/context.
build_image() {
	! has_image "$1" || return 0
	mkdir -p "$(roots_folder)/archives-$suite/partial"
	builder bud -q --isolation=chroot -v "$(roots_folder)/archives-$suite:/var/cache/apt/archives" \
		-t "$1" -f "$work/context/$2" "${@:3}" "$work/context"
}

# entry_of IMAGE: its entry point and command, as a runtime would start them, one word a line.
entry_of() {
	builder inspect --type image --format '{{range .OCIv1.Config.Entrypoint}}{{println .}}{{end}}{{range .OCIv1.Config.Cmd}}{{println .}}{{end}}' "$1" |
		sed '/^$/d'
}

# A port that nobody listens on.
free_port() { /usr/bin/python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

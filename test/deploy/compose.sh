#!/usr/bin/env bash
# compose.sh SUITE: the services of deploy/compose.yaml, from the first start to a key on the onboarding page.
#
# No compose is needed: compose.py starts what the file says, in its order, with buildah,
# in a network of its own in which every service has the address 127.0.0.1.  Needs root.

# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# shellcheck source=../../scripts/roots.sh
source "$top/scripts/roots.sh"
# shellcheck source=images.sh
source "$top/test/deploy/images.sh"

[[ $# == 1 ]] || die "usage: test/deploy/compose.sh SUITE"
suite=$1
is_root || die "making images needs root"
case $suite in
	bookworm) version=15 ;;
	trixie) version=17 ;;
	*) die "compose.sh knows bookworm and trixie" ;;
esac

need_packages long
make_work
chmod 711 "$work"
exec 7>"$(roots_folder)/images.lock"
flock 7

checkout_into "$work/context"
make_root "$(roots_folder)/bare-$suite" "$suite"
has_image "localhost/debian:$suite" || image_of_root "localhost/debian:$suite" "$(roots_folder)/bare-$suite"
postgres_image "localhost/postgres:$version" "$version" "$suite"
build_image "localhost/key_vault:$version" deploy/Containerfile --build-arg "PG_MAJOR=$version" \
	--build-arg "BASE=localhost/postgres:$version" >/dev/null || die "the server's image was not built"
for service in pgbouncer backend; do
	build_image "localhost/$service:$suite" "deploy/$service/Containerfile" --build-arg "BASE=localhost/debian:$suite" >/dev/null ||
		die "the image of $service was not built"
done

unshare --net --pid --fork --kill-child --mount-proc -- /usr/bin/python3 "$top/test/deploy/compose.py" \
	"$work/context/deploy/compose.yaml" "$work" "${IMAGE_STORE:-$work}" \
	"setup=localhost/debian:$suite" "db=localhost/key_vault:$version" \
	"pgbouncer=localhost/pgbouncer:$suite" "backend=localhost/backend:$suite" 7>&-

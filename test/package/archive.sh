#!/usr/bin/env bash
# archive.sh: `make dist` gives the same bytes twice, and what PGXN asks of an archive.  Speaks TAP.
#
# META.json is held against what the PGXN Meta Spec 1.0 requires: the fields, and the
# form of those that PGXN reads.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0 failed=0

ok() {
	if [[ $2 == 0 ]]; then echo "ok $((++n)) - $1"; else echo "not ok $((++n)) - $1"; failed=1; fi
}

# A checkout of another day, on a machine with other habits
cp -r "$top" "$work/other"
find "$work/other" -exec touch -h -d '2001-02-03 04:05:06' {} +
chmod -R go-rwx "$work/other"

make -s -C "$top" dist DIST="$work/one" >/dev/null
ok 'make dist makes the archives' $?
(umask 077; TZ=Asia/Tokyo make -s -C "$work/other" dist DIST="$work/two" >/dev/null)
ok 'and again, elsewhere' $?
diff -r "$work/one" "$work/two"
ok 'the bytes are the same' $?

name=$(basename "$work"/one/*.zip .zip)
tar -C "$work" -xf "$work/one/$name.tar.gz" && mv "$work/$name" "$work/of_tar"
(cd "$work" && /usr/bin/python3 -m zipfile -e "one/$name.zip" .)
diff -r "$work/of_tar" "$work/$name"
ok 'both archives hold the same' $?
cp -r "$work/$name" "$work/build" && make -s -n -C "$work/build" PG_CONFIG="${PG_CONFIG:-pg_config}" >/dev/null
ok 'what is in them has a Makefile that knows what to do' $?

/usr/bin/python3 - "$work/$name" "$name" <<'PYTHON'
import json, os, re, sys
folder, name = sys.argv[1:]
meta = json.load(open(f"{folder}/META.json"))
semver = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$")
term = re.compile(r"[^\s/\\\x00-\x1f]{2,}$")
control = dict(re.findall(r"^(\w+) = '?(.*?)'?$", open(f"{folder}/key_vault.control").read(), re.M))
faults = [f"no {field}" for field in
          ("name", "version", "abstract", "maintainer", "license", "provides", "meta-spec") if not meta.get(field)]

def hold(what, holds):
    if not holds:
        faults.append(what)

hold("name is a term", term.match(meta["name"]))
hold("version is semantic", semver.match(meta["version"]))
hold("the archive's name is name and version", name == f"{meta['name']}-{meta['version']}")
hold("maintainer has an address", re.search(r"<[^@]+@[^>]+>$", meta["maintainer"]))
hold("license is one of those that PGXN knows", meta["license"] in ("postgresql", "mit", "bsd", "apache_2_0"))
hold("release_status", meta["release_status"] in ("stable", "testing", "unstable"))
hold("meta-spec's version", re.match(r"1\.0\.\d+$", meta["meta-spec"]["version"]))
hold("tags", all(0 < len(tag) < 256 and not re.search(r"[/\\]", tag) for tag in meta["tags"]))
hold("debian/changelog has the version", open(f"{folder}/debian/changelog").read().startswith(f"key-vault ({meta['version']}-"))
hold("CHANGELOG.md has it", re.search(rf"^## {re.escape(control['default_version'])}\b", open(f"{folder}/CHANGELOG.md").read(), re.M))
for extension, what in meta["provides"].items():
    hold("an extension is a term", term.match(extension))
    hold("an extension's version is semantic", semver.match(what["version"]))
    hold("it is the control file's", what["version"].startswith(control["default_version"] + "."))
    for field in "file", "docfile":
        hold(f"{field} is in the archive", os.path.isfile(f"{folder}/{what[field]}"))
for phase in meta["prereqs"].values():
    for relation in phase.values():
        hold("prereqs", all(v == 0 or semver.match(v) for v in relation.values()))
for fault in faults:
    print("#", fault)
sys.exit(bool(faults))
PYTHON
ok 'META.json has what PGXN requires' $?

echo "1..$n"
exit "$failed"

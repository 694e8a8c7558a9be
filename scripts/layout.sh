#!/usr/bin/env bash
# layout.sh: PostgreSQL's layout of C, by .clang-format.  Prints what differs.
#
# clang-format cannot align declarations and trailing comments in columns of
# tabs, as pgindent does, and breaks long lines by other rules.  So what is
# compared is every statement with its indentation and braces, but neither the
# white space inside it nor where it goes on in the next line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Of each file, in place.
only_statements() {
	xargs -0 perl -0777 -i -pe '
		s/^[ \t]*#\s*define\b(?:.*\\\n)*.*$//mg;				# macros
		s/(?<=\S)[ \t]+/ /g;									# columns
		s/[ \t]+$//mg;
		s/^[ \t]+(?=\*|\/\*)//mg;								# comments
		1 while s/(?:[(=?&|+\-*<>"]|(?<!\*)\/| :)\K\n[ \t]*(?=[^\s#{])/ /g		# long lines
			|| s/[,=]\K\n[ \t]*(?=[^\s#])/ /g
			|| s/\n[ \t]*(?=\}+[,;])//g
			|| s/\n[ \t]*(?=["?])/ /g
			|| s/^(extern [^;{\n]*|.*\bpg_attribute_noreturn\(\))\n[ \t]*(?=\w)/$1 /mg;
		s/([({\[]) /$1/g; s/ ([)}\];])/$1/g;
		s/ ?&& ?/ && /g; s/[ ](?=\(\*)//g; s/\) \(/)(/g;		# taken for other operators
	'
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

files() { find src test -name '*.[ch]' -print0 | sort -z; }

for folder in as_it_is laid_out; do
	mkdir "$work/$folder"
	files | xargs -0 cp --parents -t "$work/$folder"
done
cp .clang-format "$work/"
(
	cd "$work/laid_out"
	files | xargs -0 -P "$(nproc)" -n 40 clang-format -i
)
for folder in as_it_is laid_out; do
	(cd "$work/$folder"; files | only_statements)
done
(cd "$work"; diff -r -U1 as_it_is laid_out) || failed=1

if grep -rnE '[[:blank:]]+$' --include='*.[ch]' src test; then
	echo 'white space at the end of these lines'
	failed=1
fi

exit "$failed"

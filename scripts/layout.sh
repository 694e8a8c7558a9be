#!/usr/bin/env bash
# layout.sh: PostgreSQL's layout of C, by .clang-format.  Prints what differs.
#
# clang-format cannot align declarations and trailing comments in columns of
# tabs, as pgindent does, and breaks long lines by other rules.  So what is
# compared is every statement with its indentation and braces, but neither the
# white space inside it nor where it goes on in the next line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

statements() {
	perl -0777 -pe '
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
	' "$1"
}

formatted=$(mktemp)
trap 'rm -f "$formatted"' EXIT
failed=0

while IFS= read -r file; do
	clang-format "$file" >"$formatted"
	diff -U1 --label "$file" --label "$file as PostgreSQL lays it out" \
		<(statements "$file") <(statements "$formatted") || failed=1
done < <(find src test -name '*.[ch]' | sort)

if grep -rnE '[[:blank:]]+$' --include='*.[ch]' src test; then
	echo 'white space at the end of these lines'
	failed=1
fi

exit "$failed"

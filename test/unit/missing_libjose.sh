#!/bin/sh
# missing_libjose.sh: a build without libjose says which package it wants.  TAP on standard output.
what='1 - a build without libjose says which package it wants'
if said=$(echo '#include "jose/library.h"' | "${CC:-gcc}" -nostdinc -I../../src -fsyntax-only -x c - 2>&1); then
	said='it compiles'
fi
echo 1..1
case $said in
	*'install the package libjose-dev'*) echo "ok $what" ;;
	*) printf '# %s\n' "$said"; echo "not ok $what"; exit 1 ;;
esac

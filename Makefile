# key_vault: PGXS build.  `make`, `make install`, `make installcheck`.

EXTENSION = key_vault
DATA = $(wildcard key_vault--*.sql)
MODULE_big = key_vault
OBJS = $(patsubst %.c,%.o,$(wildcard src/*.c src/*/*.c src/*/*/*.c))
PGFILEDESC = "key_vault - each user's third-party API keys, encrypted and isolated"

PG_CPPFLAGS = -I$(srcdir)/src
# A statement finds little of our code in the processor's cache: what calls go through is
# better not there at all.
PG_CFLAGS = -fno-plt
SHLIB_LINK = -lcrypto
SHLIB_EXPORTS = $(srcdir)/src/exports.txt

REGRESS = $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS_OPTS = --inputdir=$(srcdir) --dbname=regress_kv
ISOLATION = $(sort $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test/isolation --dbname=regress_kv_isolation
TAP_TESTS = 1
PROVE_TESTS ?= test/t/*.pl

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)


# Every object depends on every header: there are few, and a stale object is
# worse than a second of compiling.
$(OBJS): $(wildcard src/*.h src/*/*.h src/*/*/*.h)

# The source distribution, with the .zip for PGXN: the same files give the same bytes.
.PHONY: dist
dist:
	$(srcdir)/scripts/dist.sh $(DIST)
